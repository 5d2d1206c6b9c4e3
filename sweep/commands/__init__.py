"""The verbs of the command line.

A verb is a function in its own file, with options, help and exit code; its work and output are in
lower packages and in the other files here. Verbs import what they need when they are called: torch
and Ray take seconds, and ``--help`` needs neither. To add one, write its file and add it to
``sweep.commands.app``.
"""
