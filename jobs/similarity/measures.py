"""Similarity of two layers on the same utterances: linear CKA and PWCCA.

N utterances (rows of both layers, in the same order), D width of a layer, r its kept directions.

On independent noise, plain CKA is not 0: at N = 500 and D = 5120 it is 0.911 (0.562 at D = 640);
unbiased CKA is -0.002 with an SD of 0.002 (5 draws). The measure ``cka`` is therefore unbiased CKA.
PWCCA has no unbiased form: its value is reported with its chance level (``chance_pwcca``).
"""

from dataclasses import dataclass
from functools import lru_cache
from math import exp, lgamma, pi, sqrt

import numpy as np
import numpy.typing as npt

from jobs.arrays import FloatArray
from jobs.ties import count_leading, tied_runs

Float32Array = npt.NDArray[np.float32]

VARIANCE = 0.99
"""Share of a layer's variance that PWCCA keeps, as SVCCA does (Raghu et al. 2017, arXiv
1706.05806)."""
CONSTANT = 1e-7
"""A feature that varies by less than this share of its values is constant: float32 rounding."""
TIED = 1e-5
"""Canonical correlations that differ by at most this much are equal. Sketches are in float32, which
changed correlations of 1 by up to 4e-7 (1000 rows, ranks of 600 and 800)."""
_NODES = 128
"""Nodes of the Gauss-Legendre quadrature in ``chance_pwcca``."""


def gram_vector(X: npt.ArrayLike) -> Float32Array:
    """Map a layer ``X`` (N, D) to a unit vector (N(N−1)/2,); unbiased CKA is the product of two.

    Linear CKA is ⟨K, L⟩ / (‖K‖_F ‖L‖_F) of centred Gram matrices K = XXᵀ, L = YYᵀ (Kornblith et
    al. 2019, arXiv 1905.00414, eq. 3). Unbiased: each inner product becomes the unbiased estimator
    of HSIC (Song et al. 2012, JMLR 13, 1393-1434, eq. 5; in CKA: Nguyen, Raghu & Kornblith 2021,
    arXiv 2010.15327), which leaves the diagonals out.

    The vector is the strict upper triangle of the U-centred Gram matrix (Székely & Rizzo 2014,
    arXiv 1310.2926, def. 2), K with its diagonal taken out, for i ≠ j::

        Ũ_ij = K_ij − Σ_j K_ij / (N−2) − Σ_i K_ij / (N−2) + Σ_ij K_ij / ((N−1)(N−2))

    ⟨Ũ(K), Ũ(L)⟩ / (N(N−3)) is the unbiased HSIC. All 0 if the layer is constant.
    """
    X = _centred(X)
    n = len(X)
    K = X @ X.T
    np.fill_diagonal(K, 0)
    sums = K.sum(axis=0) / (n - 2)
    K -= sums[:, None] + sums[None, :] - sums.sum() / (n - 1)
    vector: FloatArray = K[np.triu_indices(n, k=1)]
    norm = np.linalg.norm(vector)
    return (vector / norm if norm > 0 else vector).astype(np.float32)


@dataclass(frozen=True)
class Subspace:
    """The leading directions of a layer's activations."""

    basis: Float32Array
    """(N, r) orthonormal columns Q."""
    loadings: Float32Array
    """(r, D) QᵀX: the features in that basis."""

    @property
    def rank(self) -> int:
        """Number of directions kept; 0 if the layer is constant."""
        return int(self.basis.shape[1])


def leading_subspace(X: npt.ArrayLike, variance: float = VARIANCE) -> Subspace:
    """Find the fewest directions of the centred ``X`` (N, D) with ``variance`` of its variance.

    Directions that carry as much as the last of them are kept too (`jobs.ties.count_leading`).
    """
    X = _centred(X)
    primal = X.shape[1] <= len(X)
    eigenvalues, vectors = np.linalg.eigh(X.T @ X if primal else X @ X.T)
    count = count_leading(eigenvalues, variance, max(X.shape))
    kept = np.arange(len(eigenvalues)) >= len(eigenvalues) - count
    Q = X @ vectors[:, kept] if primal else vectors[:, kept]
    Q /= np.linalg.norm(Q, axis=0)
    return Subspace(Q.astype(np.float32), (Q.T @ X).astype(np.float32))


