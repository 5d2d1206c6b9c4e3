"""Tables on disk: every digit as CSV, rounded for reading as Markdown and LaTeX."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from jobs.storage.atomic import write_text
from sweep.report.tables.layer_tables import layers_notes, layers_tables
from sweep.report.tables.markup import to_latex, to_markdown
from sweep.report.tables.model_tables import models_notes, models_tables


def write_csv(path: Path, frame: pd.DataFrame, separator: str = ",") -> Path:
    """Write ``frame`` atomically, without its index, undefined values as empty fields.

    Returns:
        The path.
    """
    write_text(path, frame.to_csv(index=False, sep=separator, lineterminator="\n"))
    return path


def write_models(
    folder: Path, models: pd.DataFrame, notes: Sequence[str], findings: Sequence[str] = ()
) -> None:
    """Write ``models.csv``, ``models.md`` and ``models.tex``.

    Markdown and LaTeX end with footnotes: those of the table itself, then ``notes``. In Markdown
    ``findings`` come before them.
    """
    write_csv(folder / "models.csv", models)
    tables, below = models_tables(models), [*models_notes(models), *notes]
    write_text(folder / "models.md", to_markdown(tables, [*findings, *below]))
    write_text(folder / "models.tex", to_latex(tables, below))


def write_layers(folder: Path, layers: pd.DataFrame, notes: Sequence[str]) -> None:
    """Write ``layers.csv``, ``layers.md`` and ``layers.tex``, with footnotes as in `write_models`.

    Points without a finished cell are left out of the CSV and shown, marked, in the others.
    """
    write_csv(folder / "layers.csv", layers[layers["cells"] > 0])
    tables, below = layers_tables(layers), [*layers_notes(layers), *notes]
    write_text(folder / "layers.md", to_markdown(tables, below))
    write_text(folder / "layers.tex", to_latex(tables, below, long=True))
