"""Statistics written out as their definitions say, for tests to compare with."""

import numpy as np
from scipy import stats


def tails(resampled, left_out, sizes):
    """Percentiles of a 95 % interval, moved outward by Student's t and jackknife / bootstrap."""
    s = len(left_out)
    mean = sum(left_out) / s
    jackknife = ((s - 1) / s * sum((value - mean) ** 2 for value in left_out)) ** 0.5
    effective = sum(sizes) ** 2 / sum(size**2 for size in sizes)
    quantile = stats.t(effective - 1).ppf(0.975) * jackknife / np.std(resampled)
    return [stats.norm.cdf(-quantile), stats.norm.cdf(quantile)]


def expanded_percentiles(resampled, left_out, sizes):
    """The 95 % interval of a score between these percentiles of its resamples."""
    return np.quantile(resampled, tails(resampled, left_out, sizes))
