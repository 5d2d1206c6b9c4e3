"""Intervals and standard errors over speakers, valid for few, unequal and heterogeneous speakers.

Utterances of one speaker are similar, so speakers are the sampling unit. The standard error of a
score is that of the jackknife that leaves out one speaker at a time with all its utterances (B.
Efron & C. Stein, The jackknife estimate of variance, The Annals of Statistics 9, 1981, 586–596; for
clusters of unequal size MacKinnon, Nielsen & Webb, Fast and reliable jackknife and bootstrap
methods for cluster-robust inference, Journal of Applied Econometrics 38, 2023, 671–694). The
interval is

    g(θ) ± t_d · SE, transformed back to the score's own scale,

where g is a scale on which the score is approximately normal (`SCALES`), so that the interval is as
asymmetric as the score and never leaves its range, and t is the quantile of Student's t with d
degrees of freedom (`freedom`): fewer than speakers where some have many more utterances than
others, or where a few dominate the standard error, which is then itself uncertain. This is
Satterthwaite's approximation (F. Satterthwaite, An approximate distribution of estimates of
variance components, Biometrics Bulletin 2, 1946, 110–114) for a variance of values with a kurtosis
(B. O'Neill, Some useful moment results in sampling problems, The American Statistician 68, 2014,
282–296).

Its 95 % coverage is measured in `tests/jobs/statistics/test_known_answers.py`, and for 6 to 40
speakers in `tests/benchmarks/STATISTICS.md`; bootstrap percentile
intervals, for comparison, cover too rarely where speakers differ in their errors, and fail where
nearly all predictions are correct.

Legend: S speakers, R resamples, L layers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy.special import expit, logit
from scipy.stats import beta
from scipy.stats import t as student

from jobs.arrays import FloatArray

NO_INTERVAL = (float("nan"), float("nan"))

ROUNDING = 1e-9
"""Standard error below which there is only rounding: scales are logarithms, of magnitude 1."""

LEAST_UNITS = 5
"""Fewest speakers, or folds, from which there is an interval or a p-value. With four, t has at most
three degrees of freedom and fewer where they are unequal, and on a logarithmic scale such an
interval says nothing: R² between −1e15 and 1."""

LEVEL = 0.95
"""Nominal coverage of the intervals of every table and figure."""


@dataclass(frozen=True)
class Scale:
    """A scale on which a score is approximately normal."""

    to: Callable[[FloatArray], FloatArray]
    """g"""
    back: Callable[[FloatArray], FloatArray]
    slope: Callable[[FloatArray], FloatArray]
    """g'"""


ScaleName = Literal["error", "rest", "correlation", "share", "plain"]

SCALES: dict[ScaleName, Scale] = {
    "error": Scale(np.log, np.exp, np.reciprocal),
    "rest": Scale(lambda x: -np.log1p(-x), lambda z: -np.expm1(-z), lambda x: 1 / (1 - x)),
    "correlation": Scale(np.arctanh, np.tanh, lambda x: 1 / (1 - x**2)),
    "share": Scale(logit, expit, lambda x: 1 / (x - x**2)),
    "plain": Scale(np.positive, np.positive, np.ones_like),
}
"""Scales by name. ``error``: logarithm, for a mean loss · ``rest``: logarithm of the unexplained
share, for R² · ``correlation``: R. A. Fisher's z (Metron 1, 1921, 3–32) · ``share``: log odds, as
for proportions in samples of clusters (N. Dean & M. Pagano, Evaluating confidence interval methods
for binomial proportions in clustered surveys, Journal of Survey Statistics and Methodology 3, 2015,
484–503) · ``plain``: the score's own, for a difference or a slope."""


def speaker_interval(
    value: float,
    left_out: FloatArray,
    sizes: FloatArray,
    scale: ScaleName,
    level: float = LEVEL,
) -> tuple[float, float]:
    """Compute the interval of a score over speakers.

    Args:
        value: the score on all speakers.
        left_out: (S,) the score without each speaker in turn, NaN where it is not defined.
        sizes: (S,) utterances of each speaker.
        scale: scale on which it is approximately normal.
        level: nominal coverage.

    Returns:
        (low, high) as ``interval_of``; NaN where the score is not defined, or its value is defined
        without fewer than ``LEAST_UNITS`` of the speakers.
    """
    defined = left_out[~np.isnan(left_out)]
    if np.isnan(value) or len(defined) < LEAST_UNITS:
        return NO_INTERVAL
    without = on_scale(defined, value, scale)
    error = float(jackknife_error(without))
    return interval_of(value, error, freedom(without, sizes), sizes, scale, level)


def on_scale(values: FloatArray, value: float, scale: ScaleName) -> FloatArray:
    """Apply g to ``values`` (n,), NaN where these are.

    It is linearised about the ``value`` θ, g(θ) + g'(θ)(x − θ), for shares, of which some may be 0
    or 1 and have no odds, and wherever else g is undefined.
    """
    to, _, slope = vars(SCALES[scale]).values()
    with np.errstate(divide="ignore", invalid="ignore"):
        there = np.asarray(to(values))
        if scale == "share" or not np.isfinite(there[~np.isnan(values)]).all():
            there = to(np.array(value)) + slope(np.array(value)) * (values - value)
        return np.asarray(there, dtype=np.float64)


