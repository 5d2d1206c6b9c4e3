"""Rebuild the tables, figures, texts and page of a run from its ledger and predictions."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from jobs.storage.atomic import write_text
from sweep.report.methods.document import methods
from sweep.report.page import render_page
from sweep.report.section import Section
from sweep.report.sections import SECTIONS
from sweep.report.tables.files import write_csv
from sweep.results.run import Run


def build_report(run: Run, sections: Sequence[Section] = SECTIONS) -> Path:
    """Write the run's tables, plots, methods text and ``report.html``, replacing old ones.

    Nothing is written before all that the tables come from has been read.

    Returns:
        The path of the page.

    Raises:
        RunError: a file of the run is missing or damaged.
    """
    folder = run.folder
    read_all(run)
    write_csv(folder.tables / "metrics.csv", run.metrics)
    for name, table in run.analysis_tables.items():
        path = folder.tables / f"{name}.csv"
        if table.empty:
            path.unlink(missing_ok=True)
        else:
            write_csv(path, table)
    write_text(folder.methods, methods(run, sections))
    rendered = [(section, section.render(run)) for section in sections]
    shown = [(section, content) for section, content in rendered if content is not None]
    _remove_old_figures(folder.plots, [path for _, content in shown for path in content.figures])
    write_text(folder.report, render_page(run.plan.name, shown))
    return folder.report


def read_all(run: Run) -> dict[str, pd.DataFrame]:
    """Read everything that the tables come from; return those without intervals, by name."""
    assert run.provenance is not None and run.skipped is not None and run.curves is not None
    return {"metrics": run.metrics, **run.analysis_tables}


def _remove_old_figures(folder: Path, written: Iterable[Path]) -> None:
    """Remove figures of anything no longer in the spec, as they would pass for results."""
    stems = {path.stem for path in written}
    for pattern in ("*.png", "*.svg"):
        for path in folder.glob(pattern):
            if path.stem not in stems:
                path.unlink()
