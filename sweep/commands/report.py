"""``sweep report``."""

from typing import Annotated

import typer

from sweep import open_run
from sweep.commands.options import RunPath, exit_codes, say


def report(
    run: RunPath,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="Also draw this score over the layers: mse, mae, pearson, spearman, "
            "within_speaker, balanced_accuracy, …; repeat for several. The next report removes "
            "its figures.",
            metavar="NAME",
        ),
    ] = None,
) -> None:
    """Rebuild tables, plots and report.html from the ledger; send them to the run's tracker."""
    from sweep.commands.rebuild_report import checked_metrics, rebuild_report
    from sweep.export.tracking import send

    with exit_codes():
        opened, metrics = open_run(run), checked_metrics(metric or ())
        print(rebuild_report(opened, say, metrics))
        if opened.spec.track is not None:
            say(f"sent to {opened.spec.track.kind}: {send(opened, opened.spec.track)}")
