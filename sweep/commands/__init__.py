"""The verbs of the command line: options, and calls of what does the work; no logic.

Verbs import what they need when they run: torch and Ray take seconds, and --help needs neither.
"""
