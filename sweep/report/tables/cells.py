"""Building blocks of the tables: rows by kind of target, and formatted cells."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from jobs.statistics.points import FOLDS
from jobs.statistics.scores import TargetKind
from jobs.ties import first_lowest
from sweep.report.tables.markup import LACKING, MISSING, Cell, Table

NUMBERS: TargetKind = "regression"
CLASSES: TargetKind = "classification"
"""The kinds of targets, which have tables of their own."""

Row = Mapping[Hashable, Any]


def decimals(values: "pd.Series[float]") -> int:
    """Decimals that show three significant digits of the middle value, 0 to 4; 2 without any."""
    finite = np.abs(values.to_numpy(dtype=float, na_value=np.nan))
    finite = finite[np.isfinite(finite) & (finite > 0)]
    if finite.size == 0:
        return 2
    return int(np.clip(2 - math.floor(math.log10(float(np.median(finite)))), 0, 4))


def by_kind(frame: pd.DataFrame) -> list[tuple[TargetKind, pd.DataFrame]]:
    """(kind of target, its rows), numbers first; an empty frame counts as numbers."""
    groups = [(kind, frame[frame["target_kind"] == kind]) for kind in (NUMBERS, CLASSES)]
    return [(kind, rows) for kind, rows in groups if not rows.empty] or groups[:1]


def by_fold(frame: pd.DataFrame) -> bool:
    """Return whether intervals are over folds, as predictions by speaker are not available."""
    return "interval_over" in frame and bool((frame["interval_over"] == FOLDS).any())


def several(frame: pd.DataFrame) -> bool:
    """Return whether there are several targets, so that rows have to name theirs."""
    return frame["target"].nunique() > 1


def best_rows(rows: pd.DataFrame, curve: Sequence[str], score: str) -> list[Row]:
    """Select the row with the highest ``score`` of each curve, the first if tied.

    Args:
        rows: a row per layer.
        curve: columns that identify a curve.
        score: column; a curve in which it is nowhere defined has no row.
    """
    curves = rows[rows[score].notna()].groupby(list(curve), sort=True, observed=True)
    return [of_curve.iloc[int(first_lowest(-of_curve[score]))].to_dict() for _, of_curve in curves]


def assemble(
    named: bool, columns: Sequence[tuple[str, bool]], rows: Iterable[Sequence[Cell]]
) -> Table:
    """Build a table from rows that begin with their target, which is dropped unless ``named``.

    A column that is empty in all rows is dropped as well.
    """
    grid = [tuple(row) for row in rows]
    titles = [("Target", False), *columns]
    kept = [
        position
        for position in range(0 if named else 1, len(titles))
        if not grid or any(row[position].text != MISSING for row in grid)
    ]
    header, numeric = zip(*(titles[position] for position in kept), strict=True)
    return Table(header, numeric, tuple(tuple(row[p] for p in kept) for row in grid))


def text(value: object) -> Cell:
    """A cell that shows ``value`` as it is."""
    return Cell(str(value), str(value))


def marked(name: object, lacking: bool) -> Cell:
    """A name, with a dagger where it lacks cells."""
    return Cell(f"{name} {LACKING}" if lacking else str(name), str(name))


def number(value: float | None, places: int) -> Cell:
    """A number with ``places`` decimals, sorted by all its digits; NaN and None are missing."""
    if value is None or math.isnan(value):
        return Cell(MISSING)
    return Cell(f"{value:z.{places}f}", value)


def interval(row: Row, score: str) -> Cell:
    """A cell with a score and its interval, if it has one."""
    middle = number(row[score], 3)
    low, high = number(row[f"{score}_low"], 3), number(row[f"{score}_high"], 3)
    if low.key is None or high.key is None:
        return middle
    return Cell(f"{middle.text} [{low.text}, {high.text}]", middle.key)
