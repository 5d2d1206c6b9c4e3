"""Tables of the response of predictions to tempo: ``tempo.csv``, ``tempo_changes.csv``.

U utterances, F tempi.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from jobs.arrays import FloatArray
from jobs.probing.tempo_rows import RECORDED, prediction_key
from jobs.protocol.folds import StrArray
from jobs.protocol.predictions import CellPredictions, read_predictions
from jobs.statistics.tempo import counterfactual_scores, mean_changes
from sweep.analyses.tempo_plan import asked_cells, tempo_file
from sweep.plan.plan import LayerTask, Plan, PlannedTempo, layer_tasks
from sweep.state.ledger import Record

POINT = ("model", "layer", "layer_index", "target", "probe")
SCORE_COLUMNS = (
    *POINT, "slope", "slope_low", "slope_high", "correlation", "correlation_low",
    "correlation_high", "shift", "shift_low", "shift_high", "n_utterances", "n_speakers",
    "cells", "missing",
)  # fmt: skip
"""Columns of ``tempo.csv``."""
CHANGE_COLUMNS = (
    *POINT, "factor", "known_change", "predicted_change", "predicted_change_low",
    "predicted_change_high",
)  # fmt: skip
"""Columns of ``tempo_changes.csv``."""


@dataclass(frozen=True)
class TempoTables:
    """Tempo tables of a run; both empty if it has no predictions for stretched speech."""

    scores: pd.DataFrame
    """A row per model × layer × target × probe, see `jobs.statistics.tempo.counterfactual_scores`,
    ``shift`` in the target's unit."""
    changes: pd.DataFrame
    """A row per model × layer × target × probe × factor: mean changes from the recording, in the
    target's unit."""


def tempo_tables(
    plan: Plan,
    records: Mapping[str, Record],
    folder: Path,
    speakers: Mapping[str, str],
) -> TempoTables:
    """Make the tables of a run from the predictions in ``folder``.

    Predictions of several seeds are averaged first: the slope is then the mean of their slopes.

    Args:
        plan: the run's.
        records: the finished cells.
        folder: of predictions.
        speakers: speaker of every utterance id.

    Raises:
        jobs.protocol.predictions.PredictionsError: a file is damaged.
    """
    scores: list[dict[str, object]] = []
    changes: list[dict[str, object]] = []
    for task in layer_tasks(plan) if plan.tempo else ():
        for named, heard in _points(plan, task, records, folder, speakers):
            scores.append(named | heard.scores())
            changes += [named | change for change in heard.changes()]
    return TempoTables(
        pd.DataFrame(scores, columns=list(SCORE_COLUMNS)),
        pd.DataFrame(changes, columns=list(CHANGE_COLUMNS)),
    )


@dataclass(frozen=True)
class _TempoPredictions:
    """The predictions of one layer for one target by one probe."""

    factors: tuple[float, ...]
    """(F,)"""
    speakers: StrArray
    """(U,)"""
    y: FloatArray
    """(U, 1 + F) true values, of the recording and at each factor; NaN where there is none."""
    predicted: FloatArray
    """(U, 1 + F) predictions: mean over seeds."""
    counts: Mapping[str, int]

    def scores(self) -> dict[str, object]:
        """Compute the scores of a row of ``tempo.csv``."""
        found = counterfactual_scores(
            self.y[:, 0], self.predicted[:, 0], self.y[:, 1:], self.predicted[:, 1:],
            self.speakers,
        )  # fmt: skip
        estimates = {
            "slope": found.slope, "correlation": found.correlation, "shift": found.shift,
        }  # fmt: skip
        return {
            **{name: one.value for name, one in estimates.items()},
            **{f"{name}_low": one.low for name, one in estimates.items()},
            **{f"{name}_high": one.high for name, one in estimates.items()},
            "n_utterances": found.n_utterances,
            "n_speakers": found.n_speakers,
            **self.counts,
        }

    def changes(self) -> Iterator[dict[str, object]]:
        """Compute the rows of ``tempo_changes.csv``, over the utterances that have a prediction."""
        is_known = np.isfinite(self.predicted[:, 1:]) & np.isfinite(self.predicted[:, :1])
        x = np.where(is_known, self.y[:, 1:], np.nan)
        of_x = mean_changes(self.y[:, 0], x, self.speakers)
        of_d = mean_changes(self.predicted[:, 0], self.predicted[:, 1:], self.speakers)
        for factor, known, predicted in zip(self.factors, of_x, of_d, strict=True):
            yield {
                "factor": factor,
                "known_change": known.value,
                "predicted_change": predicted.value,
                "predicted_change_low": predicted.low,
                "predicted_change_high": predicted.high,
            }


