"""Choices that rounding must not make.

A sum is rounded in the order in which a CPU's kernels add it up, so that of two equal numbers
either may come out the lower. Here numbers within rounding of each other are equal, and a choice
among equal ones is made by their position.
"""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from jobs.arrays import FloatArray

IntArray = npt.NDArray[np.intp]

TIED = 1e-9
"""Numbers that differ by no more than this share of themselves are equal."""
_ROUNDING = 1e-13
"""What sums may be off by, as a share of the numbers that they are made of."""


def first_lowest(values: npt.ArrayLike, scale: npt.ArrayLike = 0.0) -> IntArray:
    """(…,) the position of the lowest of ``values`` (…, n), the first of equal ones; NaN is none.

    Args:
        values: to choose from, along the last axis.
        scale: size of what a value is the difference of: 0 may come out as rounding of it.
    """
    values = np.asarray(values, dtype=np.float64)
    lowest = np.fmin.reduce(values, axis=-1, keepdims=True)
    reach = np.maximum(TIED * np.abs(lowest), _ROUNDING * np.asarray(scale))
    return np.asarray((values <= lowest + reach).argmax(axis=-1))


def tied_runs(values: npt.NDArray[np.floating], tolerance: float) -> list[slice]:
    """Positions of ``values`` (n,), sorted either way, as runs of neighbours that are equal.

    Neighbours are if they differ by no more than ``tolerance``; a value alone is a run.
    """
    starts = np.flatnonzero(np.abs(np.diff(values)) > tolerance) + 1
    ends = [0, *starts.tolist(), len(values)]
    return [slice(a, b) for a, b in pairwise(ends) if a < b]


def count_leading(eigenvalues: FloatArray, variance: float, size: int) -> int:
    """How many of the largest ``eigenvalues`` (m,) carry a share of their sum; none is rounding.

    They are the fewest that do, and those that are equal to the last of them: eigenvectors of equal
    eigenvalues are any basis of one subspace, of which a part would be an arbitrary one.

    Args:
        eigenvalues: of a matrix of products, ascending.
        variance: the share.
        size: the larger side of the matrix whose products these are; rounding grows with it.
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