def pwcca(a: Subspace, b: Subspace) -> tuple[float, float]:
    """Projection-weighted CCA (Morcos et al. 2018, arXiv 1806.05759, section 2.2).

    The singular values ρ_i of Q_aᵀQ_b are the canonical correlations, c = min(r_a, r_b) of them;
    with its left singular vectors u_i, the canonical variables are h_i = Q_a u_i, and with x_j the
    centred features of ``a``::

        PWCCA = Σ_i α_i ρ_i / Σ_i α_i,     α_i = Σ_j |⟨h_i, x_j⟩|

    The ρ_i do not change under any invertible linear map of a layer that keeps its subspace. The
    weights are those of one layer, so that the measure is not symmetric.

    Of k equal ρ_i (``TIED``) the h_i may be any orthonormal basis of one subspace, and the sum of
    their α_i depends on it. They have the mean of that sum over all bases: with P the projector
    onto that subspace, of K = k dimensions, and u uniform on the unit sphere in K dimensions::

        Σ_i α_i = k E_K Σ_j ‖P x_j‖,     E_K = E|u_1| = Γ(K/2) / (√π Γ((K+1)/2))

    With E_1 = 1 this is the definition. Where ρ_i = 0 and the layer has more than c directions, its
    others are equally valid: P projects onto all of them, K = k + r − c.

    Returns:
        Weighted by ``a``, and weighted by ``b``; NaN where a layer is constant.
    """
    if not (a.rank and b.rank):
        return float("nan"), float("nan")
    left, rho, right = np.linalg.svd(a.basis.T @ b.basis, full_matrices=False)
    rho = np.minimum(rho, 1)
    return (
        float(np.average(rho, weights=_projection_weights(left.T @ a.loadings, rho, a.loadings))),
        float(np.average(rho, weights=_projection_weights(right @ b.loadings, rho, b.loadings))),
    )


def _projection_weights(
    projected: Float32Array, rho: Float32Array, loadings: Float32Array
) -> Float32Array:
    """Return the α_i (c,) of ``pwcca``; for equal ``rho`` (c,) the mean over all bases.

    Args:
        projected: (c, D) ⟨h_i, x_j⟩.
        rho: canonical correlations, descending.
        loadings: (r, D) of the layer, whose columns are as long as the x_j.
    """
    weights: Float32Array = np.abs(projected).sum(axis=1)
    n_spare = len(loadings) - len(rho)
    for run in tied_runs(rho, TIED):
        squares = np.square(projected[run]).sum(axis=0)
        dimension = run.stop - run.start
        if n_spare and rho[run.stop - 1] <= TIED:
            others = np.square(projected[: run.start]).sum(axis=0)
            squares = np.maximum(np.square(loadings).sum(axis=0) - others, 0)
            dimension += n_spare
        if dimension > 1:
            weights[run] = _mean_coordinate(dimension) * np.sqrt(squares).sum()
    return weights


def _mean_coordinate(dimension: int) -> float:
    """E|u_1| of a unit vector u that is uniform on the sphere in ``dimension`` dimensions."""
    return exp(lgamma(dimension / 2) - lgamma((dimension + 1) / 2)) / sqrt(pi)


def is_forced(rank_a: int, rank_b: int, n: int) -> bool:
    """Return True if some canonical correlations of ``n`` centred rows are 1 whatever the data.

    Two subspaces of N − 1 dimensions with r_a + r_b > N − 1 intersect. At r ≥ N − 1 all
    correlations are 1 (Kornblith et al. 2019, arXiv 1905.00414, section 2).
    """
    return rank_a + rank_b > n - 1


@lru_cache(maxsize=100_000)
def chance_pwcca(rank_a: int, rank_b: int, n: int) -> float:
    """Approximate PWCCA of two independent layers: the mean canonical correlation by chance.

    For two random subspaces of dimensions q ≤ p within m = N − 1, squared canonical correlations λ
    have, for large m, the density of Wachter (1980, Ann. Statist. 8, 937-957)::

        f(λ) = √((λ₊ − λ)(λ − λ₋)) / (2π (q/m) λ (1 − λ)),
        λ± = (√(q/m (1 − p/m)) ± √(p/m (1 − q/m)))²

    With p + q > m, p + q − m of the q correlations are 1 and the others are those of the orthogonal
    complements. Similar rows, such as utterances of one speaker, give a higher value.
    """
    m, q, p = n - 1, min(rank_a, rank_b), max(rank_a, rank_b)
    if q == 0:
        return float("nan")
    if p >= m:
        return 1.0
    if p + q > m:
        return ((p + q - m) + (m - p) * _wachter_mean((m - p) / m, (m - q) / m)) / q
    return _wachter_mean(q / m, p / m)


def _wachter_mean(c: float, d: float) -> float:
    """∫ √λ f(λ) dλ for c ≤ d, c + d ≤ 1; λ = λ₋ + (λ₊ − λ₋) sin²θ takes the edges' roots away."""
    low, high = ((np.sqrt(c * (1 - d)) + sign * np.sqrt(d * (1 - c))) ** 2 for sign in (-1.0, 1.0))
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    theta = (nodes + 1) * np.pi / 4
    sin2 = np.sin(theta) ** 2
    value = low + (high - low) * sin2
    rest = (1 - high) + (high - low) * (1 - sin2)
    density = 2 * (high - low) ** 2 * sin2 * (1 - sin2) / (2 * np.pi * c * np.sqrt(value) * rest)
    return float(weights @ density * np.pi / 4)


def _centred(X: npt.ArrayLike) -> FloatArray:
    """Centre the columns of ``X`` (N, D) in float64; columns constant up to rounding become 0."""
    exact = np.asarray(X, dtype=np.float64)
    centred: FloatArray = exact - exact.mean(axis=0)
    constant = np.abs(centred).max(axis=0) <= CONSTANT * np.abs(exact).max(axis=0)
    centred[:, constant] = 0
    return centred