@dataclass
class _Reader:
    """Reader of one layer's files of predictions, which reads each once."""

    folder: Path
    read: dict[str, dict[str, CellPredictions]] = field(default_factory=dict)

    def cells(self, name: str) -> dict[str, CellPredictions]:
        """Predictions in the file ``name``; empty if it does not exist."""
        if name not in self.read:
            path = self.folder / name
            self.read[name] = read_predictions(path) if path.exists() else {}
        return self.read[name]


def _points(
    plan: Plan,
    task: LayerTask,
    records: Mapping[str, Record],
    folder: Path,
    speakers: Mapping[str, str],
) -> Iterator[tuple[dict[str, object], _TempoPredictions]]:
    """Points of a layer that have predictions, by their key columns."""
    reader = _Reader(folder)
    points: dict[tuple[str, str], list[dict[float | str, CellPredictions]]] = {}
    planned: dict[tuple[str, str], int] = {}
    for cell in asked_cells(plan, task):
        point, record = (cell.target, cell.probe), records.get(cell.cell_id)
        planned[point] = planned.get(point, 0) + 1
        if record is None or record.status != "done":
            continue
        found = reader.cells(tempo_file(record.predictions, plan, task.model))
        if prediction_key(cell.cell_id, RECORDED) in found:
            assert plan.tempo is not None
            rates = _rates(plan.tempo)
            predictions = {rate: found[prediction_key(cell.cell_id, rate)] for rate in rates}
            points.setdefault(point, []).append(predictions)
    for (target, probe), cells in points.items():
        place = (task.model.name, task.layer.name, task.layer.index, target, probe)
        named: dict[str, object] = dict(zip(POINT, place, strict=True))
        counts = {"cells": len(cells), "missing": planned[target, probe] - len(cells)}
        assert plan.tempo is not None
        yield named, _gather(plan.tempo, cells, counts, speakers)


def _rates(tempo: PlannedTempo) -> tuple[float | str, ...]:
    return (RECORDED, *tempo.factors)


def _gather(
    tempo: PlannedTempo,
    cells: Sequence[Mapping[float | str, CellPredictions]],
    counts: Mapping[str, int],
    speakers: Mapping[str, str],
) -> _TempoPredictions:
    """Gather the predictions of all seeds and folds by utterance."""
    rates = _rates(tempo)
    row = {name: number for number, name in enumerate(tempo.utterances)}
    n, total, y = (np.zeros((len(row), len(rates))) for _ in range(3))
    for cell in cells:
        for column, rate in enumerate(rates):
            predictions = cell[rate]
            rows = [row[name] for name in predictions.utterance_id.tolist()]
            y[rows, column] = predictions.y_true
            n[rows, column] += 1
            total[rows, column] += predictions.y_pred
    with np.errstate(invalid="ignore"):
        mean = np.where(n > 0, total / np.maximum(n, 1), np.nan)
    return _TempoPredictions(
        factors=tempo.factors,
        speakers=np.array([speakers[name] for name in tempo.utterances], dtype=np.str_),
        y=np.where(n > 0, y, np.nan),
        predicted=mean,
        counts=counts,
    )
