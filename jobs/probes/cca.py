"""Canonical correlation in closed form, evaluated on held-out data: with one target, or with
several together.

N training rows, D width of the layer, K targets, r directions of the activations, q of the targets,
k components.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jobs.arrays import FloatArray
from jobs.probes.cca_settings import CcaSettings
from jobs.probes.factorisations import Spectrum
from jobs.probes.normal_equations import NormalEquations, TrainingPart
from jobs.probes.result import ProbeResult, Weights
from jobs.probes.standardiser import Standardiser, apply_each, apply_linear
from jobs.protocol.folds import Fold, StrArray
from jobs.statistics.regression import CONSTANT
from jobs.ties import TIED, first_lowest, tied_runs

DISTINCT = 1e-6
"""Correlation of targets with a subspace below which there is only rounding."""

apply = apply_linear


def fit_predict(
    settings: CcaSettings,
    X: npt.NDArray[np.float32],
    Y: FloatArray,
    fold: Fold,
    groups: StrArray,
    seeds: Sequence[int],
) -> ProbeResult:
    """Fit one-component CCA between ``X`` (U, D) and every column of ``Y`` (U, K).

    A scalar target has one canonical correlation, whatever the width of X, and its direction is
    that of least squares: max_w corr(Xw, y) is reached by w = (XᵀX)⁻¹Xᵀ(y − ȳ), and the canonical
    correlation is the multiple correlation R (Hotelling 1936). A second component needs a second
    target in the same fit: ``fit_jointly``; for layers against layers, see
    ``jobs.similarity.measures``.

    X is standardised on the training split and reduced to its leading SVD directions, as in SVCCA
    (Raghu et al. 2017, arXiv 1706.05806). The predictions are those of least squares, so that their
    Pearson correlation with the held-out target is the held-out canonical correlation. The
    validation split is not used, as there is nothing to choose.

    Returns:
        Predictions (n_test, K); details ``in_sample`` (the training correlation, which noise alone
        drives to 1; absent where the target is constant), ``components`` (directions kept) and
        ``saturated`` (1 where components ≥ N − 1, so that ``in_sample`` is 1 for any data:
        Kornblith et al. 2019, arXiv 1905.00414); weights for ``apply``.
    """
    part = TrainingPart(X[fold.train], Y[fold.train])
    weights, details = fit(settings, part.equations(), part.standardise, part.targets)
    return ProbeResult(apply_each(weights, X[fold.test]), details, weights)


def fit(
    settings: CcaSettings,
    equations: NormalEquations,
    standardise: Standardiser,
    targets: FloatArray,
) -> tuple[list[Weights], list[dict[str, float]]]:
    """Weights and details of K problems, from ``equations`` and training ``targets`` (K, N)."""
    spectrum = Spectrum(equations.matrix)
    components = spectrum.leading(settings.variance, max(len(equations.centre), equations.n_rows))
    weights, details = [], []
    # One target at a time, so that no target's rounding depends on the others.
    for y, side, mean in zip(targets, equations.sides, equations.means, strict=True):
        solution = spectrum.solve_within(side, components)
        weights.append(standardise.in_raw_units(equations.weights(solution), mean))
        in_sample = _multiple_correlation(y, equations.explained(side, solution))
        details.append(_details(equations.n_rows, components, in_sample))
    return weights, details


def _multiple_correlation(y: FloatArray, explained: float) -> float | None:
    """Multiple correlation R of a least-squares fit to ``y`` (n,), from its explained squares; None
    if ``y`` is constant."""
    least = (CONSTANT * float(np.abs(y).max())) ** 2 * len(y)
    total = float(np.sum((y - y.mean()) ** 2))
    return min(1.0, explained / total) ** 0.5 if min(total, explained) > least else None


def _details(n_train: int, components: int, in_sample: float | None) -> dict[str, float]:
    saturated = components >= n_train - 1
    details = {"components": float(components), "saturated": float(saturated)}
    return details if in_sample is None else details | {"in_sample": in_sample}


@dataclass(frozen=True)
class Components:
    """Canonical components of a layer with K targets together, in descending order of
    correlation."""

    activations: FloatArray
    """(n_test, k) canonical variates of the activations, with mean 0 and SD 1 on the training
    split.
    """
    targets: FloatArray
    """(n_test, k) canonical variates of the targets."""
    in_sample: FloatArray
    """(k,) correlations on the training split, descending; noise alone makes them high."""
    saturated: bool
    """r + q > N − 1, so that some of these are 1 for any data (Kornblith et al. 2019)."""


def fit_jointly(
    settings: CcaSettings, X: npt.NDArray[np.float32], Y: FloatArray, fold: Fold
) -> Components:
    """Fit CCA of ``X`` (U, D) with all columns of ``Y`` (U, K), k ≤ min(``settings.components``, r,
    q).

    With orthonormal bases Q_x (N, r) of the kept directions of X and Q_y (N, q) of the centred
    targets, the correlations are the singular values of Q_xᵀQ_y = A diag(ρ) Bᵀ, and Q_x A and Q_y B
    the variates (Å. Björck & G. Golub, Numerical methods for computing angles between linear
    subspaces, Mathematics of Computation 27, 1973, 579–594). X is standardised and reduced as in
    ``fit_predict``. Targets that are constant, or a linear function of others, add no direction.
    The sign of each component is such that its largest loading in magnitude, the first if tied, is
    positive. Among components with equal ρ, whose variates may be any basis of one subspace, the
    first is the projection of the first target onto that subspace, the next that of the second
    target onto the remainder, and so on.

    Returns:
        The variates of ``fold.test``, whose correlation is the held-out canonical correlation; no
        components where activations or targets are constant.
    """
    part = TrainingPart(X[fold.train], Y[fold.train])
    equations, n = part.equations(), len(fold.train)
    spectrum = Spectrum(equations.matrix)
    r = spectrum.leading(settings.variance, max(len(equations.centre), n))
    start = len(spectrum.eigenvalues) - r
    vectors, squares = spectrum.vectors[:, start:], spectrum.eigenvalues[start:]
    means, to_basis = _basis(Y[fold.train])
    # The solution a for b = y − ȳ (or Zᵀ(y − ȳ)) has weights whose Zw is the projection of y on
    # Q_x: divided by √s once, b has the coordinates in Q_x, twice the solution has them.
    primal = equations.rows is None
    shared = vectors.T @ equations.sides.T @ to_basis / (squares[:, None] ** 0.5 if primal else 1)
    A, rho, Bt = np.linalg.svd(shared, full_matrices=False)
    k = min(settings.components, len(rho))
    for run in tied_runs(rho, TIED):
        loadings = _loadings(Y[fold.train] - means, to_basis @ Bt[run].T)
        rotation = _rotation(loadings) if run.start < k and len(loadings.T) > 1 else None
        if rotation is not None:
            A[:, run], Bt[run] = A[:, run] @ rotation, rotation.T @ Bt[run]
    solution = vectors @ (A[:, :k] / squares[:, None] ** (0.5 if primal else 1.0))
    of_targets = to_basis @ Bt[:k].T
    unit = n**0.5 * _signs(_loadings(Y[fold.train] - means, of_targets))
    weights = (equations.weights(solution) * unit).T
    raw = [part.standardise.in_raw_units(weight, 0.0) for weight in weights]
    return Components(
        activations=apply_each(raw, X[fold.test]),
        targets=(Y[fold.test] - means) @ (of_targets * unit),
        in_sample=np.clip(rho[:k], 0, 1),
        saturated=r + to_basis.shape[1] > n - 1,
    )


def _basis(Y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means (K,) of ``Y`` (N, K), and T (K, q) such that (Y − means) T is orthonormal."""
    means, sd = Y.mean(axis=0), Y.std(axis=0)
    varies = sd > CONSTANT * np.abs(Y).max(axis=0)
    scale = np.divide(1, sd, out=np.zeros_like(sd), where=varies)
    _, sizes, Vt = np.linalg.svd((Y - means) * scale, full_matrices=False)
    kept = sizes > sizes[:1] * max(Y.shape) * np.finfo(np.float64).eps
    return means, scale[:, None] * Vt[kept].T / sizes[kept]


