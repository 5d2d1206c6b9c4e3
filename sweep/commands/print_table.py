"""Print a table on standard output."""

import sys

from rich.console import Console
from rich.table import Table

WIDE = 200
"""Columns of a table in a file or a pipe, unless it needs more."""


def print_table(table: Table) -> None:
    """Print a table as wide as the terminal; in a file or a pipe, without line wrapping."""
    width = None if sys.stdout.isatty() else WIDE
    Console(highlight=False, width=width).print(table)
