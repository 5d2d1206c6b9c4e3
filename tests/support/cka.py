"""Linear CKA by its definitions, as an oracle for sketches."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def plain_cka(X: Array, Y: Array) -> float:
    """CKA of ``X`` (N, D_x) and ``Y`` (N, D_y) by tr(KHLH), H the centring matrix.

    Gretton et al. 2005, Measuring statistical dependence with Hilbert-Schmidt norms.
    """
    n = len(X)
    H = np.eye(n) - np.ones((n, n)) / n

    def hsic(K: Array, L: Array) -> float:
        return float(np.trace(K @ H @ L @ H))

    K, L = _gram(X), _gram(Y)
    return hsic(K, L) / float(np.sqrt(hsic(K, K) * hsic(L, L)))


def unbiased_cka(X: Array, Y: Array) -> float:
    """CKA with the unbiased HSIC of Song et al. 2012, eq. 5, term by term, K and L not centred."""
    n = len(X)
    one = np.ones(n)

    def hsic(K: Array, L: Array) -> float:
        K, L = K - np.diag(np.diag(K)), L - np.diag(np.diag(L))
        sums = (one @ K @ one) * (one @ L @ one) / ((n - 1) * (n - 2))
        return float((np.trace(K @ L) + sums - 2 / (n - 2) * one @ K @ L @ one) / (n * (n - 3)))

    K, L = _gram(X), _gram(Y)
    return hsic(K, L) / float(np.sqrt(hsic(K, K) * hsic(L, L)))


def _gram(X: Array) -> Array:
    X = np.asarray(X, dtype=np.float64)
    return np.asarray(X @ X.T)
