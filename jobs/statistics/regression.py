"""Scores of predicted numbers: functions of the predictions of one test split, and of sums.

A score that is not defined (a correlation with a constant, R² of a constant target) is None, or NaN
in arrays.

Legend: U utterances, S speakers, R weightings of the speakers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from jobs.arrays import FloatArray

CONSTANT = 1e-6
"""Spread, as a share of the values' magnitude, below which values count as constant: above float32
rounding (6e-8), which affects stored predictions, and below any informative spread."""

NEAR_CONSTANT = 0.01
"""Share of the target's SD: correlations of predictions with a smaller SD mean nothing."""

SUMS = ("n", "sse", "sae", "sst", "dy", "dp", "dy2", "dp2", "dydp")
"""Columns of ``SpeakerSums.values``; dy and dp are value and prediction minus the training mean."""


@dataclass(frozen=True)
class HeldOut:
    """The predictions of one test split."""

    y: FloatArray
    """(U,) true values, in the target's unit."""
    y_pred: FloatArray
    """(U,) predictions, in the target's unit."""
    train_mean: float
    """Mean of the target over the training split: the prediction of the mean predictor."""
    speakers: npt.NDArray[np.str_]
    """(U,)"""


def mse_of(test: HeldOut) -> float:
    """Mean squared error, Σ (ŷ − y)² / U."""
    return float(np.mean((test.y_pred - test.y) ** 2))


def mae_of(test: HeldOut) -> float:
    """Mean absolute error, Σ |ŷ − y| / U."""
    return float(np.mean(np.abs(test.y_pred - test.y)))


def rmse_of(test: HeldOut) -> float:
    """Root of the mean squared error."""
    return float(mse_of(test) ** 0.5)


def r2_of(test: HeldOut) -> float | None:
    """R² = 1 − Σ (ŷ − y)² / Σ (y − ȳ)², with ȳ the *training* mean; None for a constant target."""
    baseline = no_skill(test.y, test.train_mean)
    return None if baseline.constant else 1 - mse_of(test) / baseline.mse


def pearson_of(test: HeldOut) -> float | None:
    """Pearson correlation of values and predictions; None where either is constant."""
    return pearson(test.y, test.y_pred)


def spearman_of(test: HeldOut) -> float | None:
    """Spearman rank correlation of values and predictions; None where either is constant."""
    if pearson_of(test) is None:
        return None
    return pearson(rankdata(test.y), rankdata(test.y_pred))


def within_speaker_of(test: HeldOut) -> float | None:
    """Pearson correlation after each speaker's own means are subtracted."""
    _, of_row = np.unique(test.speakers, return_inverse=True)
    counts = np.bincount(of_row)
    y_own = test.y - (np.bincount(of_row, test.y) / counts)[of_row]
    pred_own = test.y_pred - (np.bincount(of_row, test.y_pred) / counts)[of_row]
    return _correlation(y_own, pred_own, _size(test.y), _size(test.y_pred))


@dataclass(frozen=True)
class NoSkill:
    """Errors of the mean predictor, which always predicts the training mean."""

    mse: float
    mae: float
    constant: bool
    """True if the target does not vary about the training mean, so that R² is undefined."""


def no_skill(y: FloatArray, train_mean: float) -> NoSkill:
    """Score the mean predictor on the true values ``y`` (U,) of a test split."""
    from_mean = y - train_mean
    mse = float(np.mean(from_mean**2))
    size = max(float(np.abs(y).max()), abs(train_mean))
    return NoSkill(mse, float(np.mean(np.abs(from_mean))), not mse**0.5 > CONSTANT * size)


def pearson(a: FloatArray, b: FloatArray) -> float | None:
    """Pearson correlation of two (n,) arrays; None where one of them is constant."""
    return _correlation(a - a.mean(), b - b.mean(), _size(a), _size(b))


