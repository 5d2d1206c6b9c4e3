"""``sweep status``."""

from sweep.commands.options import RunPath, exit_codes


def status(run: RunPath) -> None:
    """Show where a run stands, from its files."""
    from sweep.commands.print_status import print_status
    from sweep.results.records import RunRecords

    with exit_codes():
        print_status(RunRecords.open(run))
