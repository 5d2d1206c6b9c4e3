"""The table of all layers: one row per model, layer, target and probe."""

import pandas as pd

from sweep.report.section import Content, Section
from sweep.report.tables.files import write_layers
from sweep.report.tables.layer_tables import layers_notes, layers_tables
from sweep.report.text.footnotes import footnotes
from sweep.results.run import Run


def content(layers: pd.DataFrame) -> Content:
    """The tables of ``layers.csv`` and of points whose cells all failed."""
    return Content(tables=layers_tables(layers), notes=list(layers_notes(layers)))


def _render(run: Run) -> Content:
    """Write ``layers.csv``, ``.md`` and ``.tex``."""
    layers = run.curves.layers
    write_layers(run.folder.tables, layers, list(footnotes(run)))
    return content(layers)


SECTION = Section("layers", "All layers", _render)
