"""The comparison table: one row per model, target and probe, with the references."""

from collections.abc import Sequence

import pandas as pd

from sweep.report.section import Content, Section
from sweep.report.tables.files import write_models
from sweep.report.tables.model_tables import models_notes, models_tables
from sweep.report.text.claims import claims_of
from sweep.report.text.footnotes import footnotes
from sweep.results.run import Run


def content(models: pd.DataFrame, notes: Sequence[str]) -> Content:
    """The tables of ``models.csv``, with ``notes`` after their own."""
    return Content(tables=models_tables(models), notes=[*models_notes(models), *notes])


def _render(run: Run) -> Content:
    """Write ``models.csv``, ``.md`` and ``.tex``."""
    notes = list(footnotes(run))
    claims = claims_of(run)
    write_models(run.folder.tables, run.models, notes, [*claims.headlines, *claims.findings])
    return content(run.models, notes)


SECTION = Section("models", "Models at their best layers", _render, tab="Models")
