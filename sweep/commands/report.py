"""``sweep report``."""

from sweep import open_run
from sweep.commands.options import RunPath, exit_codes, say


def report(run: RunPath) -> None:
    """Rebuild tables, plots and report.html from the ledger."""
    from sweep.commands.rebuild_report import rebuild_report

    with exit_codes():
        print(rebuild_report(open_run(run), say))
