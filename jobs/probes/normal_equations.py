"""Normal equations of least squares on standardised features, in the smaller of two forms.

N training rows, D features, K targets, m = min(N, D), A solutions side by side.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jobs.arrays import FloatArray
from jobs.probes.standardiser import fit_standardiser
from jobs.protocol.folds import IntArray


@dataclass(frozen=True)
class NormalEquations:
    """(G + λ) a = b, the same unknowns for every target; Z are features about their mean.

    Primal: G = ZᵀZ, b = Zᵀ(y − ȳ), and the weights of the features are w = a.
    Dual: G = ZZᵀ, b = y − ȳ, and w = Zᵀa: as (ZᵀZ + λ)⁻¹Zᵀ = Zᵀ(ZZᵀ + λ)⁻¹, the weights agree.
    """

    matrix: FloatArray
    """(m, m) G."""
    sides: FloatArray
    """(K, m) b of every target."""
    centre: FloatArray
    """(D,) mean of the standardised features: 0, unless rows were taken out."""
    means: FloatArray
    """(K,) ȳ."""
    n_rows: int
    rows: FloatArray | None
    """(N, D) Z in the dual form; None in the primal."""

    def weights(self, solution: FloatArray) -> FloatArray:
        """(D, …) for ``solution`` a (m, …)."""
        return solution if self.rows is None else self.rows.T @ solution

    def explained(self, side: FloatArray, solution: FloatArray) -> float:
        """Σ(ŷ − ȳ)² of least squares, from b (m,) and its ``solution`` a (m,) without a penalty."""
        return float(side @ (solution if self.rows is None else self.matrix @ solution))


@dataclass(frozen=True)
class _Sums:
    """Sums over some rows for the primal form, which can be added and subtracted."""

    n: int
    z: FloatArray
    """(D,)"""
    y: FloatArray
    """(K,)"""
    zz: FloatArray
    """(D, D)"""
    zy: FloatArray
    """(K, D)"""


class TrainingPart:
    """The rows that a linear probe is fitted on, standardised once.

    All in float64: activations of one layer are so similar that the largest eigenvalue of G is of
    the order of N D, and float32 rounds G to 1e-7 of it. This affects the smaller penalties: with G
    in float32, predictions at α = 1e-4 changed by up to 0.3 % of their SD (1e-6 of it at α = 1;
    1200 rows of 640 and of 5120 features in five main directions). Products are computed one target
    at a time, so that no target's rounding depends on the others.
    """

    def __init__(self, X: npt.NDArray[np.float32], Y: FloatArray) -> None:
        """Take activations ``X`` (N, D) and targets ``Y`` (N, K)."""
        self.X, self.targets = X, Y.T.copy()
        self._means = self.targets.mean(axis=1)
        self._centred = self.targets - self._means[:, None]
        self.standardise = fit_standardiser(X)
        self._rows: FloatArray | None = None
        if X.shape[1] > X.shape[0]:
            self._rows = self.standardise(X)
            self._products = self._rows @ self._rows.T
        else:
            self._sums = self._sum(np.arange(len(X)))

    def equations(self) -> NormalEquations:
        """Return the equations of all rows."""
        centre, n_rows = np.zeros(self.X.shape[1]), len(self.X)
        if self._rows is None:
            total = self._sums
            return NormalEquations(total.zz, total.zy, centre, self._means, n_rows, None)
        return NormalEquations(
            self._products, self._centred, centre, self._means, n_rows, self._rows
        )

    def equations_without(self, rows: IntArray) -> NormalEquations:
        """Return the equations without ``rows``: centred again, but not scaled, and without new
        products.

        Removing rows is exact up to rounding: primal, their sums are subtracted; dual, their lines
        are left out of ZZᵀ.
        """
        if self._rows is None:
            return self._primal(rows)
        return self._dual(self._rows, np.setdiff1d(np.arange(len(self.X)), rows))

    def _primal(self, without: IntArray) -> NormalEquations:
        total, out = self._sums, self._sum(without)
        n = total.n - out.n
        z, y = (total.z - out.z) / n, (total.y - out.y) / n
        matrix = total.zz - out.zz - n * np.outer(z, z)
        sides = total.zy - out.zy - n * np.outer(y, z)
        return NormalEquations(matrix, sides, z, self._means + y, n, None)

    def _dual(self, rows: FloatArray, kept: IntArray) -> NormalEquations:
        products = self._products[np.ix_(kept, kept)]
        line = products.mean(axis=0)
        matrix = products - line - line[:, None] + line.mean()
        centre, targets = rows[kept].mean(axis=0), self._centred.take(kept, axis=1)
        y = targets.mean(axis=1)
        means, sides = self._means + y, targets - y[:, None]
        return NormalEquations(matrix, sides, centre, means, len(kept), rows[kept] - centre)

    def _sum(self, rows: IntArray) -> _Sums:
        n_features, n_targets = self.X.shape[1], len(self.targets)
        z, zz = np.zeros(n_features), np.zeros((n_features, n_features))
        zy = np.zeros((n_targets, n_features))
        targets = self._centred.take(rows, axis=1)
        for block, Z in self.standardise.blocks(self.X[rows]):
            z += Z.sum(axis=0)
            zz += Z.T @ Z
            for k, y in enumerate(targets):
                zy[k] += Z.T @ y[block]
        return _Sums(len(rows), z, targets.sum(axis=1), zz, zy)
