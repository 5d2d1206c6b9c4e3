"""Scores of held-out predictions, and their intervals over speakers.

A score that is not defined (a correlation with a constant, R² of a constant target) is None.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from jobs.arrays import FloatArray
from jobs.statistics.intervals import LEVEL, NO_INTERVAL, ScaleName, leave_one_out, speaker_interval

CONSTANT = 1e-6
"""A spread below this share of the values' size counts as none: above float32 rounding (6e-8),
which stored predictions carry, and below anything that a probe means."""

SUMS = ("n", "sse", "sae", "sst", "dy", "dp", "dy2", "dp2", "dydp")
"""Columns of ``SpeakerSums.values``; dy and dp are value and prediction minus the training mean."""


def score(
    y: FloatArray, y_pred: FloatArray, train_mean: float, groups: npt.NDArray[np.str_]
) -> dict[str, float | None]:
    """All scores of one test part.

    Args:
        y: (n,) true values, in the target's unit.
        y_pred: (n,) predictions, in the target's unit.
        train_mean: mean of the target over the training part, the prediction that knows nothing.
        groups: (n,) speaker of every row.

    Returns:
        ``mse``, ``mae``, ``rmse``; ``r2`` = 1 − SSE / Σ(y − train_mean)²; ``pearson``,
        ``spearman``; ``within_speaker``: Pearson correlation after subtracting each speaker's own
        means; ``mean_mse``, ``mean_mae``: of predicting ``train_mean`` everywhere.
    """
    error = y_pred - y
    mse, known = float(np.mean(error**2)), no_skill(y, train_mean)
    return {
        "mse": mse,
        "mae": float(np.mean(np.abs(error))),
        "rmse": mse**0.5,
        "r2": None if known.constant else 1 - mse / known.mse,
        "pearson": pearson(y, y_pred),
        "spearman": _spearman(y, y_pred),
        "within_speaker": _within(y, y_pred, groups),
        "mean_mse": known.mse,
        "mean_mae": known.mae,
    }


@dataclass(frozen=True)
class NoSkill:
    """What predicting the training mean everywhere reaches."""

    mse: float
    mae: float
    constant: bool
    """The target has no spread about it, so that no R² is defined."""


def no_skill(y: FloatArray, train_mean: float) -> NoSkill:
    """Of the true values ``y`` (n,) of a test part."""
    from_mean = y - train_mean
    mse = float(np.mean(from_mean**2))
    size = max(float(np.abs(y).max()), abs(train_mean))
    return NoSkill(mse, float(np.mean(np.abs(from_mean))), not mse**0.5 > CONSTANT * size)


def pearson(a: FloatArray, b: FloatArray) -> float | None:
    """Pearson correlation of two (n,) arrays; None where one of them is constant."""
    return _correlation(a - a.mean(), b - b.mean(), _size(a), _size(b))


@dataclass(frozen=True)
class SpeakerSums:
    """What the scores of one test part need to know of each speaker."""

    speakers: tuple[str, ...]
    values: FloatArray
    """(S, 9), columns ``SUMS``."""
    size: float
    """Largest magnitude among predictions and values, against which a spread is constant."""


def speaker_sums(
    y: FloatArray, y_pred: FloatArray, train_mean: float, groups: npt.NDArray[np.str_]
) -> SpeakerSums:
    """Per-speaker sums of one test part; arguments as in ``score``."""
    speakers, of_row = np.unique(groups, return_inverse=True)
    dy, dp = y - train_mean, y_pred - train_mean
    error = dp - dy
    columns = (np.ones_like(dy), error**2, np.abs(error), dy**2, dy, dp, dy**2, dp**2, dy * dp)
    per_speaker = [np.bincount(of_row, column, len(speakers)) for column in columns]
    values = np.stack(per_speaker, axis=1).astype(np.float64)
    return SpeakerSums(tuple(map(str, speakers)), values, max(_size(y), _size(y_pred)))


INTERVALS: dict[str, ScaleName] = {
    "r2": "rest",
    "mse": "error",
    "rmse": "error",
    "mae": "error",
    "pearson": "correlation",
}
"""Scores that have intervals, and the scale of each (`jobs.statistics.intervals`)."""


def score_intervals(
    runs: Sequence[Sequence[SpeakerSums]], level: float = LEVEL
) -> dict[str, tuple[float, float]]:
    """Intervals of ``INTERVALS`` over speakers, each with all its utterances.

    Args:
        runs: per seed of the probe, the sums of every fold. Within a seed, errors are pooled over
            folds by sums and correlations averaged with weight n; then seeds are averaged.
        level: coverage that is asked for.

    Returns:
        (low, high) of each score; NaN where fewer than two speakers were tested, or where the score
        is not defined.
    """
    speakers = tuple(sorted({name for run in runs for sums in run for name in sums.speakers}))
    if len(speakers) < 2:
        return dict.fromkeys(INTERVALS, NO_INTERVAL)
    position = {name: i for i, name in enumerate(speakers)}
    weights = np.concatenate([np.ones((1, len(speakers))), leave_one_out(len(speakers))])
    scores = _scores_of(runs, weights, position)
    sizes = np.zeros(len(speakers))
    for sums in runs[0]:
        sizes[[position[name] for name in sums.speakers]] += sums.values[:, SUMS.index("n")]
    return {
        name: speaker_interval(float(values[0]), values[1:], sizes, INTERVALS[name], level)
        for name, values in scores.items()
    }


@lru_cache(maxsize=16)
def resample_weights(n_speakers: int, resamples: int, seed: int) -> FloatArray:
    """(R, S): how often each resample draws each speaker."""
    shares = np.full(n_speakers, 1 / n_speakers)
    drawn = np.random.default_rng(seed).multinomial(n_speakers, shares, size=resamples)
    return drawn.astype(np.float64)


def _scores_of(
    runs: Sequence[Sequence[SpeakerSums]], weights: FloatArray, position: dict[str, int]
) -> dict[str, FloatArray]:
    """Scores of every row of ``weights``, averaged over seeds."""
    per_run = [_weighted_scores(run, weights, position) for run in runs]
    return {name: np.mean([scores[name] for scores in per_run], axis=0) for name in per_run[0]}


def _weighted_scores(
    run: Sequence[SpeakerSums], weights: FloatArray, position: dict[str, int]
) -> dict[str, FloatArray]:
    """(R,) scores of one seed: a fold's sums are weighted by how often its speakers count."""
    folds = []
    correlations = []
    for sums in run:
        columns = [position[name] for name in sums.speakers]
        drawn = dict(zip(SUMS, (weights[:, columns] @ sums.values).T, strict=True))
        folds.append(drawn)
        correlations.append(_pearson_of_sums(drawn, sums.size))
    total = {name: np.sum([fold[name] for fold in folds], axis=0) for name in SUMS}
    least = (CONSTANT * max(sums.size for sums in run)) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = total["sst"] / total["n"] > least
        scores = {
            "r2": np.where(spread, 1 - total["sse"] / total["sst"], np.nan),
            "mse": total["sse"] / total["n"],
            "rmse": np.sqrt(total["sse"] / total["n"]),
            "mae": total["sae"] / total["n"],
            "pearson": _weighted_mean(np.stack(correlations), np.stack([f["n"] for f in folds])),
        }
    return {name: np.where(np.isfinite(values), values, np.nan) for name, values in scores.items()}


