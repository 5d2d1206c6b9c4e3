"""Ridge regression in closed form: one eigendecomposition a fold serves all alphas and targets.

N training rows, D features, K targets, A alphas, r = min(N, D).
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator
from sklearn.model_selection import GroupKFold

from jobs.metrics import FloatArray
from jobs.probes.linear import Spectrum, decompose, fit_standardiser
from jobs.probes.result import ProbeResult
from jobs.protocol import Fold, IntArray, StrArray
from jobs.settings import Settings

ALPHAS = tuple(10.0 ** (half / 2) for half in range(-8, 11))
"""1e-4 … 1e5 in half decades."""

INNER_FOLDS = 5
"""Inner folds, at most, where the protocol has no validation part."""


class RidgeSettings(Settings):
    """Settings of the ridge probe."""

    kind: Literal["ridge"] = "ridge"
    name: str | None = None
    alphas: tuple[float, ...] = Field(default=ALPHAS, min_length=1)
    """Penalties to choose from, relative to the *mean* squared error on standardised features, so
    that a value means the same at any number of utterances; scikit-learn's is N times this.
    """

    @field_validator("alphas")
    @classmethod
    def _positive_and_ascending(cls, alphas: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < alpha < float("inf") for alpha in alphas):
            raise ValueError(f"every alpha must be finite and above 0, found {list(alphas)}")
        return tuple(sorted(set(alphas)))


def fit_predict(
    settings: RidgeSettings,
    X: npt.NDArray[np.float32],
    Y: FloatArray,
    fold: Fold,
    groups: StrArray,
    seeds: Sequence[int],
) -> ProbeResult:
    """Ridge regression of every column of ``Y`` (U, K) on ``X`` (U, D).

    Minimises (1/N) ‖y − ȳ − Xw‖² + α ‖w‖² over w (D,), X standardised on the training part and
    ȳ the training mean: w = (XᵀX + Nα)⁻¹ Xᵀ(y − ȳ). Each column takes the α with the lowest
    squared error on the validation part or, where there is none, over inner ``GroupKFold`` folds of
    the training speakers; of equal ones, the largest. The weights are then those of the training
    part alone: validation rows choose, they never fit.

    Returns:
        Predictions (n_test, K); details ``alpha`` and ``alpha_at_edge`` (1 where α is the smallest
        or largest on offer, so that a better one may lie outside).

    Raises:
        ValueError: no validation part and fewer than two training speakers.
    """
    alphas = np.asarray(settings.alphas)
    solver = _Solver(X, Y, fold.train)
    if fold.validation.size:
        errors = solver.errors(X, Y, fold.validation, alphas)
    else:
        errors = np.zeros((Y.shape[1], len(alphas)))
        for fitted, held_out in inner_folds(fold.train, groups):
            errors += _Solver(X, Y, fitted).errors(X, Y, held_out, alphas)
    best = len(alphas) - 1 - errors[:, ::-1].argmin(axis=1)
    edge = (best == 0) | (best == len(alphas) - 1)
    details = [
        {"alpha": float(alphas[i]), "alpha_at_edge": float(at_edge)}
        for i, at_edge in zip(best, edge, strict=True)
    ]
    return ProbeResult(solver.predict(X[fold.test], alphas[best]), details)


def inner_folds(train: IntArray, groups: StrArray) -> Iterator[tuple[IntArray, IntArray]]:
    """(fitted rows, held-out rows) of ``train``, no speaker in both.

    Raises:
        ValueError: the training part has fewer than two speakers.
    """
    n_groups = len(np.unique(groups[train]))
    if n_groups < 2:
        raise ValueError(
            f"choosing settings without a validation part needs at least 2 training speakers, "
            f"found {n_groups}: add a validation part or speakers"
        )
    splitter = GroupKFold(n_splits=min(INNER_FOLDS, n_groups))
    for fitted, held_out in splitter.split(train, groups=groups[train]):
        yield train[fitted], train[held_out]


class _Solver:
    """The training part, decomposed once.

    Products are made a target at a time, so that no target's rounding depends on its neighbours.
    """

    def __init__(self, X: npt.NDArray[np.float32], Y: FloatArray, train: IntArray) -> None:
        self._standardise = fit_standardiser(X[train])
        self._spectrum: Spectrum = decompose(self._standardise(X[train]))
        self._means = [float(y.mean()) for y in Y[train].T.copy()]
        self._coordinates = [
            self._spectrum.left.T @ (y - mean)
            for y, mean in zip(Y[train].T.copy(), self._means, strict=True)
        ]
        self._n_train = len(train)

    def predict(self, X: npt.NDArray[np.float32], alphas: FloatArray) -> FloatArray:
        """(n, K) predictions for rows ``X`` (n, D), column k with ``alphas[k]``."""
        directions = self._directions(X)
        columns = [
            mean + (directions @ self._shrunk(k, alphas[[k]]))[:, 0]
            for k, mean in enumerate(self._means)
        ]
        return np.stack(columns, axis=1)

    def errors(
        self, X: npt.NDArray[np.float32], Y: FloatArray, rows: IntArray, alphas: FloatArray
    ) -> FloatArray:
        """(K, A) summed squared errors on ``rows``."""
        directions = self._directions(X[rows])
        squared = [
            (Y[rows, k, None] - mean - directions @ self._shrunk(k, alphas)) ** 2
            for k, mean in enumerate(self._means)
        ]
        return np.stack([errors.sum(axis=0) for errors in squared])

    def _directions(self, X: npt.NDArray[np.float32]) -> FloatArray:
        return self._standardise(X) @ self._spectrum.basis

    def _shrunk(self, k: int, alphas: FloatArray) -> FloatArray:
        """(r, A) weights of target k in the basis."""
        penalised = self._spectrum.eigenvalues[:, None] + self._n_train * alphas
        return np.asarray(self._coordinates[k][:, None] / penalised)
