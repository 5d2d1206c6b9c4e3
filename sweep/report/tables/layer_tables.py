"""The table of all layers."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from jobs.statistics.model_table import MAJORITY_CLASS
from jobs.statistics.points import DECIDING_SPEAKER, WITHOUT_SPEAKER
from jobs.statistics.scores import Score, main_score_first
from sweep.report.tables.cells import (
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
from sweep.report.tables.markup import LACKING, MISSING, Cell, Table


def layers_tables(layers: pd.DataFrame) -> list[Table]:
    """Build the table: a row per model, probe and layer in depth order, classes separately."""
    counted = bool(lacks_cells(layers).any())
    tables = []
    for kind, group in by_kind(layers):
        scores = [score for score in main_score_first(kind) if score.tabulated]
        columns = [*_PLACE, *_score_columns(scores), _DECIDED, *([_CELLS] if counted else [])]
        rows = [
            [
                text(target),
                *_layer_name_cells(row),
                *_score_cells(scores, row, places),
                _deciding_cell(scores[0], row),
                *([_cell_counts(row)] if counted else []),
            ]
            for target, of_target in group.groupby("target", sort=False)
            for places in [{score.name: _decimals(score, of_target) for score in scores}]
            for row in of_target.to_dict("records")
        ]
        tables.append(assemble(several(layers), columns, rows))
    return tables


_PLACE = [("Model", False), ("Probe", False), ("#", True), ("Layer", False)]
_DECIDED = ("One speaker decides", False)
_CELLS = ("Cells", True)


def _score_columns(scores: Sequence[Score]) -> list[tuple[str, bool]]:
    """Headings of the main score, of what it is compared with, and of the other scores."""
    main, *others = (
        f"{score.heading} [95 %]" if _has_interval(score) else score.heading for score in scores
    )
    above = [f"Above {MAJORITY_CLASS}"] if scores[0].reference else []
    headings = [main, "Selectivity", "Speaker control", *above, *others]
    return [(heading, True) for heading in headings]


def _score_cells(scores: Sequence[Score], row: Row, places: Mapping[str, int]) -> list[Cell]:
    main, *others = (
        interval(row, score.name)
        if _has_interval(score)
        else number(row[score.name], places[score.name])
        for score in scores
    )
    control = number(row[f"{scores[0].name}_speaker_control"], 3)
    above = [number(row["gain"], 3)] if scores[0].reference else []
    return [main, number(row["selectivity"], 3), control, *above, *others]


def _deciding_cell(score: Score, row: Row) -> Cell:
    """The speaker who decides the main score, with the score without that speaker."""
    if not row[DECIDING_SPEAKER]:
        return text(MISSING)
    without = number(row[f"{score.name}{WITHOUT_SPEAKER}"], 3).text
    return Cell(f"{row[DECIDING_SPEAKER]} (without: {without})", str(row[DECIDING_SPEAKER]))


def _has_interval(score: Score) -> bool:
    return score.scale is not None and score.unit == "none"


def _decimals(score: Score, rows: pd.DataFrame) -> int:
    """Decimals of a score in the table of one target."""
    return 3 if score.unit == "none" else decimals(rows[score.name])


def _layer_name_cells(row: Row) -> list[Cell]:
    return [
        text(row["model"]),
        text(row["probe"]),
        number(row["layer_index"], 0),
        marked(row["layer"], row["missing"] > 0 or row["missing_control"] > 0),
    ]


DECIDED_NOTE = (
    "One speaker decides a score if more than half of the variance behind its interval is due to "
    "that speaker, who is an outlier among the speakers, and the score without the speaker differs "
    "by 0.05 or more."
)


def layers_notes(layers: pd.DataFrame) -> Iterator[str]:
    """Footnotes that explain the rows of the table of layers."""
    if lacks_cells(layers).any():
        yield (
            f"{LACKING} lacks planned cells: its scores are means over fewer seeds or folds than "
            "those of its neighbours."
        )
    if layers[DECIDING_SPEAKER].any():
        yield DECIDED_NOTE


def lacks_cells(layers: pd.DataFrame) -> "pd.Series[bool]":
    """Mask of points with fewer cells than planned, for the probe itself or its control."""
    return (layers["missing"] > 0) | (layers["missing_control"] > 0)


def _cell_counts(row: Row) -> Cell:
    counts = f"{row['cells']} of {row['cells'] + row['missing']}"
    if row["missing_control"] > 0:
        counts += f", control lacks {row['missing_control']}"
    return Cell(counts, row["cells"])
