"""Findings: one sentence per model, target and probe, and the differences behind them."""

from jobs.storage.atomic import write_text
from sweep.report.section import Content, Section
from sweep.report.tables.cells import by_fold
from sweep.report.tables.difference_tables import differences_tables
from sweep.report.tables.files import write_csv
from sweep.report.text.claims import claims_of
from sweep.report.text.readings import READING, READING_OF_FOLDS
from sweep.results.claims import claims_text
from sweep.results.run import Run


def _render(run: Run) -> Content | None:
    """Write ``differences.csv`` and ``findings.txt``."""
    claims = claims_of(run)
    write_csv(run.folder.tables / "differences.csv", run.differences)
    write_text(run.folder.findings, claims_text(claims))
    if not claims.findings:
        return None
    reading = READING_OF_FOLDS if by_fold(run.curves.layers) else READING
    return Content(
        findings=claims.findings, introduction=reading, tables=differences_tables(run.differences)
    )


SECTION = Section("findings", "Findings", _render)
