"""Scores of one point of a curve, over the folds and seeds of its cells.

A point is a layer, target and probe of a model. Its cells are rows of ``metrics.csv``, one per seed
and fold. Within a seed, folds are averaged with weight n or pooled, as specified by the rows of
`jobs.statistics.scores`; seeds are then averaged.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd

from jobs.arrays import FloatArray
from jobs.protocol.folds import StrArray
from jobs.protocol.predictions import CellPredictions
from jobs.statistics.best_layer import SpeakerErrors, class_errors, speaker_errors
from jobs.statistics.classification import ClassSums, class_sums, counts_of_constant, pool
from jobs.statistics.fold_jackknife import fold_errors, fold_intervals, speaker_mean_of_folds
from jobs.statistics.influence import deciding_speaker
from jobs.statistics.regression import HeldOut, SpeakerSums, is_near_constant, speaker_sums
from jobs.statistics.scores import (
    MAIN_SCORE,
    SCORES,
    VALIDATION_LOSS,
    TargetKind,
    class_scores,
    references_for,
    regression_scores,
    with_ends,
)
from jobs.statistics.speaker_intervals import (
    class_intervals,
    intervals_by_evaluation,
    regression_intervals,
)
from jobs.statistics.speaker_mean import (
    SPEAKER_MEAN_COLUMNS,
    SPEAKER_MEAN_PREFIX,
    speaker_mean_scores,
)
from jobs.statistics.validated import ValidatedLayer

OfFold = TypeVar("OfFold")

ReadPredictions = Callable[[str], CellPredictions]
"""Returns the predictions of a cell by its id."""

SPEAKERS, FOLDS = "speakers", "folds"
"""Values of the column ``interval_over``."""

DECIDING_SPEAKER = "influential_speaker"
"""Column with the speaker who decides the main score, empty if no speaker does."""
WITHOUT_SPEAKER = "_without_speaker"
"""Ending of the column with the main score without that speaker."""

_UNDEFINED_WITH_R2 = ("r2_low", "r2_high", "speaker_mean_r2")
"""Columns that are undefined where ``r2`` is; for a constant target their sums of squares contain
only rounding errors."""


_CORRELATIONS = (*with_ends("pearson"), "spearman", "within_speaker")
"""Columns that are undefined where predictions hardly vary."""


@dataclass(frozen=True)
class PointScores:
    """The scores of one point."""

    columns: Mapping[str, object]
    """Values by column of ``layers.csv``."""
    errors: SpeakerErrors
    """Losses by speaker or by fold."""
    validated: ValidatedLayer | None = None
    """The same by fold, with validation losses; None if a cell has none."""


def point_of_predictions(
    cells: pd.DataFrame, read: ReadPredictions, speakers: Mapping[str, str], *, of_classes: bool
) -> PointScores:
    """Score a point from its predictions, with intervals over speakers.

    Args:
        cells: rows of ``metrics.csv``, at least one.
        read: reads the predictions of a cell.
        speakers: speaker of every utterance id.
        of_classes: whether the target is a class.
    """
    runs = [[read(name) for name in folds["cell_id"]] for _, folds in cells.groupby("seed")]
    columns, errors, by_fold = (_of_classes if of_classes else _of_numbers)(cells, runs, speakers)
    tested = [read(name) for name in cells.drop_duplicates("fold")["cell_id"]]
    folds = [(_values(cell)[0], _speakers(cell, speakers), cell.train_mean) for cell in tested]
    counts = {"n_speakers": len(errors.speakers), "interval_over": SPEAKERS}
    columns = columns | speaker_mean_scores(folds, of_classes)
    kind: TargetKind = "classification" if of_classes else "regression"
    validated = _validated(cells, VALIDATION_LOSS[kind], by_fold)
    known = columns | _not_below_no_skill(columns) | counts | _influence(errors, kind)
    return _checked(known, errors, validated)


def point_of_folds(cells: pd.DataFrame) -> PointScores:
    """Score a point from its rows of ``metrics.csv`` alone, with intervals over folds."""
    columns = averaged_scores(cells) | _ends(fold_intervals(cells))
    columns |= speaker_mean_of_folds(cells)
    known = columns | _not_below_no_skill(columns) | {"interval_over": FOLDS}
    by_fold = [fold_errors(of_fold) for _, of_fold in cells.groupby("fold")]
    validated = _validated(cells, VALIDATION_LOSS["regression"], by_fold)
    return _checked(known, fold_errors(cells), validated)


def control_scores(controls: Mapping[str, pd.DataFrame], *, of_classes: bool) -> dict[str, float]:
    """Compute the main score on each control that has cells, by column of ``layers.csv``.

    Args:
        controls: rows of ``metrics.csv`` by the ending of the control's columns.
        of_classes: whether the target is a class.
    """
    score = MAIN_SCORE["classification" if of_classes else "regression"]
    return {
        f"{score}_{ending}": _average(cells, score) if of_classes else averaged_scores(cells)[score]
        for ending, cells in controls.items()
        if len(cells)
    }


def averaged_scores(cells: pd.DataFrame) -> dict[str, float]:
    """Average the scores of numbers, and their references, over the folds and seeds of
    ``cells``."""
    seeds = [_over_folds(folds) for _, folds in cells.groupby("seed")]
    return {name: _mean([seed[name] for seed in seeds]) for name in seeds[0]}


def pooled_class_scores(runs: list[list[ClassSums]]) -> dict[str, float]:
    """Score classes from counts pooled over the folds of a seed, then average over seeds."""
    counts = [pool(folds).values.sum(axis=0) for folds in runs]
    return {
        row.name: float(np.mean([float(row.of_counts(of_seed)) for of_seed in counts]))
        for row in class_scores()
    }


def _validated(
    cells: pd.DataFrame, column: str, by_fold: Sequence[SpeakerErrors]
) -> ValidatedLayer | None:
    """Pair the test losses of every fold with its validation loss.

    Args:
        cells: rows of ``metrics.csv`` of one point.
        column: of the validation loss.
        by_fold: test losses by fold, in ascending order.

    Returns:
        None where a loss is missing, or a seed lacks a fold.
    """
    if column not in cells or cells[column].isna().any():
        return None
    losses = cells.pivot(index="fold", columns="seed", values=column).to_numpy(dtype=np.float64)
    if np.isnan(losses).any():
        return None
    return ValidatedLayer(losses.mean(axis=1), tuple(by_fold))


def _influence(errors: SpeakerErrors, kind: TargetKind) -> dict[str, object]:
    """Name the speaker who decides the main score, with the score of the others."""
    score = MAIN_SCORE[kind]
    scale = SCORES[score].scale
    assert scale
    found = deciding_speaker(errors, scale)
    named = {DECIDING_SPEAKER: found.speaker if found else ""}
    return named | ({f"{score}{WITHOUT_SPEAKER}": found.without} if found else {})


def _checked(
    columns: Mapping[str, object], errors: SpeakerErrors, validated: ValidatedLayer | None
) -> PointScores:
    """Set the scores that require R² to NaN where it is undefined."""
    r2 = columns.get("r2")
    if r2 is None or r2 == r2:
        return PointScores(columns, errors, validated)
    undefined = dict.fromkeys(_UNDEFINED_WITH_R2, float("nan"))
    return PointScores({**columns, **undefined}, errors.without_reference())


def _of_numbers(
    cells: pd.DataFrame, runs: list[list[CellPredictions]], speakers: Mapping[str, str]
) -> tuple[dict[str, float], SpeakerErrors, list[SpeakerErrors]]:
    """Scores by column, and losses over all folds and by fold."""

    def sums(cell: CellPredictions) -> SpeakerSums:
        return speaker_sums(*_values(cell), cell.train_mean, _speakers(cell, speakers))

    def held_out(cell: CellPredictions) -> HeldOut:
        return HeldOut(*_values(cell), cell.train_mean, _speakers(cell, speakers))

    by_speaker = [[sums(cell) for cell in folds] for folds in runs]
    intervals = regression_intervals(by_speaker)
    if evaluated := [row for row in regression_scores() if row.scale and not row.of_sums]:
        tests = [[held_out(cell) for cell in folds] for folds in runs]
        intervals |= intervals_by_evaluation(evaluated, tests)
    by_fold = [speaker_errors([[sums] for sums in seeds]) for seeds in _by_fold(by_speaker)]
    columns = averaged_scores(cells) | _ends(intervals)
    if is_near_constant(_values(cell) for folds in runs for cell in folds):
        columns |= dict.fromkeys(_CORRELATIONS, float("nan"))
    return columns, speaker_errors(by_speaker), by_fold


def _of_classes(
    cells: pd.DataFrame, runs: list[list[CellPredictions]], speakers: Mapping[str, str]
) -> tuple[dict[str, float], SpeakerErrors, list[SpeakerErrors]]:
    """Scores by column, and losses over all folds and by fold."""
    counts = [
        [class_sums(*_values(cell), _speakers(cell, speakers)) for cell in folds] for folds in runs
    ]
    columns = pooled_class_scores(counts) | _ends(class_intervals(counts))
    columns |= _class_references(cells, counts)
    majority = [[cell.train_mean for cell in folds] for folds in runs]
    by_fold = [
        class_errors([[sums] for sums in of_fold], [[code] for code in codes])
        for of_fold, codes in zip(_by_fold(counts), _by_fold(majority), strict=True)
    ]
    return columns, class_errors(counts, majority), by_fold


def _by_fold(runs: Sequence[Sequence[OfFold]]) -> list[tuple[OfFold, ...]]:
    """Regroup the folds of seeds to the seeds of folds; [] where a seed lacks a fold."""
    same = len({len(folds) for folds in runs}) == 1
    return list(zip(*runs, strict=True)) if same else []


def _class_references(cells: pd.DataFrame, runs: list[list[ClassSums]]) -> dict[str, float]:
    """Score the no-skill predictions of classes, by column.

    They are the most frequent class of each fold's training split, and the most frequent class of
    all tested utterances; the better of the two counts. The first alone may be below chance, where
    a class that is rare in the training split is frequent in the test split.
    """
    constant = [counts_of_constant(pool(folds).values.sum(axis=0)) for folds in runs]
    found = {}
    for row in class_scores():
        if row.reference:
            of_test = float(np.mean([float(row.of_counts(counts)) for counts in constant]))
            found[row.reference] = row.better(_average(cells, row.reference), of_test)
    return found


def _not_below_no_skill(columns: Mapping[str, float]) -> dict[str, float]:
    """Return the speaker mean's scores, each at least as good as that of the no-skill prediction.

    Every utterance is predicted from the others of its speaker, which are anti-correlated with it
    where speakers hardly differ: knowing the speaker would seem worse than knowing nothing.
    """
    found = {}
    for name in SPEAKER_MEAN_COLUMNS:
        if name in columns:
            row = SCORES[name.removeprefix(SPEAKER_MEAN_PREFIX)]
            nothing = columns[row.reference] if row.reference else 0.0
            found[name] = row.better(columns[name], nothing)
    return found


def _over_folds(folds: pd.DataFrame) -> dict[str, float]:
    """Average the scores of numbers of one seed over its folds."""
    rows = list(regression_scores())
    columns = [*(row.name for row in rows), *references_for("regression")]
    n = folds["n_test"].to_numpy(dtype=np.float64)
    over = {name: _weighted(folds[name].to_numpy(dtype=np.float64), n) for name in columns}
    followed = {
        row.name: row.of_errors(over)
        for row in rows
        if row.of_errors and not np.isnan(over[row.name])
    }
    return over | followed


def _weighted(values: FloatArray, n: FloatArray) -> float:
    """Mean over the folds in which a score is defined; NaN where there is none."""
    known = ~np.isnan(values)
    return float(np.average(values[known], weights=n[known])) if known.any() else float("nan")


def _average(cells: pd.DataFrame, score: str) -> float:
    """Average a share of utterances over folds, weighted by utterances, then over seeds."""
    seeds = [
        float(np.average(folds[score].astype(float), weights=folds["n_test"]))
        for _, folds in cells.groupby("seed")
    ]
    return float(np.mean(seeds))


def _ends(intervals: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, (low, high) in intervals.items():
        found |= {f"{name}_low": low, f"{name}_high": high}
    return found


def _values(cell: CellPredictions) -> tuple[FloatArray, FloatArray]:
    return cell.y_true.astype(np.float64), cell.y_pred.astype(np.float64)


def _speakers(cell: CellPredictions, speakers: Mapping[str, str]) -> StrArray:
    return np.array([speakers[str(name)] for name in cell.utterance_id], dtype=np.str_)


def _mean(values: list[float]) -> float:
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")
