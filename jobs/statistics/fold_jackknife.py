"""Pooling and comparison of scores of folds, without data on single utterances or speakers.

``store: gram`` with ``kfold`` leaves one row of scores per fold (`jobs.gram.scores`). Folds do not
share speakers, so variation between speakers appears as variation between folds: every estimate
here is a jackknife that leaves out one fold at a time, with Student's t of at most F − 1 degrees of
freedom. This is the grouped jackknife (K. M. Wolter, Introduction to Variance Estimation, 2nd ed.,
Springer 2007, chapter 4; J. Shao & D. Tu, The Jackknife and Bootstrap, Springer 1995). Intervals
are wide: t has 4 degrees of freedom with 5 folds, but with predictions it would have about as many
as there are speakers. Folds are units as speakers are elsewhere: with fewer than ``LEAST_UNITS`` of
them, there are no intervals and no p-values, however many speakers they have.

Scores of folds are not quite independent, since each fold is training data for the others, and the
effect cannot be estimated without bias (Y. Bengio & Y. Grandvalet, JMLR 5, 2004, 1089–1105).
Measured in `tests/jobs/statistics/test_fold_jackknife.py` (40 speakers of 10 to 110 utterances, 5
folds), the 95 % interval of a probe's R² contains the truth in 95 % of experiments at R² = 0.3 and
0.9, and in 92 % at 0, where the interval is above 0 in fewer than 1 %. Equally good models differ
at p < 0.05 in 6 %.

Here, a row of `jobs.statistics.best_layer.SpeakerErrors` is a fold, named by its number.

Legend: F folds, L layers; errors (L, F, 4) have the columns `jobs.statistics.best_layer.ERRORS`.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd
from scipy.stats import t as student

from jobs.arrays import FloatArray
from jobs.statistics.best_layer import Estimate, SpeakerErrors, best_layer, scores_of
from jobs.statistics.differences import (
    Differences,
    against_t,
    bonferroni,
    sizes_of,
    untested,
    unvarying,
)
from jobs.statistics.intervals import (
    LEAST_UNITS,
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
"""Statistic of rows (F, …), one per fold; the first number of each row is its number of
utterances."""


def fold_errors(cells: pd.DataFrame) -> SpeakerErrors:
    """Compute the squared errors by fold of one layer from its rows of ``metrics.csv``, one per
    fold."""
    n, mse, nothing = (
        cells[name].to_numpy(dtype=np.float64) for name in ("n_test", "mse", "mean_mse")
    )
    values = np.stack([n, n * mse, n * nothing, n * nothing], axis=1)
    return SpeakerErrors(tuple(map(str, cells["fold"])), values)


def fold_intervals(cells: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Compute 95 % intervals of the scores of one layer from the same rows; NaN with fewer than
    ``LEAST_UNITS`` folds, or where a score is not defined."""
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
    """Pool the speaker mean's scores over the folds, as `jobs.statistics.speaker_mean` does; also
    return the number of speakers tested."""
    n = cells["n_test"].to_numpy(dtype=np.float64)
    means = {
        name: _mean(np.stack([n, cells[name].to_numpy(dtype=np.float64)], axis=1))
        for name in ("mean_mse", "speaker_mean_mse", "speaker_mean_mae", "speaker_mean_pearson")
    }
    reference, mse = means.pop("mean_mse"), means["speaker_mean_mse"]
    r2 = 1 - mse / reference if reference > 0 else float("nan")
    return {**means, "speaker_mean_r2": r2, N_SPEAKERS: float(cells[N_SPEAKERS].max())}


def score_on_other_folds(layers: Sequence[SpeakerErrors]) -> Estimate:
    """Compute R² of the layer with the lowest mean loss on folds that were not used to choose it.

    Every fold is scored with the layer that the others chose; the jackknife repeats the choice
    without each fold. For a single layer, this is its score and its interval.
    """
    folds = sorted({name for layer in layers for name in layer.speakers})
    values = np.stack([layer.at(folds) for layer in layers])
    return _estimate(_honest_r2, np.moveaxis(values, 1, 0), "rest")


def between_models_by_fold(a: FloatArray, b: FloatArray) -> Differences:
    """Compare the best layer of ``a`` (L_a, F, 4) with that of ``b`` (L_b, F, 4) on folds that were
    not used to choose either; one difference."""
    rows_a, rows_b = np.moveaxis(a, 1, 0), np.moveaxis(b, 1, 0)
    value = _honest_r2(rows_a) - _honest_r2(rows_b)
    error = jackknife_error(_left_out(_honest_r2, rows_a) - _left_out(_honest_r2, rows_b))
    return against_t(np.array([value]), error[None], sizes_of(a, b))


def against_the_best_by_fold(errors: FloatArray) -> Differences:
    """Compare each layer (L, F, 4) with the best of them; the best itself has 0, with p = 1.

    One-sided p-values and intervals are Bonferroni-corrected for the L − 1 layers that could be the
    best instead: the truly best layer is found worse than some other in at most 5 % of experiments
    (multiple comparisons with the best, J. Hsu, The Annals of Statistics 12, 1984, 1136-1144).
    There are too few folds to resample for the sharper reference distribution of
    `jobs.statistics.differences`.
    """
    n_folds = errors.shape[1]
    score = scores_of(errors, np.ones((1, n_folds)))[0]
    best, others = best_layer(errors), max(len(errors) - 1, 1)
    if n_folds < LEAST_UNITS:
        return untested(score - score[best])
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
    """Evaluate ``statistic`` on ``rows`` (F, …), with its 95 % interval on ``scale``."""
    value = statistic(rows) if len(rows) else float("nan")
    if len(rows) < LEAST_UNITS or np.isnan(value):
        return Estimate(value, *NO_INTERVAL)
    sizes = rows.reshape(len(rows), -1)[:, 0]
    return Estimate(value, *speaker_interval(value, _left_out(statistic, rows), sizes, scale))


def _left_out(statistic: Statistic, rows: FloatArray) -> FloatArray:
    """(F,) values of ``statistic`` on ``rows`` (F, …) without each fold in turn."""
    return np.array([statistic(np.delete(rows, fold, axis=0)) for fold in range(len(rows))])


def _honest_r2(rows: FloatArray) -> float:
    """R² over the folds of (F, L, 4), each scored with the layer that the others choose; with a
    single fold, its own best layer."""
    values = rows.transpose(1, 0, 2)
    if len(rows) == 1:
        return _r2(values[best_layer(values)])
    chosen = [best_layer(np.delete(values, fold, axis=1)) for fold in range(len(rows))]
    return _r2(rows[np.arange(len(rows)), chosen])


def _r2(rows: FloatArray) -> float:
    loss, reference = rows[:, 1].sum(), rows[:, 2].sum()
    return float(1 - loss / reference) if reference > 0 else float("nan")


def _of_summed(of_sums: Callable[[WeightedSums], FloatArray], rows: FloatArray) -> float:
    """Compute a score from the sums of rows (F, 4): n, squared errors, absolute errors, and squares
    about the training mean."""
    total = {
        name: rows[:, [column]].sum(axis=0)
        for column, name in enumerate(("n", "sse", "sae", "sst"))
    }
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(of_sums(WeightedSums(total, size=0.0))[0])


def _mean(rows: FloatArray) -> float:
    """Average over the folds that have a value, weighted by utterances."""
    known = rows[~np.isnan(rows[:, 1])]
    return float(np.average(known[:, 1], weights=known[:, 0])) if len(known) else float("nan")
