"""Banded ridge regression in closed form: features in bands, each with a penalty of its own.

Minimises (1/N) ‖y − ȳ − Σ_b Z_b w_b‖² + Σ_b α_b ‖w_b‖², where Z_b are the features of band b,
standardised on the training rows (Nunez-Elizalde, Huth & Gallant 2019, NeuroImage 197:482–492;
Dupré la Tour, Eickenberg, Nunez-Elizalde & Gallant 2022, NeuroImage 264:119728). All bands but one
are narrow: the nuisances. The wide one, a layer Z with penalty a, is eliminated first. Its residual
maker, times 1/N, is

    H(a) = (1/N) (I − Z (ZᵀZ + N a)⁻¹ Zᵀ) = a (ZZᵀ + N a)⁻¹,

so that with the nuisances X and their penalties Λ = diag(α) the weights follow from

    (XᵀHX + Λ) w = XᵀH(y − ȳ),    and those of the layer from ridge regression of y − ȳ − Xw on Z.

ZᵀZ or ZZᵀ, the smaller one, is brought to tridiagonal form once; each a then takes O(m n).

Legend: N training rows, D width of the layer, m = min(N, D), n columns of nuisances, C columns of
the target (1 for a number, one per class), H rows to predict, A alphas.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jobs.arrays import FloatArray
from jobs.probes.factorisations import Tridiagonal
from jobs.probes.normal_equations import TrainingPart
from jobs.probes.standardiser import fit_standardiser
from jobs.ties import first_lowest

MOST_ROUNDS = 10
"""Rounds over all bands in the search for their alphas; it ends earlier when nothing changes."""

Rows = npt.NDArray[np.float32]


class WideBand:
    """The training rows of a layer, prepared for any penalty and target."""

    def __init__(self, X: Rows) -> None:
        """Take activations ``X`` (N, D)."""
        part = TrainingPart(X, np.empty((len(X), 0)))
        equations = part.equations()
        self._standardise = part.standardise
        self._X, self._rows = X, equations.rows
        self._tridiagonal = Tridiagonal(equations.matrix)
        self.n_rows = len(X)

    def turned(self, X: Rows) -> FloatArray:
        """(H, m) rows ``X`` (H, D) as `Eliminated` needs them to predict."""
        found = np.empty((len(X), len(self._tridiagonal.diagonal)))
        for block, Z in self._standardise.blocks(X):
            found[block] = Z if self._rows is None else Z @ self._rows.T
        return self._tridiagonal.turn(found.T, back=True).T

    def turned_sides(self, columns: FloatArray) -> FloatArray:
        """(m, c) right sides of the normal equations for centred ``columns`` (N, c)."""
        sides = columns
        if self._rows is None:
            sides = np.zeros((self._X.shape[1], columns.shape[1]))
            for block, Z in self._standardise.blocks(self._X):
                sides += Z.T @ columns[block]
        return self._tridiagonal.turn(sides, back=True)

    def eliminate(self, columns: FloatArray, sides: FloatArray, penalty: float) -> "Eliminated":
        """Eliminate the layer at ``penalty`` from centred ``columns`` B (N, c), whose
        ``turned_sides`` are ``sides``."""
        solved = self._tridiagonal.solve_turned(sides, self.n_rows * penalty)
        products = sides.T @ solved
        if self._rows is None:
            products = (columns.T @ columns - products) / self.n_rows
        else:
            products = penalty * products
        return Eliminated(products, solved)


@dataclass(frozen=True)
class Eliminated:
    """The columns B (N, c) of a regression from which the layer was eliminated."""

    products: FloatArray
    """(c, c) BᵀHB."""
    solved: FloatArray
    """(m, c) ridge regression of every column on the layer: its prediction for rows r is their
    ``turned`` (H, m) times this. Without a layer (0, c)."""


@dataclass(frozen=True)
class Held:
    """Rows to predict, as a fit sees them."""

    nuisances: FloatArray
    """(H, n) standardised."""
    layer: FloatArray
    """(H, m) turned; (H, 0) without a layer."""


class BandedRidge:
    """Banded ridge regression on one set of training rows.

    Alphas are given as one per narrow band, then one for the wide band if there is one.
    """

    def __init__(self, narrow: Sequence[Rows], wide: WideBand | None, Y: FloatArray) -> None:
        """Take features ``narrow`` (N, n_b) of each band, a layer, and a target ``Y`` (N, C)."""
        self._widths = [band.shape[1] for band in narrow]
        features = np.concatenate(narrow, axis=1)
        self._standardise = fit_standardiser(features)
        self._mean = Y.mean(axis=0)
        self._columns = np.concatenate([self._standardise(features), Y - self._mean], axis=1)
        self._wide = wide
        self._sides = wide.turned_sides(self._columns) if wide else np.empty((0, 0))
        self._eliminated: dict[float, Eliminated] = {}

    @property
    def n_bands(self) -> int:
        """Number of alphas."""
        return len(self._widths) + (self._wide is not None)

    def hold(self, narrow: Sequence[Rows], X: Rows) -> Held:
        """Prepare rows with features ``narrow`` (H, n_b) and activations ``X`` (H, D)."""
        layer = self._wide.turned(X) if self._wide else np.empty((len(X), 0))
        return Held(self._standardise(np.concatenate(narrow, axis=1)), layer)

    def predict(self, alphas: Sequence[float], held: Held) -> FloatArray:
        """(H, C) predictions for ``held`` at ``alphas``, one per band."""
        n = sum(self._widths)
        found = self._without_layer(alphas[-1])
        penalties = np.repeat(alphas[: len(self._widths)], self._widths)
        left = found.products[:n, :n] + np.diag(penalties)
        w = np.linalg.solve(left, found.products[:n, n:])
        of_layer = found.solved[:, n:] - found.solved[:, :n] @ w
        return np.asarray(self._mean + held.nuisances @ w + held.layer @ of_layer)

    def _without_layer(self, alpha: float) -> Eliminated:
        key = alpha if self._wide else 0.0
        if key not in self._eliminated:
            self._eliminated[key] = (
                self._wide.eliminate(self._columns, self._sides, alpha)
                if self._wide
                else Eliminated(
                    self._columns.T @ self._columns / len(self._columns),
                    np.empty((0, self._columns.shape[1])),
                )
            )
        return self._eliminated[key]


@dataclass(frozen=True)
class Trial:
    """A fit with rows to choose alphas on."""

    fit: BandedRidge
    held: Held
    Y: FloatArray
    """(H, C) target of the rows."""

    def error(self, alphas: Sequence[float]) -> float:
        """Sum of squared errors at ``alphas``."""
        return float(np.sum((self.Y - self.fit.predict(alphas, self.held)) ** 2))


def choose_alphas(
    trials: Sequence[Trial], alphas: Sequence[float], start: Sequence[int]
) -> tuple[int, ...]:
    """Choose the alpha of every band by coordinate descent on the summed error of all trials.

    In each round every band in turn, the last one first, takes its best alpha given those of the
    others, the largest if tied, until nothing changes.

    Args:
        trials: fits of the same bands.
        alphas: candidates (A,), ascending.
        start: position of the alpha that each band begins with.

    Returns:
        Position of the alpha of each band.
    """
    chosen = list(start)
    known: dict[tuple[int, ...], float] = {}

    def error(at: tuple[int, ...]) -> float:
        if at not in known:
            known[at] = sum(trial.error([alphas[position] for position in at]) for trial in trials)
        return known[at]

    for _ in range(MOST_ROUNDS):
        before = tuple(chosen)
        for band in reversed(range(len(chosen))):
            downwards = range(len(alphas) - 1, -1, -1)
            places = [(*chosen[:band], position, *chosen[band + 1 :]) for position in downwards]
            errors = np.array([[error(place) for place in places]])
            chosen[band] = downwards[int(first_lowest(errors)[0])]
        if tuple(chosen) == before:
            break
    return tuple(chosen)
