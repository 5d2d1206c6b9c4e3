"""What the linear probes share: standardised features and one eigendecomposition of them.

N training rows, D features, r = min(N, D) directions, K targets.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jobs.metrics import FloatArray


@dataclass(frozen=True)
class Standardiser:
    """Mean and SD of every feature on the rows it was fitted on."""

    mean: FloatArray
    """(D,)"""
    scale: FloatArray
    """(D,) SD; infinite where the feature is constant, so that it becomes 0."""

    def __call__(self, X: npt.NDArray[np.float32]) -> FloatArray:
        """(n, D) in float64, mean 0 and SD 1 on the rows that the standardiser was fitted on."""
        return np.asarray((X.astype(np.float64) - self.mean) / self.scale)


def fit_standardiser(X: npt.NDArray[np.float32]) -> Standardiser:
    """The standardiser of training rows ``X`` (N, D).

    A feature whose SD is within rounding of its magnitude (1e-7, float32's) is constant: dividing
    by such an SD would blow rounding up to a feature.
    """
    exact = X.astype(np.float64)
    mean, sd = exact.mean(axis=0), exact.std(axis=0)
    constant = sd <= 1e-7 * np.abs(exact).max(axis=0)
    return Standardiser(mean, np.where(constant, np.inf, sd))


def no_standardiser(width: int) -> Standardiser:
    """The standardiser that leaves ``width`` features as they are."""
    return Standardiser(np.zeros(width), np.ones(width))


@dataclass(frozen=True)
class Spectrum:
    """Standardised training features X (N, D), decomposed: see ``decompose``.

    With it, (XᵀX + λ)⁻¹ Xᵀy = basis · (leftᵀy / (s + λ)) for any λ > 0.
    """

    basis: FloatArray
    """(D, r) maps features to directions."""
    eigenvalues: FloatArray
    """(r,) ascending, not negative: of XᵀX or, equally but for zeros, of XXᵀ."""
    left: FloatArray
    """(N, r) maps a target to directions."""


def decompose(X: FloatArray) -> Spectrum:
    """The ``Spectrum`` of (N, D) standardised features, in O(N D r + r³).

    Primal, D ≤ N: XᵀX = V diag(s) Vᵀ, basis = V, left = X V.
    Dual, D > N: XXᵀ = U diag(s) Uᵀ, basis = Xᵀ U, left = U; that
    Xᵀ(XXᵀ + λ)⁻¹ = (XᵀX + λ)⁻¹Xᵀ makes both give the same weights.
    """
    if X.shape[1] <= X.shape[0]:
        eigenvalues, basis = np.linalg.eigh(X.T @ X)
        left = X @ basis
    else:
        eigenvalues, left = np.linalg.eigh(X @ X.T)
        basis = X.T @ left
    return Spectrum(basis, np.maximum(eigenvalues, 0), left)
