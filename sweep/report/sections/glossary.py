"""Glossary of the report."""

import pandas as pd

from sweep.report.section import Content, Section
from sweep.report.tables.cells import by_fold, by_kind
from sweep.report.text.glossary import explanations
from sweep.results.run import Run


def content(layers: pd.DataFrame) -> Content:
    """Explain the terms that a report on the targets of ``layers.csv`` uses."""
    kinds = {kind for kind, _ in by_kind(layers)}
    return Content(terms=list(explanations(kinds, by_fold=by_fold(layers))))


def _render(run: Run) -> Content:
    return content(run.curves.layers)


SECTION = Section("reading", "How to read this", _render)
