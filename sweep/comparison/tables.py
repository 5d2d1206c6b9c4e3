"""Tables of a comparison: settings that differ, and scores side by side."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from jobs.statistics.scores import SCORES
from sweep.comparison.settings import SettingDifference
from sweep.report.tables.cells import interval, number, text
from sweep.report.tables.markup import MISSING, Cell, Table

_PLACE = ["probe", "model", "layer", "layer_index"]
_Place = tuple[Any, ...]
"""Values of these columns."""


def settings_table(labels: Sequence[str], rows: Sequence[SettingDifference]) -> Table:
    """Lay out what differs in the settings, a column for each run."""
    header = ("Setting", *labels)
    cells = tuple((text(row.key), *map(text, row.values)) for row in rows)
    return Table(header, (False,) * len(header), cells)


def scores_table(labels: Sequence[str], rows: pd.DataFrame) -> Table:
    """Lay out the scores of one target, a row for each layer.

    Args:
        labels: of the runs, the first in front.
        rows: the rows of ``compare.csv`` of the target.
    """
    score = SCORES[str(rows["score"].iloc[0])].label
    compared = [label for label in labels[1:] if _has_difference(rows, label)]
    header = [("Probe", False), ("Model", False), ("Layer", False)]
    header += [(f"{score}, {label}", True) for label in labels]
    for label in compared:
        header += [(f"{label} − {labels[0]}", True), ("p (Holm)", True)]
    by_run = {label: _by_place(rows[rows["run"] == label]) for label in labels}
    cells = []
    for place in _places(rows, labels):
        row = [text(part) for part in place[:3]]
        row += [_cell(by_run[label], place, "value", "low", "high") for label in labels]
        for label in compared:
            ends = ("difference", "difference_low", "difference_high")
            row += [_cell(by_run[label], place, *ends), _p(by_run[label], place)]
        cells.append(tuple(row))
    names, numeric = zip(*header, strict=True)
    return Table(names, numeric, tuple(cells))


def best_places(rows: pd.DataFrame) -> pd.DataFrame:
    """Select the rows of layers that are the best of their model and probe in one of the runs."""
    groups = rows[rows["value"].notna()].groupby(["run", "probe", "model"], sort=False)["value"]
    best = rows.loc[groups.idxmax()][_PLACE[:3]].drop_duplicates()
    return rows.merge(best, on=_PLACE[:3])


def _has_difference(rows: pd.DataFrame, label: str) -> bool:
    return bool(rows.loc[rows["run"] == label, "difference"].notna().any())


def _places(rows: pd.DataFrame, labels: Sequence[str]) -> list[_Place]:
    """List the places in the order of the first run, those that only others have after it."""
    order = {label: number for number, label in enumerate(labels)}
    ordered = rows.sort_values("run", key=lambda runs: runs.map(order), kind="stable")
    places = ordered[_PLACE].drop_duplicates()
    groups = {name: position for position, name in enumerate(dict.fromkeys(
        zip(places["probe"], places["model"], strict=True)
    ))}  # fmt: skip
    found = list(places.itertuples(index=False, name=None))
    return sorted(found, key=lambda place: (groups[place[:2]], place[3]))


def _by_place(rows: pd.DataFrame) -> dict[_Place, dict[Hashable, Any]]:
    places = rows[_PLACE].itertuples(index=False, name=None)
    return dict(zip(places, rows.to_dict("records"), strict=True))


def _cell(rows: Mapping[_Place, Mapping[Hashable, Any]], place: _Place, *columns: str) -> Cell:
    """Return a value with its interval; a dash where the run has no such layer."""
    if place not in rows:
        return Cell(MISSING)
    names = ("x", "x_low", "x_high")
    row = rows[place]
    values: dict[Hashable, Any] = dict(zip(names, (row[column] for column in columns), strict=True))
    return interval(values, "x")


def _p(rows: Mapping[_Place, Mapping[Hashable, Any]], place: _Place) -> Cell:
    if place not in rows:
        return Cell(MISSING)
    p = float(rows[place]["p_holm"])
    return Cell("< 0.001", p) if p < 0.001 else number(p, 3)
