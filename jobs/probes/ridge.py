"""Ridge regression in closed form: one factorisation per fold serves all alphas and targets.

N training rows, D features, K targets, A alphas.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import GroupKFold

from jobs.arrays import FloatArray
from jobs.probes.factorisations import Spectrum, Tridiagonal
from jobs.probes.normal_equations import NormalEquations, TrainingPart
from jobs.probes.result import ProbeResult, Weights
from jobs.probes.ridge_settings import RidgeSettings
from jobs.probes.standardiser import Standardiser, apply_each, apply_linear
from jobs.protocol.folds import Fold, IntArray, StrArray
from jobs.ties import first_lowest

INNER_FOLDS = 5
"""Maximum number of inner folds, used if the protocol has no validation split."""

apply = apply_linear


def fit_predict(
    settings: RidgeSettings,
    X: npt.NDArray[np.float32],
    Y: FloatArray,
    fold: Fold,
    groups: StrArray,
    seeds: Sequence[int],
) -> ProbeResult:
    """Fit ridge regression of every column of ``Y`` (U, K) on ``X`` (U, D).

    Minimises (1/N) ‖y − ȳ − Zw‖² + α ‖w‖² over w (D,), Z being X standardised on the training split
    and ȳ the training mean: w = (ZᵀZ + Nα)⁻¹ Zᵀ(y − ȳ) (Hoerl & Kennard 1970). Each column takes
    the α with the lowest squared error on the data that ``settings.choose`` names; the largest if
    tied. The weights are then fitted on the training split alone, never on validation rows.

    Returns:
        Predictions (n_test, K); details ``alpha`` and ``alpha_at_edge`` (1 where α is the smallest
        or largest candidate, so that a better one may lie outside); weights for ``apply``.

    Raises:
        ValueError: inner folds of fewer than two training speakers; no validation split to choose
            on; an α below rounding.
    """
    alphas = np.asarray(settings.alphas)
    part = TrainingPart(X[fold.train], Y[fold.train])
    choose = settings.choose
    if choose == "auto":
        choose = "validation" if fold.validation.size else "inner"
    if choose == "inner":
        fitted = fit_by_inner_folds(part, alphas, groups[fold.train])
    elif choose == "loo":
        fitted = fit_by_leave_one_out(part, alphas)
    elif fold.validation.size:
        fitted = fit_by_validation(part, alphas, X[fold.validation], Y[fold.validation])
    else:
        raise ValueError(
            "alpha is to be chosen on validation, but the protocol has no validation split: name "
            "one in the protocol, or set choose: inner"
        )
    return predicted(fitted, alphas, X[fold.test])


@dataclass(frozen=True)
class Fitted:
    """K ridge regressions."""

    weights: list[Weights]
    alphas: FloatArray
    """(K,) alphas that were chosen."""


def predicted(fitted: Fitted, alphas: FloatArray, X: npt.NDArray[np.float32]) -> ProbeResult:
    """Make the result for test rows ``X`` (n, D) from regressions chosen among ``alphas``."""
    details = [
        {"alpha": float(alpha), "alpha_at_edge": float(alpha in (alphas[0], alphas[-1]))}
        for alpha in fitted.alphas
    ]
    return ProbeResult(apply_each(fitted.weights, X), details, fitted.weights)


def fit_by_validation(
    part: TrainingPart, alphas: FloatArray, X: npt.NDArray[np.float32], Y: FloatArray
) -> Fitted:
    """Fit ``part`` with the alphas (of A, ascending) that are best on rows ``X``, ``Y``."""
    equations = part.equations()
    solutions = solutions_of(equations, alphas)
    errors = _squared_errors(equations, solutions, part.standardise(X), Y.T.copy())
    return best(part.standardise, equations, alphas, solutions, errors)


def fit_by_inner_folds(part: TrainingPart, alphas: FloatArray, groups: StrArray) -> Fitted:
    """Fit ``part`` with the alphas that are best over ``inner_folds`` of its ``groups`` (N,).

    Each fold is fitted on features about its own mean, in the scale of all training rows: so its
    products are those of all rows without the held-out ones, and no new ones are needed.
    """
    errors = np.zeros((len(part.targets), len(alphas)))
    for _, held_out in inner_folds(np.arange(len(groups)), groups):
        equations = part.equations_without(held_out)
        rows = part.standardise(part.X[held_out]) - equations.centre
        values = part.targets.take(held_out, axis=1)
        errors += _squared_errors(equations, solutions_of(equations, alphas), rows, values)
    equations = part.equations()
    return best(part.standardise, equations, alphas, solutions_of(equations, alphas), errors)


def fit_by_leave_one_out(part: TrainingPart, alphas: FloatArray) -> Fitted:
    """Fit ``part`` with the alphas that are best for rows left out one by one.

    It ignores speakers: other rows of the same speaker stay in, which favours an α that is too
    small for new speakers.
    """
    equations = part.equations()
    factored = Spectrum(equations.matrix)
    chosen = alphas[lowest(leave_one_out_errors(part, factored, alphas))]
    solutions = [
        factored.solve(side, len(part.X) * alpha)[:, 0]
        for side, alpha in zip(equations.sides, chosen[:, None], strict=True)
    ]
    return _fitted(part.standardise, equations, solutions, chosen)


def leave_one_out_errors(part: TrainingPart, factored: Spectrum, alphas: FloatArray) -> FloatArray:
    """(K, A) squared errors on the rows of ``part``, each left out once, in closed form.

    The error of row i, left out, is (yᵢ − ŷᵢ) / (1 − hᵢ), where h is the diagonal of
    11ᵀ/N + Z(ZᵀZ + λ)⁻¹Zᵀ (Allen 1974; Golub, Heath & Wahba 1979, Technometrics 21:215–223), here
    with λ = (N − 1)α. In the dual form both are lines of (ZZᵀ + λ)⁻¹: y − ŷ = λa with its
    solution a, and 1 − hᵢ = λ times its diagonal − 1/N. Z keeps the scale of all rows.
    """
    equations, n = part.equations(), len(part.X)
    penalties = (n - 1) * alphas
    errors = np.zeros((len(part.targets), len(alphas)))
    if equations.rows is not None:
        spared = factored.quadratic(factored.vectors, penalties) - 1 / (n * penalties)
        for k, side in enumerate(equations.sides):
            errors[k] = _sum_of_squares(factored.solve(side, penalties) / spared)
        return errors
    solutions = [factored.coordinates(side, penalties) for side in equations.sides]
    for block, rows in part.standardise.blocks(part.X):
        turned = rows @ factored.vectors
        inflation = 1 / (1 - 1 / n - factored.quadratic(turned, penalties))
        for k, solution in enumerate(solutions):
            missed = (part.targets[k, block] - equations.means[k])[:, None] - turned @ solution
            missed *= inflation
            errors[k] += _sum_of_squares(missed)
    return errors


def inner_folds(train: IntArray, groups: StrArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield (fitted rows, held-out rows) of ``train``, with no speaker in both.

    Raises:
        ValueError: the training split has fewer than two speakers.
    """
    n_groups = len(np.unique(groups[train]))
    if n_groups < 2:
        raise ValueError(
            f"choosing settings without a validation split needs at least 2 training speakers, "
            f"found {n_groups}: add a validation split or speakers"
        )
    splitter = GroupKFold(n_splits=min(INNER_FOLDS, n_groups))
    for fitted, held_out in splitter.split(train, groups=groups[train]):
        yield train[fitted], train[held_out]


