"""Glossary of the report."""

import pandas as pd

from sweep.report.section import Content, Section
from sweep.report.tables.cells import by_fold, by_kind
from sweep.report.text.glossary import explanations
from sweep.results.run import Run


def content(layers: pd.DataFrame, *, shared_speakers: bool = False) -> Content:
    """Explain the terms that a report on the targets of ``layers.csv`` uses.

    Args:
        layers: ``layers.csv``.
        shared_speakers: True if test speakers are also in the training split.
    """
    kinds = {kind for kind, _ in by_kind(layers)}
    terms = explanations(
        kinds, by_fold=by_fold(layers), shared_speakers=shared_speakers, beyond="beyond" in layers
    )
    return Content(terms=list(terms))


def _render(run: Run) -> Content:
    return content(run.curves.layers, shared_speakers=bool(run.targets_with_shared_speakers))


SECTION = Section("reading", "How to read this", _render, place="reading")
