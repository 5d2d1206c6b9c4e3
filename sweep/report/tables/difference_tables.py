"""The table of models against models, each at its best layer."""

import math

import pandas as pd

from jobs.statistics.difference_table import MODELS, TRAINED
from sweep.report.tables.cells import Row, assemble, number, several, text
from sweep.report.tables.markup import Cell, Table


def differences_tables(differences: pd.DataFrame) -> list[Table]:
    """Tabulate models against models, each at its best layer."""
    shown = differences[differences["comparison"].isin([MODELS, TRAINED])]
    if shown.empty:
        return []
    columns = [
        ("Probe", False),
        ("A", False),
        ("B", False),
        ("A − B, selection-corrected [95 %]", True),
        ("p", True),
        ("p (Holm)", True),
    ]
    rows = [
        [text(row["target"]), text(row["probe"]), *_model_cells(row)]
        for row in shown.to_dict("records")
    ]
    return [assemble(several(shown), columns, rows)]


def _model_cells(row: Row) -> list[Cell]:
    untrained = row["comparison"] == TRAINED
    middle = number(row["difference"], 3)
    ends = ", ".join(number(row[end], 3).text for end in ("low", "high"))
    return [
        text(row["model_a"]),
        Cell(f"{row['model_b']} (untrained)" if untrained else row["model_b"], row["model_b"]),
        Cell(f"{middle.text} [{ends}]", middle.key),
        _p(row["p"]),
        _p(row["p_holm"]),
    ]


def _p(value: float) -> Cell:
    """A p-value with two significant digits, not below 0.001."""
    if math.isnan(value):
        return number(value, 3)
    return Cell("< 0.001" if value < 0.001 else f"{value:.2g}", value)
