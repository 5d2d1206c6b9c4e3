"""Findings: one sentence per model, target and probe, and the differences behind them."""

from jobs.storage.atomic import write_text
from sweep.report.section import Content, Section
from sweep.report.tables.cells import by_fold
from sweep.report.tables.files import write_csv
from sweep.report.text.findings import (
    READING,
    READING_OF_FOLDS,
    differences_tables,
    findings,
)
from sweep.results.run import Run


def _render(run: Run) -> Content | None:
    """Write ``differences.csv`` and ``findings.txt``."""
    layers = run.curves.layers
    sentences = findings(layers, run.models, run.differences)
    write_csv(run.folder.tables / "differences.csv", run.differences)
    write_text(run.folder.findings, "".join(f"{sentence}\n" for sentence in sentences))
    if not sentences:
        return None
    reading = READING_OF_FOLDS if by_fold(layers) else READING
    return Content(
        findings=sentences, introduction=reading, tables=differences_tables(run.differences)
    )


SECTION = Section("findings", "Findings", _render)
