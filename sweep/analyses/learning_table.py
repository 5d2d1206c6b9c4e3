"""Table of learning curves."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from jobs.corpus.table import has_value
from jobs.probes import TargetKind
from jobs.probing.learning import cells_of_draw, learning_key
from jobs.protocol.cells import Cell
from jobs.protocol.predictions import CellPredictions, read_predictions
from jobs.protocol.target_folds import TargetFolds
from jobs.protocol.training_fractions import DRAWS, FractionFolds
from jobs.statistics.points import point_of_predictions
from jobs.statistics.scores import MAIN_SCORE, SCORES
from jobs.statistics.scoring import score_classes, score_numbers
from sweep.analyses.learning_plan import LearningLayer, learning_layers, smaller_fractions
from sweep.plan.plan import Plan
from sweep.state.ledger import Record

COLUMNS = (
    "model", "layer", "layer_index", "target", "probe", "target_kind", "fraction",
    "n_train_speakers", "n_train", "draws", "score", "value", "value_low", "value_high",
    "value_smallest", "value_largest", "no_skill", "cells", "missing",
)  # fmt: skip
"""Columns of ``learning.csv``."""

Predictions = Mapping[str, CellPredictions]


def learning_table(
    plan: Plan, folder: Path, records: Mapping[str, Record], utterances: pd.DataFrame
) -> pd.DataFrame:
    """Make ``learning.csv``: a row per model × layer × target × probe × fraction on disk.

    ``value`` is R² or accuracy as in ``layers.csv``, averaged over draws of the training speakers
    in place of seeds, with its 95 % interval over test speakers; ``value_smallest`` and
    ``value_largest`` are those of single draws. ``no_skill`` is the value of always predicting the
    training mean (0) or one class. ``n_train_speakers`` and ``n_train`` are means over
    folds and draws. Fraction 1 has the scores of the cells. R² is against the mean of all training
    utterances at every fraction, so that the values of a curve differ by their errors alone.

    Args:
        plan: the run's.
        folder: of predictions.
        records: finished cells by id.
        utterances: the utterance table, with the targets.

    Raises:
        jobs.protocol.predictions.PredictionsError: a file is damaged.
    """
    if not smaller_fractions(plan):
        return pd.DataFrame(columns=list(COLUMNS))
    rows = []
    maker = _Rows(plan, utterances)
    for layer in learning_layers(plan):
        path = folder / layer.file
        if path.exists():
            rows += maker.of_layer(layer, read_predictions(path), folder, records)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _cells_by_point(cells: Sequence[Cell]) -> dict[tuple[str, str], tuple[Cell, ...]]:
    """Group cells that are no controls by target and probe."""
    points: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.control == "none":
            points.setdefault((cell.target, cell.probe), []).append(cell)
    return {point: tuple(found) for point, found in points.items()}


def _done(
    cells: Sequence[Cell],
    folder: Path,
    records: Mapping[str, Record],
    files: dict[str, Predictions],
) -> Iterator[tuple[tuple[int, int], CellPredictions]]:
    """Yield (seed, fold) and predictions of the done ``cells``; ``files`` keeps what was read."""
    for cell in cells:
        record = records.get(cell.cell_id)
        if record is None or record.status != "done":
            continue
        if record.predictions not in files:
            files[record.predictions] = read_predictions(folder / record.predictions)
        yield (cell.seed, cell.fold), files[record.predictions][cell.cell_id]


class _Rows:
    """Rows of ``learning.csv``."""

    def __init__(self, plan: Plan, utterances: pd.DataFrame) -> None:
        names = utterances["utterance_id"]
        self._plan, self._table = plan, utterances
        self._speakers = dict(zip(names, utterances["speaker_id"], strict=True))
        self._folds = TargetFolds(plan.target_protocols, utterances, plan.classes)
        self._sizes: dict[tuple[str, float], tuple[float, float]] = {}

    def of_layer(
        self,
        layer: LearningLayer,
        found: Predictions,
        folder: Path,
        records: Mapping[str, Record],
    ) -> list[dict[str, object]]:
        """Rows of all fractions; ``found`` are the predictions of those below 1."""
        whole = _cells_by_point(layer.task.cells)
        files: dict[str, Predictions] = {}
        rows = []
        for point, cells in whole.items():
            fits = dict(_done(cells, folder, records, files))
            means = {fold: one.train_mean for (_, fold), one in fits.items()}
            for fraction in smaller_fractions(self._plan):
                planned = [
                    (draw, cell)
                    for draw in range(DRAWS)
                    for cell in cells_of_draw(cells, self._plan.probes, draw)
                ]
                fewer = {
                    (draw, cell.fold): replace(one, train_mean=means.get(cell.fold, one.train_mean))
                    for draw, cell in planned
                    if (one := found.get(learning_key(cell.cell_id, fraction, draw))) is not None
                }
                rows += self._row(layer, point, fraction, fewer, len(planned))
            rows += self._row(layer, point, 1.0, fits, len(cells))
        return rows

    def _row(
        self,
        layer: LearningLayer,
        point: tuple[str, str],
        fraction: float,
        fits: Mapping[tuple[int, int], CellPredictions],
        n_planned: int,
    ) -> list[dict[str, object]]:
        """Score the ``fits`` of one point, by draw (or seed) and fold; no row without any."""
        if not fits:
            return []
        target, probe = point
        kind, score = self._plan.kind(target), MAIN_SCORE[self._plan.kind(target)]
        cells = pd.DataFrame(
            {"seed": run, "fold": fold, "cell_id": f"{run}/{fold}", "n_test": len(one.y_true)}
            | self._scores(kind, one)
            for (run, fold), one in fits.items()
        )
        by_name = {f"{run}/{fold}": one for (run, fold), one in fits.items()}

        def scored(rows: pd.DataFrame) -> Mapping[str, object]:
            of_classes = kind == "classification"
            return point_of_predictions(
                rows, by_name.__getitem__, self._speakers, of_classes=of_classes
            ).columns

        whole = scored(cells)
        draws = DRAWS if fraction < 1 else 1
        single = [scored(rows)[score] for _, rows in cells.groupby("seed")] if draws > 1 else []
        ends = np.array([value for value in single if value == value], dtype=np.float64)
        speakers, utterances = self._size(target, fraction)
        place = (layer.task.model.name, layer.task.layer.name, layer.task.layer.index)
        return [
            dict(zip(COLUMNS, (*place, target, probe, kind, fraction), strict=False))
            | {
                "n_train_speakers": speakers,
                "n_train": utterances,
                "draws": draws,
                "score": score,
                "value": whole[score],
                "value_low": whole.get(f"{score}_low"),
                "value_high": whole.get(f"{score}_high"),
                "value_smallest": ends.min() if ends.size else None,
                "value_largest": ends.max() if ends.size else None,
                "no_skill": whole[reference] if (reference := SCORES[score].reference) else 0.0,
                "cells": len(fits),
                "missing": n_planned - len(fits),
            }
        ]

    def _scores(self, kind: TargetKind, one: CellPredictions) -> dict[str, float | None]:
        y, predicted = one.y_true.astype(np.float64), one.y_pred.astype(np.float64)
        if kind == "classification":
            return score_classes(y, predicted, one.train_mean)
        speakers = np.array([self._speakers[str(name)] for name in one.utterance_id], dtype=np.str_)
        return score_numbers(y, predicted, one.train_mean, speakers)

    def _size(self, target: str, fraction: float) -> tuple[float, float]:
        """Mean numbers of training speakers and utterances that have a value of ``target``."""
        if (target, fraction) not in self._sizes:
            known = has_value(self._table[target])
            speakers = self._table["speaker_id"].to_numpy()
            trained = [
                fold.train[known[fold.train]]
                for draw in range(DRAWS)
                for fold in FractionFolds(self._folds, fraction, draw).of(target)
            ]
            self._sizes[target, fraction] = (
                float(np.mean([len(set(speakers[rows])) for rows in trained])),
                float(np.mean([len(rows) for rows in trained])),
            )
        return self._sizes[target, fraction]
