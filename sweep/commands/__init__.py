"""The verbs of the command line.

A verb is a function in a file of its own, with options, help and exit code; what it does and prints
is in the packages below and in the other files here. Verbs import what they need when they are
called: torch and Ray take seconds, and ``--help`` needs neither. To add one, write its file and add
it to ``sweep.commands.app``.
"""
