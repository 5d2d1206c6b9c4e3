"""Moments of a set of rows, sufficient for least squares, from the sums of ``jobs.gram.sums``.

Legend: N rows, D width of a layer, K columns of labels, P = 1 + K + D.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from jobs.arrays import FloatArray


@dataclass(frozen=True)
class Moments:
    """Count, means and centred second moments of N rows, sufficient for least squares."""

    n: int
    mean: FloatArray
    """(D,) mean x̄ of the activations."""
    label_mean: FloatArray
    """(K,) mean ȳ of the labels."""
    xx: FloatArray
    """(D, D) Σ(x − x̄)(x − x̄)ᵀ."""
    xy: FloatArray
    """(K, D) Σ(y − ȳ)(x − x̄)."""
    yy: FloatArray
    """(K,) Σ(y − ȳ)²."""

    @property
    def finite(self) -> bool:
        """True if all activations are finite; one that is not makes its feature's sums NaN."""
        return bool(np.isfinite(self.mean).all() and np.isfinite(np.diag(self.xx)).all())

    def squared_errors(self, column: int, weights: FloatArray, bias: FloatArray) -> FloatArray:
        """Return (A,) Σ(y − w·x − b)² over the rows, of A linear functions for labels ``column``.

        It is Σ(y − ȳ)² − 2 w·Σ(y − ȳ)(x − x̄) + wᵀΣ(x − x̄)(x − x̄)ᵀw + N (ȳ − w·x̄ − b)².

        Args:
            column: index of the labels.
            weights: (D, A) w.
            bias: (A,) b.
        """
        offset = self.label_mean[column] - self.mean @ weights - bias
        spread, shared = self.products(column, weights)
        return np.asarray(self.yy[column] - 2 * shared + spread + self.n * offset**2)

    def products(self, column: int, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return (A,) Σ(ŷ − m)² and (A,) Σ(ŷ − m)(y − ȳ), where ŷ = w·x with mean m.

        Args:
            column: index of the labels.
            weights: (D, A) w of A linear functions.
        """
        spread = np.einsum("da,da->a", weights, self.xx @ weights)
        return np.asarray(spread), np.asarray(self.xy[column] @ weights)


def width_of(length: int, n_columns: int) -> int:
    """Return D of packed sums with ``length`` = D + P(P + 1)/2, where P = 1 + K + D."""
    # D² + (2K + 5) D + (K + 1)(K + 2) − 2 length = 0
    linear = 2 * n_columns + 5
    root = math.isqrt(linear**2 - 4 * ((n_columns + 1) * (n_columns + 2) - 2 * length))
    width = (root - linear) // 2
    size = 1 + n_columns + width
    assert width + size * (size + 1) // 2 == length, (length, n_columns)
    return width


def moments_of_sums(packed_sums: Iterable[FloatArray], n_columns: int) -> Moments | None:
    """Combine packed sums of one layer, from several sets of rows; None if they have none.

    Each set is centred on its own mean before the sets are added by the method of Chan, Golub &
    LeVeque 1983 (The American Statistician 37:242–247), which avoids cancellation.
    """
    return combine(_unpack(packed, n_columns) for packed in packed_sums)


def combine(sets: Iterable[Moments | None]) -> Moments | None:
    """Combine the moments of ``sets`` of rows, None for an empty one; None if all are empty."""
    combined: Moments | None = None
    for one in sets:
        if one is not None:
            combined = one if combined is None else _add(combined, one)
    return combined


def _unpack(packed: FloatArray, n_columns: int) -> Moments | None:
    width = width_of(len(packed), n_columns)
    matrix, info = lapack.dtpttr(1 + n_columns + width, packed[width:], uplo="L")
    assert info == 0, info
    n = round(matrix[0, 0])
    if n == 0:
        return None
    sums = matrix[1:, 0] / n
    matrix = matrix[1:, 1:]
    with np.errstate(invalid="ignore"):  # activations may be infinite
        matrix -= n * np.outer(sums, sums)
    labels, features = slice(n_columns), slice(n_columns, None)
    xx = matrix[features, features]
    xx = np.tril(xx) + np.tril(xx, -1).T
    return Moments(
        n=n,
        mean=packed[:width] + sums[features],
        label_mean=sums[labels],
        xx=xx,
        xy=matrix[features, labels].T.copy(),
        yy=np.diag(matrix)[labels].copy(),
    )


def _add(a: Moments, b: Moments) -> Moments:
    n = a.n + b.n
    dx, dy, share = b.mean - a.mean, b.label_mean - a.label_mean, a.n * b.n / n
    xx = np.outer(dx, dx)
    xx *= share
    xx += a.xx
    xx += b.xx
    return Moments(
        n=n,
        mean=a.mean + dx * (b.n / n),
        label_mean=a.label_mean + dy * (b.n / n),
        xx=xx,
        xy=a.xy + b.xy + share * np.outer(dy, dx),
        yy=a.yy + b.yy + share * dy**2,
    )
