"""``sweep report``."""

from sweep import open_run
from sweep.commands.options import RunPath, exit_codes, say


def report(run: RunPath) -> None:
    """Rebuild tables, plots and report.html from the ledger; send them to the run's tracker."""
    from sweep.commands.rebuild_report import rebuild_report
    from sweep.export.tracking import send

    with exit_codes():
        opened = open_run(run)
        print(rebuild_report(opened, say))
        if opened.spec.track is not None:
            say(f"sent to {opened.spec.track.kind}: {send(opened, opened.spec.track)}")
