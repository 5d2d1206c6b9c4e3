"""Rebuild the tables, figures, texts and page of a run from its ledger and predictions."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from jobs.storage.atomic import write_text
from sweep.report.methods.document import methods
from sweep.report.page import render_page
from sweep.report.page_data import page_data
from sweep.report.section import Section
from sweep.report.sections import SECTIONS
from sweep.report.tables.files import write_csv
from sweep.results.run import Run
from sweep.state.run_folder import RunFolder


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
    figures = [p for _, content in shown for p in (*content.figures, *content.files)]
    _remove_old_figures(folder.plots, figures)
    page = render_page(run.plan.name, shown, page_data(run), list(_files(folder)))
    write_text(folder.report, page)
    return folder.report


def read_all(run: Run) -> dict[str, pd.DataFrame]:
    """Read everything that the tables come from; return those without intervals, by name."""
    assert run.provenance is not None and run.skipped is not None and run.curves is not None
    return {"metrics": run.metrics, **run.analysis_tables}


def _files(folder: RunFolder) -> Iterator[tuple[str, str]]:
    """Yield name and relative address of the files of a run that a reader may want to open."""
    tops = (folder.spec, folder.methods, folder.findings, folder.provenance, folder.utterances,
            folder.skipped, folder.ledger, folder.driver_log)  # fmt: skip
    below = (path for part in (folder.tables, folder.plots) for path in sorted(part.glob("*")))
    for path in (*tops, *below):
        if path.is_file():
            name = path.relative_to(folder.root).as_posix()
            yield name, quote(name)


def _remove_old_figures(folder: Path, written: Iterable[Path]) -> None:
    """Remove figures of anything no longer in the spec, as they would pass for results."""
    stems = {path.stem for path in written}
    for pattern in ("*.png", "*.svg", "*.pdf"):
        for path in folder.rglob(pattern):
            if path.stem not in stems:
                path.unlink()