def solutions_of(equations: NormalEquations, alphas: FloatArray) -> list[FloatArray]:
    """Solve for every target: (m, A) for A alphas."""
    factored = Tridiagonal(equations.matrix)
    return [factored.solve(side, equations.n_rows * alphas) for side in equations.sides]


def _squared_errors(
    equations: NormalEquations, solutions: list[FloatArray], rows: FloatArray, targets: FloatArray
) -> FloatArray:
    """(K, A) sums over ``rows`` (n, D), about the equations' centre, with ``targets`` (K, n)."""
    columns = zip(solutions, targets, equations.means, strict=True)
    return np.stack(
        [
            _sum_of_squares((values - mean)[:, None] - rows @ equations.weights(solution))
            for solution, values, mean in columns
        ]
    )


def _sum_of_squares(values: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("na,na->a", values, values))


def lowest(errors: FloatArray) -> IntArray:
    """(K,) positions of the alpha, of A ascending ones, with the lowest ``errors`` (K, A); the last
    if tied."""
    return np.asarray(errors.shape[1] - 1 - first_lowest(errors[:, ::-1]))


def best(
    standardise: Standardiser,
    equations: NormalEquations,
    alphas: FloatArray,
    solutions: list[FloatArray],
    errors: FloatArray,
) -> Fitted:
    """Select the solution of every target, of its (m, A), with the lowest of its ``errors``
    (K, A)."""
    best = lowest(errors)
    chosen = [solution[:, i] for solution, i in zip(solutions, best, strict=True)]
    return _fitted(standardise, equations, chosen, alphas[best])


def _fitted(
    standardise: Standardiser,
    equations: NormalEquations,
    solutions: list[FloatArray],
    alphas: FloatArray,
) -> Fitted:
    """Collect the solution (m,) of every target at its alpha, of ``alphas`` (K,)."""
    weights = [
        standardise.in_raw_units(equations.weights(solution), mean)
        for solution, mean in zip(solutions, equations.means, strict=True)
    ]
    return Fitted(weights, alphas)