def _pearson_of_sums(sums: dict[str, FloatArray], size: float) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        var_y = sums["dy2"] / sums["n"] - (sums["dy"] / sums["n"]) ** 2
        var_p = sums["dp2"] / sums["n"] - (sums["dp"] / sums["n"]) ** 2
        covariance = sums["dydp"] / sums["n"] - sums["dy"] * sums["dp"] / sums["n"] ** 2
        least = (CONSTANT * size) ** 2
        defined = (var_y > least) & (var_p > least)
        return np.where(defined, covariance / np.sqrt(var_y * var_p), np.nan)


def _weighted_mean(values: FloatArray, weights: FloatArray) -> FloatArray:
    """(F, R) → (R,) over folds, leaving out what is not defined."""
    weights = np.where(np.isnan(values), 0, weights)
    return np.asarray(np.nansum(values * weights, axis=0) / weights.sum(axis=0))


def _size(values: FloatArray) -> float:
    return float(np.abs(values).max())


def _correlation(a: FloatArray, b: FloatArray, size_a: float, size_b: float) -> float | None:
    """Of two centred arrays; ``size`` is the magnitude that their spread is compared with."""
    spread_a, spread_b = float(np.mean(a**2)) ** 0.5, float(np.mean(b**2)) ** 0.5
    if spread_a <= CONSTANT * size_a or spread_b <= CONSTANT * size_b:
        return None
    return float(np.clip(np.mean(a * b) / (spread_a * spread_b), -1, 1))


def _spearman(a: FloatArray, b: FloatArray) -> float | None:
    if pearson(a, b) is None:
        return None
    return pearson(rankdata(a), rankdata(b))


def _within(y: FloatArray, y_pred: FloatArray, groups: npt.NDArray[np.str_]) -> float | None:
    _, of_row = np.unique(groups, return_inverse=True)
    counts = np.bincount(of_row)
    y_own = y - (np.bincount(of_row, y) / counts)[of_row]
    pred_own = y_pred - (np.bincount(of_row, y_pred) / counts)[of_row]
    return _correlation(y_own, pred_own, _size(y), _size(y_pred))
