"""The table of all layers."""

from collections.abc import Iterator, Mapping

import pandas as pd

from sweep.report.tables.cells import (
    CLASSES,
    NUMBERS,
    Row,
    assemble,
    by_kind,
    decimals,
    interval,
    marked,
    number,
    several,
    text,
)
from sweep.report.tables.markup import LACKING, Cell, Table


def layers_tables(layers: pd.DataFrame) -> list[Table]:
    """Build the table: a row per model, probe and layer in depth order, classes separately."""
    counted = bool(lacks_cells(layers).any())
    tables = []
    for kind, group in by_kind(layers):
        columns = [*_LAYER_COLUMNS[kind], *([("Cells", True)] if counted else [])]
        rows = [
            [
                text(target),
                *_layer_name_cells(row),
                *(_layer_class_cells(row) if kind == CLASSES else _layer_cells(row, places)),
                *([_cell_counts(row)] if counted else []),
            ]
            for target, of_target in group.groupby("target", sort=False)
            for places in [{score: decimals(of_target[score]) for score in ("mse", "mae")}]
            for row in of_target.to_dict("records")
        ]
        tables.append(assemble(several(layers), columns, rows))
    return tables


_PLACE = [("Model", False), ("Probe", False), ("#", True), ("Layer", False)]
_LAYER_COLUMNS = {
    NUMBERS: [
        *_PLACE,
        ("R² [95 %]", True),
        ("Selectivity", True),
        ("Speaker control", True),
        ("MSE", True),
        ("MAE", True),
        ("Pearson r", True),
        ("r within speakers", True),
    ],
    CLASSES: [
        *_PLACE,
        ("Accuracy [95 %]", True),
        ("Selectivity", True),
        ("Speaker control", True),
        ("Above majority class", True),
        ("Balanced accuracy [95 %]", True),
        ("Macro F1 [95 %]", True),
    ],
}


def _layer_name_cells(row: Row) -> list[Cell]:
    return [
        text(row["model"]),
        text(row["probe"]),
        number(row["layer_index"], 0),
        marked(row["layer"], row["missing"] > 0 or row["missing_control"] > 0),
    ]


def _layer_cells(row: Row, places: Mapping[str, int]) -> list[Cell]:
    return [
        interval(row, "r2"),
        number(row["selectivity"], 3),
        number(row["r2_speaker_control"], 3),
        number(row["mse"], places["mse"]),
        number(row["mae"], places["mae"]),
        number(row["pearson"], 3),
        number(row["within_speaker"], 3),
    ]


def _layer_class_cells(row: Row) -> list[Cell]:
    return [
        interval(row, "accuracy"),
        number(row["selectivity"], 3),
        number(row["accuracy_speaker_control"], 3),
        number(row["gain"], 3),
        interval(row, "balanced_accuracy"),
        interval(row, "macro_f1"),
    ]


def layers_notes(layers: pd.DataFrame) -> Iterator[str]:
    """Footnotes that explain the rows of the table of layers."""
    if lacks_cells(layers).any():
        yield (
            f"{LACKING} lacks planned cells: its scores are means over fewer seeds or folds than "
            "those of its neighbours."
        )


def lacks_cells(layers: pd.DataFrame) -> "pd.Series[bool]":
    """Mask of points with fewer cells than planned, for the probe itself or its control."""
    return (layers["missing"] > 0) | (layers["missing_control"] > 0)


def _cell_counts(row: Row) -> Cell:
    counts = f"{row['cells']} of {row['cells'] + row['missing']}"
    if row["missing_control"] > 0:
        counts += f", control lacks {row['missing_control']}"
    return Cell(counts, row["cells"])
