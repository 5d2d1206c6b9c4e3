"""The methods that were replaced, for comparison."""

import numpy as np
from scipy.stats import t as student

from jobs.arrays import FloatArray
from jobs.statistics.best_layer import best_layer, cross_scores, scores_of
from jobs.statistics.intervals import (
    LEVEL,
    ROUNDING,
    SCALES,
    ScaleName,
    degrees_of_freedom,
    interval_of,
    jackknife_error,
    leave_one_out,
    on_scale,
    resample_weights,
)


def freedom(left_out: FloatArray, sizes: FloatArray) -> float:
    """Degrees of freedom by size and kurtosis, with no floor but 1."""
    values, by_size = left_out[~np.isnan(left_out)], degrees_of_freedom(sizes)
    n, deviations = len(values), values - values.mean()
    spread = float(np.mean(deviations**2))
    if n < 4 or spread == 0:
        return max(1.0, by_size)
    excess = float(np.mean(deviations**4)) / spread**2 - 3
    kurtosis = ((n + 1) * excess + 6) * (n - 1) / ((n - 2) * (n - 3))
    return float(max(1.0, min(by_size, 2 * n / (kurtosis + 2) if kurtosis > -2 else np.inf)))


def of_layer(errors: FloatArray, scale: ScaleName) -> tuple[float, float]:
    """Interval of one layer (S, 4)."""
    n, sizes = len(errors), errors[:, 0]
    value = float(scores_of(errors[None], np.ones((1, n)))[0, 0])
    without = on_scale(scores_of(errors[None], leave_one_out(n))[:, 0], value, scale)
    error = float(jackknife_error(without))
    return interval_of(value, error, freedom(without, sizes), sizes, scale)


def of_chosen(
    values: FloatArray, resamples: int, seed: int, scale: ScaleName
) -> tuple[float, float]:
    """Interval of the best of (L, S, 4): that of the layer, stretched to either side by the choice
    and again by the deals."""
    n = values.shape[1]
    dealt, drawn = cross_scores(values, resamples, seed)
    best, value = values[best_layer(values)], float(dealt.mean())
    spread, score, left_out = (
        on_scale(scores_of(best[None], weights)[:, 0], value, scale)
        for weights in (resample_weights(n, resamples, seed), np.ones((1, n)), leave_one_out(n))
    )
    error, sizes = float(jackknife_error(left_out)), best[:, 0]
    alone = interval_of(value, error, freedom(left_out, sizes), sizes, scale)
    dealt, drawn = on_scale(dealt, value, scale), on_scale(drawn, value, scale)
    factors = _by_choice(dealt, drawn, spread - score)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        middle, ends = (SCALES[scale].to(np.array(x)) for x in (value, alone))
        wider = SCALES[scale].back(middle + (ends - middle) * factors)
    low, high = (float(w) if np.isfinite(w) else e for w, e in zip(wider, alone, strict=True))
    return low, high


def _by_choice(dealt: FloatArray, drawn: FloatArray, spread: FloatArray) -> tuple[float, float]:
    drawn, spread = drawn[~np.isnan(drawn)] - dealt.mean(), spread[~np.isnan(spread)]
    factors = []
    if np.isnan(dealt).any() or not len(drawn):
        return 1.0, 1.0
    for side in (-1, 1):
        chosen = 2 * float(np.mean(np.maximum(side * drawn, 0) ** 2)) - float(dealt.var())
        one = 2 * float(np.mean(np.maximum(side * spread, 0) ** 2))
        factors.append(max(1.0, chosen / one) ** 0.5 if one > ROUNDING**2 else 1.0)
    return factors[0], factors[1]


def between_models(
    a: FloatArray, b: FloatArray, resamples: int, seed: int
) -> tuple[float, float, float]:
    """(p, low, high) of the difference of two models at their best, on other speakers."""
    (dealt_a, drawn_a), (dealt_b, drawn_b) = (cross_scores(x, resamples, seed) for x in (a, b))
    best_a, best_b = (x[best_layer(x)][None] for x in (a, b))
    n = a.shape[1]
    spread, left_out = (
        (scores_of(best_a, weights) - scores_of(best_b, weights))[:, 0]
        for weights in (resample_weights(n, resamples, seed), leave_one_out(n))
    )
    dealt, drawn = dealt_a - dealt_b, drawn_a - drawn_b
    variance = max(float(np.nanvar(drawn) - dealt.var()), float(np.nanvar(spread)))
    one = float(np.nanstd(spread))
    widening = float(jackknife_error(left_out)) / one if one > ROUNDING else 1.0
    error, degrees = variance**0.5 * widening, degrees_of_freedom(a[0, :, 0])
    if error < ROUNDING:
        return 1.0, float(dealt.mean()), float(dealt.mean())
    value, reach = float(dealt.mean()), float(student.ppf((1 + LEVEL) / 2, degrees)) * error
    return float(2 * student.sf(abs(value) / error, degrees)), value - reach, value + reach
