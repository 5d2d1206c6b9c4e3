"""``sweep status``."""

from sweep import open_run
from sweep.commands.options import RunPath, exit_codes


def status(run: RunPath) -> None:
    """Show where a run stands, from its files."""
    from sweep.commands.print_status import print_status

    with exit_codes():
        print_status(open_run(run))