def _loadings(centred: FloatArray, weights: FloatArray) -> FloatArray:
    """(K, k) correlations of the ``centred`` targets (N, K) with the columns of ``centred @
    weights`` (K, k), which have norm 1; 0 for a target without weight, such as a constant one.

    Unlike weights, they do not depend on units, nor on how weight is divided between similar
    targets.
    """
    lengths = np.linalg.norm(centred, axis=0)[:, None]
    used = weights.any(axis=1, keepdims=True)
    products = centred.T @ (centred @ weights)
    found = np.divide(products, lengths, out=np.zeros_like(products), where=used & (lengths > 0))
    return np.asarray(found)


def _rotation(loadings: FloatArray) -> FloatArray | None:
    """(g, g) rotation of g equal components, with ``loadings`` (K, g), to those aligned with the
    first targets; None if fewer than g of the targets differ by more than rounding.
    """
    n_components = loadings.shape[1]
    directions = np.empty((0, n_components))
    for loading in loadings:
        rest = loading - loading @ directions.T @ directions
        length = np.linalg.norm(rest)
        if length > DISTINCT and len(directions) < n_components:
            directions = np.vstack([directions, rest / length])
    return directions.T if len(directions) == n_components else None


def _signs(loadings: FloatArray) -> FloatArray:
    """(k,) sign of the entry with the largest magnitude in every column of ``loadings`` (K, k)."""
    if not loadings.size:
        return np.ones(loadings.shape[1])
    largest = first_lowest(-np.abs(loadings.T))[None]
    return np.asarray(np.sign(np.take_along_axis(loadings, largest, axis=0))[0])