def interval_of(
    value: float,
    error: float,
    degrees: float,
    sizes: FloatArray,
    scale: ScaleName,
    level: float = LEVEL,
) -> tuple[float, float]:
    """Return (low, high) for a score with this standard ``error`` on the scale.

    A share lies within the exact binomial interval (C. Clopper & E. Pearson, Biometrika 26, 1934,
    404–413) of as many draws as there are effective speakers, following E. Korn & B. Graubard for
    samples of clusters (Survey Methodology 24, 1998, 193–201): the interval if all answers of a
    speaker were equally right or wrong. It is the only information where nothing varies: if all
    answers are correct, its lower end is about 1 − 3.7 / S (the rule of three, for 95 % and two
    tails). Other scores with a standard error of 0, or at the end of their scale, have an interval
    of zero width.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        middle = SCALES[scale].to(np.array(value))
        known = bool(np.isfinite(middle) and np.isfinite(error) and error > ROUNDING)
        reach = float(student.ppf((1 + level) / 2, degrees)) * error if known else 0.0
        low, high = map(float, SCALES[scale].back(middle + np.array([-reach, reach])))
    if scale != "share":
        return (low, high) if known else (value, value)
    widest = _binomial(value, effective_number(sizes), level)
    return (max(low, widest[0]), min(high, widest[1])) if known else widest


def _binomial(share: float, n: float, level: float) -> tuple[float, float]:
    """Clopper and Pearson's interval for a ``share`` of ``n`` draws; neither count need be an
    integer."""
    tail, right = (1 - level) / 2, share * n
    low = float(beta.ppf(tail, right, n - right + 1)) if right > 0 else 0.0
    high = float(beta.ppf(1 - tail, right + 1, n - right)) if right < n else 1.0
    return low, high


def freedom(left_out: FloatArray, sizes: FloatArray) -> float:
    """Degrees of freedom of a jackknife's standard error, at least 1.

    For a variance of S values with excess kurtosis κ they are 2 S / (κ + 2) (O'Neill 2014, without
    terms in 1 / S); the values are the influence of each speaker on the score, κ their G2 (D.
    Joanes & C. Gill, Comparing measures of sample skewness and kurtosis, The Statistician 47, 1998,
    183–189). They never exceed ``degrees_of_freedom`` of the sizes, nor are they less than half of
    that: κ is itself uncertain, and one unusual speaker of 40 would leave one degree of freedom, of
    which t knows hardly anything. The floor costs half a point of coverage and cuts the widest
    intervals of single layers by a sixth on average (tests/benchmarks/STATISTICS.md).

    Args:
        left_out: (S,) the score without each speaker in turn, NaN where it is not defined.
        sizes: (S,) utterances of each speaker.
    """
    values = left_out[~np.isnan(left_out)]
    by_size, n = degrees_of_freedom(sizes), len(values)
    deviations = values - values.mean() if n else values
    spread = float(np.mean(deviations**2)) if n else 0.0
    if n < 4 or spread == 0:
        return max(1.0, by_size)
    excess = float(np.mean(deviations**4)) / spread**2 - 3
    kurtosis = ((n + 1) * excess + 6) * (n - 1) / ((n - 2) * (n - 3))
    by_kurtosis = 2 * n / (kurtosis + 2) if kurtosis > -2 else np.inf
    return float(max(1.0, min(by_size, max(by_size / 2, by_kurtosis))))


def jackknife_error(left_out: FloatArray) -> FloatArray:
    """Standard errors over speakers: √((S − 1) / S · Σ (θ_(s) − θ̄_(·))²).

    Args:
        left_out: (S, …) scores without each speaker in turn.
    """
    return np.asarray(np.sqrt((len(left_out) - 1) * left_out.var(axis=0)))


def effective_number(sizes: FloatArray) -> float:
    """Effective number of speakers with ``sizes`` (S,) utterances, (Σ n)² / Σ n² (L. Kish, Survey
    Sampling, 1965)."""
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def degrees_of_freedom(sizes: FloatArray) -> float:
    """Effective number of speakers with ``sizes`` (S,) utterances, minus one; S − 1 if equal."""
    return effective_number(sizes) - 1


def leave_one_out(n_speakers: int) -> FloatArray:
    """(S, S) weights of the speakers with each one left out in turn, as those of resamples."""
    return 1.0 - np.eye(n_speakers)


@lru_cache(maxsize=16)
def resample_weights(n_speakers: int, resamples: int, seed: int) -> FloatArray:
    """(R, S) number of times that each resample draws each speaker."""
    shares = np.full(n_speakers, 1 / n_speakers)
    drawn = np.random.default_rng(seed).multinomial(n_speakers, shares, size=resamples)
    return drawn.astype(np.float64)
