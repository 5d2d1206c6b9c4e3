"""Choices among numbers that treat rounding differences as ties.

Rounding in a sum depends on the order in which a CPU's kernels add its terms, so either of two
equal numbers may come out lower. Here, numbers within rounding of each other are equal, and ties
are broken by position.
"""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from jobs.arrays import FloatArray

IntArray = npt.NDArray[np.intp]

TIED = 1e-9
"""Relative difference up to which numbers are equal."""
_ROUNDING = 1e-13
"""Rounding error of a sum, relative to the size of its terms."""


def first_lowest(values: npt.ArrayLike, scale: npt.ArrayLike = 0.0) -> IntArray:
    """Return (…,) positions of the lowest of ``values`` (…, n), the first of equals, ignoring NaN.

    Args:
        values: numbers to choose from, along the last axis.
        scale: magnitude of the terms of a value that is a difference: its rounding error follows
            from it.
    """
    values = np.asarray(values, dtype=np.float64)
    lowest = np.fmin.reduce(values, axis=-1, keepdims=True)
    reach = np.maximum(TIED * np.abs(lowest), _ROUNDING * np.asarray(scale))
    return np.asarray((values <= lowest + reach).argmax(axis=-1))


def tied_runs(values: npt.NDArray[np.floating], tolerance: float) -> list[slice]:
    """Split the positions of sorted ``values`` (n,) into runs of equal neighbours.

    Neighbours are equal if they differ by no more than ``tolerance``; a run may be a single value.
    The order may be ascending or descending.
    """
    starts = np.flatnonzero(np.abs(np.diff(values)) > tolerance) + 1
    ends = [0, *starts.tolist(), len(values)]
    return [slice(a, b) for a, b in pairwise(ends) if a < b]


def count_leading(eigenvalues: FloatArray, variance: float, size: int) -> int:
    """Count the largest ``eigenvalues`` (m,) that carry a share of their sum; skip zeros.

    The result is the smallest such number, plus any eigenvalues equal to the last one counted:
    equal eigenvalues share a subspace, and a part of it would be an arbitrary choice.

    Args:
        eigenvalues: ascending eigenvalues of X'X or XX'.
        variance: share of the sum, 0 to 1.
        size: the larger dimension of X; rounding errors grow with it.
    """
    total = eigenvalues.sum()
    rounding = eigenvalues[-1] * size * np.finfo(np.float64).eps
    carried_by_larger = total - np.cumsum(eigenvalues)
    needed = carried_by_larger < variance * (total - rounding)
    start = len(eigenvalues) - int(np.sum(needed & (eigenvalues > rounding)))
    while 0 < start < len(eigenvalues) and eigenvalues[start - 1] > rounding:
        if eigenvalues[start] - eigenvalues[start - 1] > rounding:
            break
        start -= 1
    return len(eigenvalues) - start
