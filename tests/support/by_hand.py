"""Statistics written out as their definitions say, for tests to compare with."""

import math
import statistics

import numpy as np
from scipy import stats

THERE_AND_BACK = {
    "error": (math.log, math.exp),
    "rest": (lambda x: math.log(1 / (1 - x)), lambda z: 1 - 1 / math.exp(z)),
    "correlation": (math.atanh, math.tanh),
    "share": (lambda x: math.log(x / (1 - x)), lambda z: 1 / (1 + math.exp(-z))),
}


def on_scale(values, value, scale):
    """Scores on the scale of their interval, shares by its slope at the ``value``."""
    there, _ = THERE_AND_BACK[scale]
    if scale == "share":
        return [there(value) + (x - value) / (value * (1 - value)) for x in values]
    return [there(x) for x in values]


def jackknife(left_out):
    """Standard error of a score from its values without each speaker in turn."""
    s = len(left_out)
    mean = sum(left_out) / s
    return ((s - 1) / s * sum((value - mean) ** 2 for value in left_out)) ** 0.5


def degrees(left_out, sizes):
    """Of unequal speakers; fewer by the kurtosis of the values, but no fewer than half of them."""
    effective = sum(sizes) ** 2 / sum(size**2 for size in sizes)
    if statistics.pvariance(left_out) == 0:
        return effective - 1
    excess = float(stats.kurtosis(left_out, bias=False))
    by_kurtosis = max(2 * len(left_out) / (excess + 2), (effective - 1) / 2)
    return max(1, min(effective - 1, by_kurtosis))


def t_interval(value, left_out, sizes, scale, error=None, freedom=None):
    """The 95 % interval of a score; with ``error`` on its scale and ``freedom``, these in the place
    of the jackknife's."""
    there, back = THERE_AND_BACK[scale]
    without = on_scale(left_out, value, scale)
    error = jackknife(without) if error is None else error
    freedom = degrees(without, sizes) if freedom is None else freedom
    reach = stats.t(freedom).ppf(0.975) * error
    low, high = back(there(value) - reach), back(there(value) + reach)
    if scale == "share":  # no further than if every speaker were all right or all wrong
        n = sum(sizes) ** 2 / sum(size**2 for size in sizes)
        low = max(low, stats.beta(value * n, n - value * n + 1).ppf(0.025))
        high = min(high, stats.beta(value * n + 1, n - value * n).ppf(0.975))
    return np.array([low, high])
