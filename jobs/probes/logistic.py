"""Multinomial logistic regression with an L2 penalty, for targets that are classes.

N training rows, D features, r = min(N, D) coordinates, C classes, A alphas, K targets.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import blas, cholesky, qr, solve_triangular
from scipy.optimize import minimize
from scipy.special import log_softmax

from jobs.arrays import FloatArray
from jobs.probes.logistic_settings import LogisticSettings
from jobs.probes.result import ProbeResult, Weights
from jobs.probes.ridge import inner_folds
from jobs.probes.standardiser import Standardiser, fit_standardiser
from jobs.protocol.folds import Fold, IntArray, StrArray
from jobs.ties import TIED

PATIENCE = 2
"""Number of smaller alphas in a row without improvement that end the search, as they are the
costliest."""

TOLERANCE = 1e-5
"""Tolerance for the largest slope, in coordinates in which the curvature is about 1, relative to
the loss. Weights were then within 1e-4 of their norm, log-losses within 1e-4 of themselves, of
solutions a million times more exact (made-up data, separable and not)."""
LEAST_TOLERANCE = 1e-8
"""Loss difference below which there is only rounding: separable classes have losses near 0."""
MAX_ITERATIONS = 1000
"""Maximum iterations of one solve; reaching it is reported in the details."""


_NOTHING_TO_CHOOSE_BY = (
    "no held-out utterance has a class that was fitted, so that none can choose alpha: give the "
    "validation split utterances of the training split's classes, or group the folds by another "
    "column than that of the classes"
)


def fit_predict(
    settings: LogisticSettings,
    X: npt.NDArray[np.float32],
    Y: FloatArray,
    fold: Fold,
    groups: StrArray,
    seeds: Sequence[int],
) -> ProbeResult:
    """Fit logistic regression of every column of codes ``Y`` (U, K) on ``X`` (U, D).

    Minimises −(1/N) Σ log p(y | x) + (α/2) ‖W‖² over W (C, D) and b (C,) with p = softmax(Wx + b),
    x standardised on the training split and b not penalised (Hastie, Tibshirani & Friedman
    2009, The Elements of Statistical Learning, section 4.4). All classes of the training split have
    a row of W, even if there are only two: scikit-learn's ``C`` is 1/(αN), and 2/(αN) for its one
    row of two classes. Each column takes the α with the lowest log-loss on the validation split or,
    if there is none, over inner ``GroupKFold`` folds of the training split's ``groups``; the
    largest if tied. Rows whose class is not in the training split are not used for the choice. The
    weights are fitted on the training split alone.

    The solves run from the largest α to the smallest, each started at the previous solution, by
    L-BFGS in float64, until ``PATIENCE`` in a row are no better than the best. Where D > N, X =
    RᵀQᵀ (QR of Xᵀ) turns them into problems of N coordinates, exactly, since the best W lies in the
    span of the rows. A step costs 4 N r C operations, all else N D r + A r³/3.

    Returns:
        Predicted codes (n_test, K); details ``alpha``, ``alpha_at_edge`` (1 where it is the
        smallest or largest candidate), ``iterations`` (of its solve), ``converged`` (0 where that
        ended at ``MAX_ITERATIONS``) and ``unconverged`` (the number of such solves among those used
        for the choice); weights for ``apply``.

    Raises:
        ValueError: no row for the choice has a class that was fitted; or no validation split and
            fewer than two training groups.
    """
    part = _reduce(X, fold.train)
    trials = [_Trial(part, part.coordinates(X[fold.validation]), fold.validation)]
    if not fold.validation.size:
        trials = [
            _Trial(inner := _reduce(X, fitted), inner.coordinates(X[held_out]), held_out)
            for fitted, held_out in inner_folds(fold.train, groups)
        ]
    fits = [_fit(settings, part, trials, y) for y in Y.T.copy()]
    weights = [part.in_raw_units(fit.solution) for fit in fits]
    predictions = [apply(settings, one, X[fold.test]) for one in weights]
    details = [fit.details(settings.alphas) for fit in fits]
    return ProbeResult(np.stack(predictions, axis=1), details, weights)


def apply(settings: LogisticSettings, weights: Weights, X: npt.NDArray[np.float32]) -> FloatArray:
    """(n,) codes of the most probable classes for activations ``X`` (n, D).

    Args:
        settings: settings of the probe, unused.
        weights: ``weight`` (C, D) and ``bias`` (C,) of raw activations, ``classes`` (C,) codes.
        X: raw activations, not standardised.
    """
    logits = X.astype(np.float64) @ weights["weight"].T + weights["bias"]
    codes: FloatArray = weights["classes"][logits.argmax(axis=1)]
    return codes


@dataclass(frozen=True)
class _Solution:
    """Solution for one α."""

    alpha: float
    classes: FloatArray
    """(C,) codes, ascending."""
    weight: FloatArray
    """(r, C)"""
    bias: FloatArray
    """(C,)"""
    iterations: int
    converged: bool


@dataclass(frozen=True)
class _Fit:
    """The solution that was chosen."""

    solution: _Solution
    unconverged: int

    def details(self, alphas: Sequence[float]) -> dict[str, float]:
        alpha = self.solution.alpha
        return {
            "alpha": alpha,
            "alpha_at_edge": float(alpha in (alphas[0], alphas[-1])),
            "iterations": float(self.solution.iterations),
            "converged": float(self.solution.converged),
            "unconverged": float(self.unconverged),
        }


@dataclass(frozen=True)
class _Part:
    """Training rows in coordinates that represent them exactly."""

    rows: IntArray
    """(N,) their positions in the table."""
    standardise: Standardiser
    basis: FloatArray | None
    """(D, r) orthonormal; None where the coordinates are the features."""
    Z: FloatArray
    """(N, r)"""
    moments: FloatArray
    """(r, r) lower triangle of ZᵀZ / N."""

    def coordinates(self, X: npt.NDArray[np.float32]) -> FloatArray:
        """Map (n, D) rows to (n, r) coordinates."""
        standardised = self.standardise(X)
        return standardised if self.basis is None else standardised @ self.basis

    def in_raw_units(self, solution: _Solution) -> Weights:
        """Convert to the weights that ``apply`` takes."""
        weight = solution.weight if self.basis is None else self.basis @ solution.weight
        raw = weight / self.standardise.scale[:, None]
        bias = solution.bias - self.standardise.mean @ raw
        return {"weight": raw.T.copy(), "bias": bias, "classes": solution.classes}


def _reduce(X: npt.NDArray[np.float32], rows: IntArray) -> _Part:
    standardise = fit_standardiser(X[rows])
    Z, basis = standardise(X[rows]), None
    if Z.shape[1] > Z.shape[0]:
        basis, triangle = qr(Z.T, mode="economic", overwrite_a=True, check_finite=False)
        Z = np.ascontiguousarray(triangle.T)
    moments = blas.dsyrk(1 / len(Z), Z.T, lower=1)
    return _Part(rows, standardise, basis, Z, moments)


@dataclass(frozen=True)
class _Trial:
    """Rows to fit and held-out rows, on which a penalty is evaluated."""

    part: _Part
    Z: FloatArray
    """(n, r) the held-out rows, in the coordinates of ``part``."""
    rows: IntArray
    """(n,) their positions in the table."""


def _fit(settings: LogisticSettings, part: _Part, trials: Sequence[_Trial], y: FloatArray) -> _Fit:
    """Solve for ``part`` at the α that has the lowest log-loss over all ``trials``."""
    paths = [_path(trial.part, y, settings.alphas[::-1]) for trial in trials]
    best, lowest, since, unconverged = None, np.inf, 0, 0
    for solutions in zip(*paths, strict=True):
        unconverged += sum(not solution.converged for solution in solutions)
        losses = [_log_loss(*pair, y) for pair in zip(solutions, trials, strict=True)]
        informed = [loss for loss in losses if loss is not None]
        if not informed:
            raise ValueError(_NOTHING_TO_CHOOSE_BY)
        since += 1
        if sum(informed) < lowest * (1 - TIED):
            best, lowest, since = solutions[0], sum(informed), 0
        if since == PATIENCE:
            break
    assert best is not None, lowest
    if trials[0].part is not part:
        *_, best = _path(part, y, [a for a in settings.alphas[::-1] if a >= best.alpha])
        unconverged += not best.converged
    return _Fit(best, unconverged)


def _log_loss(solution: _Solution, trial: _Trial, y: FloatArray) -> float | None:
    """Sum the log-loss over the held-out rows whose class was fitted; None if there are none."""
    truth = y[trial.rows]
    known = np.isin(truth, solution.classes)
    if not known.any():
        return None
    log_p = log_softmax(trial.Z[known] @ solution.weight + solution.bias, axis=1)
    codes = np.searchsorted(solution.classes, truth[known])
    return -float(log_p[np.arange(len(codes)), codes].sum())


def _path(part: _Part, y: FloatArray, alphas: Sequence[float]) -> Iterator[_Solution]:
    """Yield the solutions from the largest α to the smallest, each started at the previous one.

    L-BFGS works on U = LᵀW with LLᵀ = ZᵀZ/(NC) + α: 1/C is the curvature of the log-loss at W = 0,
    so that the Hessian is 1 there in every direction, whatever the spectrum of the features.
    """
    classes, codes = np.unique(y[part.rows], return_inverse=True)
    n_classes, r = len(classes), part.Z.shape[1]
    weight = np.zeros((r, n_classes))
    bias = np.log(np.bincount(codes) / len(codes))
    for alpha in alphas:
        curvature = part.moments / n_classes
        curvature[np.diag_indices(r)] += alpha
        factor = cholesky(curvature, lower=True, overwrite_a=True, check_finite=False)
        objective = _Objective(part.Z, codes, alpha, factor)
        variables, iterations, converged = _minimise(objective, objective.packed(weight, bias))
        weight, bias = objective.unpacked(variables)
        bias -= bias.mean()
        yield _Solution(alpha, classes, weight, bias, iterations, converged)


def _minimise(objective: "_Objective", variables: FloatArray) -> tuple[FloatArray, int, bool]:
    """Minimise the loss to within ``TOLERANCE``; return (variables, iterations, converged).

    The tolerance is relative to the final loss, which is not known in advance: a few rounds are
    needed if the loss falls far.
    """
    loss, slope = objective(variables)
    iterations = 0
    while iterations < MAX_ITERATIONS:
        limits = {"maxiter": MAX_ITERATIONS - iterations, "maxfun": 10**6, "ftol": 0.0}
        limits["gtol"] = max(TOLERANCE * loss, LEAST_TOLERANCE)
        found = minimize(objective, variables, jac=True, method="L-BFGS-B", options=limits)
        variables, loss, slope = found.x, found.fun, found.jac
        iterations += int(found.nit)
        stuck = found.nit == 0  # a line search without a lower loss is at the limit of rounding
        if stuck or np.abs(slope).max() <= max(TOLERANCE * loss, LEAST_TOLERANCE):
            break
    converged = np.abs(slope).max() <= max(TOLERANCE * loss, LEAST_TOLERANCE)
    return variables, iterations, bool(converged)


class _Objective:
    """The penalised log-loss of one α and its gradient, as a function of U and b / √C."""

    def __init__(self, Z: FloatArray, codes: IntArray, alpha: float, factor: FloatArray) -> None:
        self._Z = Z
        self._codes = codes
        self._alpha = alpha
        self._factor = factor
        self._n_classes = int(codes.max()) + 1

    def packed(self, weight: FloatArray, bias: FloatArray) -> FloatArray:
        """Variables of the search from W (r, C) and b (C,)."""
        return np.concatenate([(self._factor.T @ weight).ravel(), bias / self._n_classes**0.5])

    def unpacked(self, variables: FloatArray) -> tuple[FloatArray, FloatArray]:
        """W (r, C) and b (C,) from the variables of the search."""
        U = variables[: -self._n_classes].reshape(-1, self._n_classes)
        weight = solve_triangular(self._factor, U, lower=True, trans="T", check_finite=False)
        return weight, variables[-self._n_classes :] * self._n_classes**0.5

    def __call__(self, variables: FloatArray) -> tuple[float, FloatArray]:
        weight, bias = self.unpacked(variables)
        residual = log_softmax(self._Z @ weight + bias, axis=1)
        at = np.arange(len(residual)), self._codes
        loss = -float(residual[at].mean()) + self._alpha / 2 * float(np.vdot(weight, weight))
        np.exp(residual, out=residual)
        residual[at] -= 1
        residual /= len(residual)
        slope = self._Z.T @ residual + self._alpha * weight
        slope = solve_triangular(self._factor, slope, lower=True, check_finite=False)
        bias_slope = residual.sum(axis=0) * self._n_classes**0.5
        return loss, np.concatenate([slope.ravel(), bias_slope])
