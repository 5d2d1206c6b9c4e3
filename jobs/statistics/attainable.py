"""Bounds on the intervals of differences between scores, from the range of the scores themselves.

Legend: L layers, S speakers; errors (L, S, 4) have the columns
`jobs.statistics.best_layer.ERRORS`.
"""

from dataclasses import replace

import numpy as np

from jobs.arrays import FloatArray
from jobs.statistics.best_layer import scores_of
from jobs.statistics.differences import Differences
from jobs.statistics.intervals import ScaleName, leave_one_out, speaker_interval


def within_reach(found: Differences, a: FloatArray, b: FloatArray, scale: ScaleName) -> Differences:
    """Cut the intervals of differences between ``a`` and ``b`` (L, S, 4) at what scores can reach.

    No score is above 1, and that of b is above the lower end of its own interval: their difference
    is below 1 minus that end, and by the same argument above that end of a minus 1. Differences of
    accuracies are thus within −1 and 1. Both bounds leave 0 inside, so an interval still excludes
    0 exactly where p < 0.05.

    Args:
        found: (L,) differences.
        a: losses of the layers of a; one layer stands for all of L.
        b: of the layers of b.
        scale: scale of the scores' intervals.
    """
    of_a, of_b = (_lower_ends(errors, scale) for errors in (a, b))
    low, high = np.fmax(found.low, of_a - 1), np.fmin(found.high, 1 - of_b)
    known = ~np.isnan(found.low)
    return replace(found, low=np.where(known, low, np.nan), high=np.where(known, high, np.nan))


def _lower_ends(errors: FloatArray, scale: ScaleName) -> FloatArray:
    """(L,) lower ends of the intervals of layers (L, S, 4)."""
    values = scores_of(errors, np.ones((1, errors.shape[1])))[0].tolist()
    left_out = scores_of(errors, leave_one_out(errors.shape[1])).T
    rows = zip(values, left_out, errors[:, :, 0], strict=True)
    return np.array([speaker_interval(value, one, n, scale)[0] for value, one, n in rows])