def is_near_constant(tests: Iterable[tuple[FloatArray, FloatArray]]) -> bool:
    """Return True if predictions hardly vary: see ``NEAR_CONSTANT``.

    Args:
        tests: (y, y_pred) of every test split, whose SDs are those about its own means.
    """
    squares = [(((y - y.mean()) ** 2).sum(), ((p - p.mean()) ** 2).sum()) for y, p in tests]
    of_target, of_predictions = np.sum(squares, axis=0)
    return bool(of_predictions < NEAR_CONSTANT**2 * of_target)


@dataclass(frozen=True)
class SpeakerSums:
    """Sums over the utterances of each speaker of one test split."""

    speakers: tuple[str, ...]
    values: FloatArray
    """(S, 9), columns ``SUMS``."""
    size: float
    """Largest magnitude among predictions and values, to which a spread is compared."""

    def weighted(self, weights: FloatArray) -> "WeightedSums":
        """Sums over the speakers under each row of ``weights`` (R, S)."""
        columns = (weights @ self.values).T
        return WeightedSums(dict(zip(SUMS, columns, strict=True)), self.size)


def speaker_sums(
    y: FloatArray, y_pred: FloatArray, train_mean: float, speakers: npt.NDArray[np.str_]
) -> SpeakerSums:
    """Sum over each speaker's utterances of one test split; arguments as in ``HeldOut``."""
    names, of_row = np.unique(speakers, return_inverse=True)
    dy, dp = y - train_mean, y_pred - train_mean
    error = dp - dy
    columns = (np.ones_like(dy), error**2, np.abs(error), dy**2, dy, dp, dy**2, dp**2, dy * dp)
    per_speaker = [np.bincount(of_row, column, len(names)) for column in columns]
    values = np.stack(per_speaker, axis=1).astype(np.float64)
    return SpeakerSums(tuple(map(str, names)), values, max(_size(y), _size(y_pred)))


@dataclass(frozen=True)
class WeightedSums:
    """Sums over utterances under R weightings of their speakers."""

    values: Mapping[str, FloatArray]
    """(R,) each, by the names in ``SUMS``."""
    size: float
    """Largest magnitude, as in ``SpeakerSums``."""


def mse_of_sums(sums: WeightedSums) -> FloatArray:
    """(R,) mean squared errors."""
    return sums.values["sse"] / sums.values["n"]


def mae_of_sums(sums: WeightedSums) -> FloatArray:
    """(R,) mean absolute errors."""
    return sums.values["sae"] / sums.values["n"]


def rmse_of_sums(sums: WeightedSums) -> FloatArray:
    """(R,) roots of the mean squared errors."""
    return np.sqrt(mse_of_sums(sums))


def r2_of_sums(sums: WeightedSums) -> FloatArray:
    """(R,) R², NaN where the target is constant."""
    of = sums.values
    varies = of["sst"] / of["n"] > (CONSTANT * sums.size) ** 2
    return np.where(varies, 1 - of["sse"] / of["sst"], np.nan)


def pearson_of_sums(sums: WeightedSums) -> FloatArray:
    """(R,) Pearson correlations, NaN where values or predictions are constant."""
    of = sums.values
    var_y = of["dy2"] / of["n"] - (of["dy"] / of["n"]) ** 2
    var_p = of["dp2"] / of["n"] - (of["dp"] / of["n"]) ** 2
    covariance = of["dydp"] / of["n"] - of["dy"] * of["dp"] / of["n"] ** 2
    least = (CONSTANT * sums.size) ** 2
    defined = (var_y > least) & (var_p > least)
    return np.where(defined, covariance / np.sqrt(var_y * var_p), np.nan)


def _size(values: FloatArray) -> float:
    return float(np.abs(values).max())


def _correlation(a: FloatArray, b: FloatArray, size_a: float, size_b: float) -> float | None:
    """Correlate two centred arrays; their spreads are compared with ``size_a`` and ``size_b``."""
    spread_a, spread_b = float(np.mean(a**2)) ** 0.5, float(np.mean(b**2)) ** 0.5
    if spread_a <= CONSTANT * size_a or spread_b <= CONSTANT * size_b:
        return None
    return float(np.clip(np.mean(a * b) / (spread_a * spread_b), -1, 1))
