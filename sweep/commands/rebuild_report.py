"""``sweep report``: rebuild the tables, figures and page of a run from its files."""

from collections.abc import Sequence
from pathlib import Path

import typer

from sweep.errors import RunIsLocked
from sweep.plan.untrained_twins import twins
from sweep.report.build import build_report, read_all
from sweep.report.figures.plots import METRICS, write_metrics
from sweep.report.keep_tables import refuse_shorter_tables
from sweep.results.run import Run
from sweep.spec.suggestions import nearest
from sweep.state.control import Say
from sweep.state.mirror import mirrored


def checked_metrics(metrics: Sequence[str]) -> Sequence[str]:
    """Return ``metrics`` if all of them have figures.

    Raises:
        typer.BadParameter: one has none.
    """
    for name in metrics:
        if name not in METRICS:
            raise typer.BadParameter(f"--metric {name!r} cannot be drawn{nearest(name, METRICS)}")
    return metrics


def rebuild_report(run: Run, say: Say, metrics: Sequence[str] = ()) -> Path:
    """Rebuild the report of a run; for a run on an object store, upload it, too.

    Args:
        run: the run, with an up-to-date copy.
        say: called with a message if the upload is skipped.
        metrics: scores that get figures beside the main ones.

    Returns:
        The page.

    Raises:
        OSError: the store cannot be read, or not be written to.
        RunError: a file of the run is damaged; its tables are left as they are.
    """
    refuse_shorter_tables(run, read_all(run))
    remote = run.folder.remote
    if remote is None:
        return _build(run, metrics)
    try:
        with mirrored(run.folder, unlock=False):
            page = _build(Run(run.folder), metrics)
    except RunIsLocked as error:
        say(f"not brought to {remote}, where its driver brings its own at the end: {error}")
        return _build(run, metrics)
    say(f"brought to {remote}")
    return page


def _build(run: Run, metrics: Sequence[str]) -> Path:
    page = build_report(run)
    write_metrics(run.folder.plots, run.curves.layers, metrics, twins(run.plan))
    return page
