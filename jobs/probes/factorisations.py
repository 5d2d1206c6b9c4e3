"""Two factorisations of G that give (G + λ)⁻¹ for many penalties λ.

G is symmetric and positive semidefinite, (m, m); A penalties.
"""

from functools import cached_property

import numpy as np
from scipy.linalg import eigh_tridiagonal, lapack

from jobs.arrays import FloatArray
from jobs.ties import count_leading

DETERMINED = 1e-8
"""Smallest eigenvalue, relative to the largest, at which a system is solved directly."""


class Tridiagonal:
    """G = Q T Qᵀ: Q a product of Householder reflections, T tridiagonal (LAPACK ``sytrd``).

    (G + λ)⁻¹ = Q (T + λ)⁻¹ Qᵀ, and a system with T + λ takes O(m) operations; Eldén 1977, BIT
    17:134–145, does the same to the design matrix. No eigenvalue is needed: a third to a fifth of
    the time of an eigendecomposition.
    """

    def __init__(self, matrix: FloatArray) -> None:
        size = len(matrix)
        work = int(lapack.dsytrd_lwork(size, lower=1)[0])
        # A symmetric matrix equals its transpose, which has LAPACK's memory order.
        reflectors, self.diagonal, beside, self._scales, info = lapack.dsytrd(
            matrix.T, lower=1, lwork=work
        )
        assert info == 0, info
        self.beside = beside[: size - 1]
        # The first reflection keeps the first coordinate: Q is block-diagonal, 1 and a smaller
        # matrix.
        self._reflectors = np.asfortranarray(reflectors[1:, :-1])

    def solve(self, side: FloatArray, penalties: FloatArray) -> FloatArray:
        """(m, A): (G + λ)⁻¹ b for ``side`` b (m,) and every λ > 0 of ``penalties`` (A,).

        Raises:
            ValueError: a penalty vanishes beside the rounding of G.
        """
        turned = self.turn(side[:, None], back=True)
        solutions = np.empty((len(side), len(penalties)), order="F")
        for column, penalty in enumerate(penalties):
            solutions[:, column] = self.solve_turned(turned, penalty)[:, 0]
        return self.turn(solutions)

    def solve_turned(self, turned: FloatArray, penalty: float) -> FloatArray:
        """(m, n): (T + λ)⁻¹ Qᵀb for sides b that were turned back, ``turned`` Qᵀb (m, n).

        Raises:
            ValueError: the penalty λ vanishes beside the rounding of G.
        """
        beside = self.beside if self.beside.size else np.zeros(1)  # LAPACK's wrapper requires one
        _, _, solution, info = lapack.dptsv(self.diagonal + penalty, beside, turned)
        if info:
            raise ValueError(
                f"a penalty of {penalty:g} vanishes beside rounding, so that the solution is "
                "not determined: choose larger alphas"
            )
        return np.asarray(solution)

    def turn(self, columns: FloatArray, *, back: bool = False) -> FloatArray:
        """Multiply ``columns`` (m, n) by Q, or by Qᵀ to turn ``back``."""
        turned = np.empty(columns.shape, order="F")
        turned[0] = columns[0]
        if len(columns) == 1:
            return turned
        arguments = ("L", "T" if back else "N", self._reflectors, self._scales)
        below = np.array(columns[1:], order="F")
        work = int(lapack.dormqr(*arguments, below, lwork=-1)[1][0])
        turned[1:], _, info = lapack.dormqr(*arguments, below, lwork=work, overwrite_c=1)
        assert info == 0, info
        return turned


class Spectrum:
    """G = V diag(s) Vᵀ: the eigenvalues s (m,), ascending and not negative, and eigenvectors V.

    It uses T = W diag(s) Wᵀ, so that W, and V = QW, are only computed on demand: the eigenvalues
    alone take a fifth of the time.
    """

    def __init__(self, matrix: FloatArray) -> None:
        self._tridiagonal = Tridiagonal(matrix)

    @cached_property
    def eigenvalues(self) -> FloatArray:
        """(m,)"""
        values = eigh_tridiagonal(*self._of_t, eigvals_only=True, lapack_driver="sterf")
        return np.asarray(np.maximum(values, 0))

    @cached_property
    def vectors(self) -> FloatArray:
        """(m, m) V, one eigenvector per column."""
        return self._tridiagonal.turn(self._pairs[1])

    @property
    def _of_t(self) -> tuple[FloatArray, FloatArray]:
        return self._tridiagonal.diagonal, self._tridiagonal.beside

    @cached_property
    def _pairs(self) -> tuple[FloatArray, FloatArray]:
        """s as computed together with W, bit for bit, and (m, m) W."""
        values, turned = eigh_tridiagonal(*self._of_t, lapack_driver="stevd")
        return np.maximum(values, 0), turned

    def solve(self, side: FloatArray, penalties: FloatArray) -> FloatArray:
        """(m, A): (G + λ)⁻¹ b for ``side`` b (m,) and every λ > 0 of ``penalties`` (A,)."""
        return self.vectors @ self.coordinates(side, penalties)

    def coordinates(self, side: FloatArray, penalties: FloatArray) -> FloatArray:
        """(m, A): Vᵀ (G + λ)⁻¹ b, the solutions in terms of the eigenvectors."""
        turned = self.vectors.T @ side
        return np.asarray(turned[:, None] / self._penalised(penalties))

    def solve_within(self, side: FloatArray, n_leading: int) -> FloatArray:
        """(m,): G⁻¹ b for ``side`` b (m,), both in the space of the leading eigenvectors."""
        start = len(side) - n_leading
        if start == 0 and self.eigenvalues[0] > DETERMINED * self.eigenvalues[-1]:
            return self._tridiagonal.solve(side, np.zeros(1))[:, 0]
        eigenvalues, turned = self._pairs
        directions = turned[:, start:]
        coordinates = directions.T @ self._tridiagonal.turn(side[:, None], back=True)
        coordinates /= eigenvalues[start:, None]
        return self._tridiagonal.turn(directions @ coordinates)[:, 0]

    def quadratic(self, turned: FloatArray, penalties: FloatArray) -> FloatArray:
        """(n, A): b(G + λ)⁻¹bᵀ of rows b (m,) that are given as bV, ``turned`` (n, m): those of V
        are unit vectors."""
        return np.asarray(turned**2 @ (1 / self._penalised(penalties)))

    def leading(self, variance: float, size: int) -> int:
        """Count the leading eigenvectors that carry a share of the trace, as
        ``jobs.ties.count_leading`` does.

        Args:
            variance: the share.
            size: the larger side of the matrix whose products G holds; rounding grows with it.
        """
        # If some are left out, eigenvectors are needed, and eigenvalues are computed with them.
        eigenvalues = self.eigenvalues if variance == 1 else self._pairs[0]
        return count_leading(eigenvalues, variance, size)

    def _penalised(self, penalties: FloatArray) -> FloatArray:
        return np.asarray(self._pairs[0][:, None] + penalties)
