"""Scores of folds, pooled and compared, where nothing is known of an utterance or a speaker.

``store: gram`` with ``kfold`` leaves a row of scores a fold (`jobs.gram.scores`). A fold is a group
of speakers whom no other fold has, so that what varies between speakers varies between folds: all
here is a jackknife that leaves out a fold at a time, set against Student's t with at most one
degree of freedom less than there are folds. This is the grouped jackknife (K. M. Wolter,
Introduction to Variance Estimation, 2nd ed., Springer 2007, chapter 4; J. Shao & D. Tu, The
Jackknife and Bootstrap, Springer 1995). It is wide: t has 4 degrees of freedom with 5 folds, where
predictions would leave about as many as there are speakers.

Scores of folds are not quite independent, since a fold trains the probes of the others, and what
that does cannot be estimated without bias (Y. Bengio & Y. Grandvalet, JMLR 5, 2004, 1089–1105).
Measured in `tests/jobs/statistics/test_fold_jackknife.py` (40 speakers of 10 to 110 utterances, 5
folds), R² of a probe
lies in its 95 % interval in 95 % of experiments at R² = 0.3 and 0.9, and in 92 % at 0, where the
interval is above 0 in fewer than 1 %. Models that are equally good differ at p < 0.05 in 6 %.

The group that `jobs.statistics.best_layer.SpeakerErrors` has a row of is here a fold, called by
its number.

Legend: F folds, L layers; errors (L, F, 4) have the columns `jobs.statistics.best_layer.ERRORS`.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd
from scipy.stats import t as student

from jobs.arrays import FloatArray
from jobs.statistics.best_layer import Estimate, SpeakerErrors, best_layer, scores_of
from jobs.statistics.differences import Differences, against_t, bonferroni, sizes_of, unvarying
from jobs.statistics.intervals import (
    LEVEL,
    NO_INTERVAL,
    ROUNDING,
    ScaleName,
    degrees_of_freedom,
    jackknife_error,
    leave_one_out,
    speaker_interval,
)
from jobs.statistics.regression import WeightedSums
from jobs.statistics.scores import regression_scores
from jobs.statistics.speaker_mean import N_SPEAKERS

Statistic = Callable[[FloatArray], float]
"""Of rows (F, …), one a fold, the first number of each how many utterances it has."""


def fold_errors(cells: pd.DataFrame) -> SpeakerErrors:
    """Squared errors by fold of one layer, from its rows of ``metrics.csv``, one a fold."""
    n, mse, nothing = (
        cells[name].to_numpy(dtype=np.float64) for name in ("n_test", "mse", "mean_mse")
    )
    values = np.stack([n, n * mse, n * nothing, n * nothing], axis=1)
    return SpeakerErrors(tuple(map(str, cells["fold"])), values)


def fold_intervals(cells: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """95 % intervals of the scores of one layer, from the same rows; NaN with fewer than two folds,
    or where a score is not defined."""
    n, mse, mae, mean_mse = (
        cells[name].to_numpy(dtype=np.float64) for name in ("n_test", "mse", "mae", "mean_mse")
    )
    sums = np.stack([n, n * mse, n * mae, n * mean_mse], axis=1)
    found = {}
    for row in regression_scores():
        if row.scale is None:
            continue
        if row.of_sums and row.sums_over == "all folds":
            one = _estimate(partial(_of_summed, row.of_sums), sums, row.scale)
        else:
            scored = np.stack([n, cells[row.name].to_numpy(dtype=np.float64)], axis=1)
            one = _estimate(_mean, scored[~np.isnan(scored[:, 1])], row.scale)
        found[row.name] = (one.low, one.high)
    return found


def speaker_mean_of_folds(cells: pd.DataFrame) -> dict[str, float]:
    """The speaker mean's scores over the folds, as `jobs.statistics.speaker_mean` pools them, and
    how many speakers were tested."""
    n = cells["n_test"].to_numpy(dtype=np.float64)
    means = {
        name: _mean(np.stack([n, cells[name].to_numpy(dtype=np.float64)], axis=1))
        for name in ("mean_mse", "speaker_mean_mse", "speaker_mean_mae", "speaker_mean_pearson")
    }
    reference, mse = means.pop("mean_mse"), means["speaker_mean_mse"]
    r2 = 1 - mse / reference if reference > 0 else float("nan")
    return {**means, "speaker_mean_r2": r2, N_SPEAKERS: float(cells[N_SPEAKERS].max())}


def score_on_other_folds(layers: Sequence[SpeakerErrors]) -> Estimate:
    """R² of the layer with the lowest mean loss, on folds that had no part in choosing it.

    Every fold is scored with the layer that the others chose; the jackknife repeats the choice
    without each fold. With one layer this is its score and its interval.
    """
    folds = sorted({name for layer in layers for name in layer.speakers})
    values = np.stack([layer.at(folds) for layer in layers])
    return _estimate(_honest_r2, np.moveaxis(values, 1, 0), "rest")


def between_models_by_fold(a: FloatArray, b: FloatArray) -> Differences:
    """The best layer of ``a`` (L_a, F, 4) less that of ``b`` (L_b, F, 4), on folds that had no part
    in choosing either; one difference."""
    rows_a, rows_b = np.moveaxis(a, 1, 0), np.moveaxis(b, 1, 0)
    value = _honest_r2(rows_a) - _honest_r2(rows_b)
    error = jackknife_error(_left_out(_honest_r2, rows_a) - _left_out(_honest_r2, rows_b))
    return against_t(np.array([value]), error[None], sizes_of(a, b))


def against_the_best_by_fold(errors: FloatArray) -> Differences:
    """Each layer (L, F, 4) less the best of them; of the best itself 0, with p = 1.

    One-sided p-values and intervals are Bonferroni's for the L − 1 layers that could be the best in
    its place: the truly best layer is found worse than some other in at most 5 % of experiments
    (multiple comparisons with the best, J. Hsu, The Annals of Statistics 12, 1984, 1136-1144). With
    few folds there is too little to resample for the sharper reference of
    `jobs.statistics.differences`.
    """
    n_folds = errors.shape[1]
    score = scores_of(errors, np.ones((1, n_folds)))[0]
    best, others = best_layer(errors), max(len(errors) - 1, 1)
    left_out = scores_of(errors, leave_one_out(n_folds))
    value = score - score[best]
    error = jackknife_error(left_out - left_out[:, [best]])
    sizes = errors[best, :, 0]
    alike, none = unvarying(value, sizes), error < ROUNDING
    freedom = degrees_of_freedom(sizes)
    reach = student.ppf(1 - (1 - LEVEL) / others, freedom) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.minimum(others * student.sf(-value / error, freedom), 1.0)
    p = np.where(none, bonferroni(alike.p, others), p)
    p[best] = 1.0
    low, high = np.where(none, (alike.low, alike.high), (value - reach, value + reach))
    return Differences(value, low, high, p)


def _estimate(statistic: Statistic, rows: FloatArray, scale: ScaleName) -> Estimate:
    """``statistic`` of ``rows`` (F, …), with its interval of 95 % on ``scale``."""
    value = statistic(rows) if len(rows) else float("nan")
    if len(rows) < 2 or np.isnan(value):
        return Estimate(value, *NO_INTERVAL)
    sizes = rows.reshape(len(rows), -1)[:, 0]
    return Estimate(value, *speaker_interval(value, _left_out(statistic, rows), sizes, scale))


def _left_out(statistic: Statistic, rows: FloatArray) -> FloatArray:
    """(F,) ``statistic`` of ``rows`` (F, …) without each fold in turn."""
    return np.array([statistic(np.delete(rows, fold, axis=0)) for fold in range(len(rows))])


def _honest_r2(rows: FloatArray) -> float:
    """R² over the folds of (F, L, 4), each of the layer that the others choose; of one fold, its
    best."""
    values = rows.transpose(1, 0, 2)
    if len(rows) == 1:
        return _r2(values[best_layer(values)])
    chosen = [best_layer(np.delete(values, fold, axis=1)) for fold in range(len(rows))]
    return _r2(rows[np.arange(len(rows)), chosen])


def _r2(rows: FloatArray) -> float:
    loss, reference = rows[:, 1].sum(), rows[:, 2].sum()
    return float(1 - loss / reference) if reference > 0 else float("nan")


def _of_summed(of_sums: Callable[[WeightedSums], FloatArray], rows: FloatArray) -> float:
    """A score of the sums of rows (F, 4) of n, squared errors, absolute errors and squares about
    the training mean."""
    total = {
        name: rows[:, [column]].sum(axis=0)
        for column, name in enumerate(("n", "sse", "sae", "sst"))
    }
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(of_sums(WeightedSums(total, size=0.0))[0])


def _mean(rows: FloatArray) -> float:
    """Weighted by utterances, over the folds that have a value."""
    known = rows[~np.isnan(rows[:, 1])]
    return float(np.average(known[:, 1], weights=known[:, 0])) if len(known) else float("nan")
