"""Ridge and CCA of one layer, fitted to the sums of its training and validation splits.

With ``splits`` the test split has stored activations: its predictions, scores and intervals are
computed as for a layer that is stored in full. With ``kfold`` every utterance is summed, and test
splits are scored from their sums (`jobs.gram.scores`).

Legend: U rows of the utterance table, D width of the layer, K problems, A alphas.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from jobs.activations.store import read_names, read_sums
from jobs.arrays import FloatArray
from jobs.gram.moments import Moments, combine, moments_of_sums
from jobs.gram.scores import mse_by_sums
from jobs.gram.settings import GramSettings
from jobs.gram.units import Units
from jobs.probes import CcaSettings, RidgeSettings, cca, ridge
from jobs.probes.normal_equations import NormalEquations
from jobs.probes.result import ProbeResult, Weights
from jobs.probes.standardiser import Standardiser, apply_each
from jobs.protocol.folds import IntArray
from jobs.settings import Settings
from jobs.storage.location import Location

GRAM_PROBES = ("ridge", "cca")
"""Kinds of probes that can be fitted to the statistics."""


@dataclass(frozen=True)
class GramSets:
    """Location of the statistics of one model."""

    settings: GramSettings
    units: tuple[tuple[Location, int], ...]
    """(folder, number of shards) of every unit."""

    def read_names(self) -> set[str]:
        """Read the ids of the utterances that were summed."""
        return {name for place in self.units for name in read_names(*place)}


@dataclass(frozen=True)
class LayerMoments:
    """The statistics of one layer."""

    settings: GramSettings
    units: Units
    moments: list[list[Moments | None]]
    """Indexed by set of rows, then by unit; None if the unit has no rows of the set."""

    @property
    def finite(self) -> bool:
        """True if all activations that were summed are finite."""
        return all(one is None or one.finite for found in self.moments for one in found)

    @cached_property
    def width(self) -> int:
        """D; 0 if nothing was summed."""
        return next((len(m.mean) for found in self.moments for m in found if m), 0)

    def of(self, target: str, units: Iterable[int]) -> Moments | None:
        """Return the moments of the rows of ``units`` with a value of ``target``; None if none."""
        found = self.moments[self.settings.row_set(target)]
        return combine(found[unit] for unit in units)

    def validation_mse(
        self, target: str, control: str, fold: int, weights: Weights
    ) -> float | None:
        """Mean squared error of a linear probe with ``weights`` on the validation split of
        ``fold``; None if there is none, or none of it could be read."""
        rows = self.of(target, self.units.folds[fold].validation)
        column = self.settings.column(target, control, fold)
        return mse_by_sums(rows, column, weights) if rows is not None else None

    def tested(self, target: str, fold: int) -> Moments | None:
        """Return the moments of the test split of ``fold``; None if it was not summed."""
        return self.of(target, self.units.folds[fold].test)

    def fit_predict(
        self,
        settings: Settings,
        fold: int,
        columns: Sequence[tuple[str, str]],
        Y: FloatArray,
        X: npt.NDArray[np.float32],
    ) -> ProbeResult:
        """Fit a probe of ``GRAM_PROBES`` and predict the test rows.

        Args:
            settings: settings of the probe.
            fold: fold whose training split is used.
            columns: (target, control) of K problems whose targets have values for the same rows.
            Y: (N, K) labels of the training split.
            X: (n_test, D) activations; no rows if the test split is summed.

        Raises:
            ValueError: there are no utterances on which to choose ridge's alpha.
        """
        target, units = columns[0][0], self.units.folds[fold]
        chosen = np.array([self.settings.column(*column, fold) for column in columns])
        train = self.of(target, units.train)
        assert train is not None and train.n == len(Y), (train and train.n, len(Y))
        standardise, equations = normal_equations(train, chosen)
        if isinstance(settings, CcaSettings):
            weights, details = cca.fit(settings, equations, standardise, Y.T.copy())
            return ProbeResult(apply_each(weights, X), details, weights)
        assert isinstance(settings, RidgeSettings), settings
        alphas = np.asarray(settings.alphas)
        solutions = ridge.solutions_of(equations, alphas)
        if chooses_on_inner_folds(settings, has_validation=bool(units.validation)):
            errors = self._inner_errors(target, fold, chosen, standardise.scale, alphas)
        else:
            validation = self.of(target, units.validation)
            if validation is None:
                raise ValueError("alpha must be chosen on the validation split, which is empty")
            errors = _errors(validation, chosen, equations, standardise, solutions)
        fitted = ridge.best(standardise, equations, alphas, solutions, errors)
        return ridge.predicted(fitted, alphas, X)

    def _inner_errors(
        self, target: str, fold: int, columns: IntArray, scale: FloatArray, alphas: FloatArray
    ) -> FloatArray:
        """Return (K, A) squared errors on inner folds, as `jobs.probes.ridge.fit_by_inner_folds`.

        Every inner fold is centred on its own mean and scaled by the ``scale`` of the whole
        training split.

        Raises:
            ValueError: there are fewer than two training speakers.
        """
        units = self.units.folds[fold]
        errors = np.zeros((len(columns), len(alphas)))
        of_target = units.inner[self.settings.row_set(target)]
        if not of_target:
            raise ValueError(
                "choosing settings without a validation split needs at least 2 training speakers: "
                "add a validation split or speakers"
            )
        for held_out in of_target:
            rows = self.of(target, held_out)
            rest = self.of(target, (unit for unit in units.train if unit not in held_out))
            if rows is None or rest is None:
                continue  # none of its utterances could be read
            standardise = Standardiser(rest.mean, scale)
            equations = _equations(rest, columns, scale)
            solutions = ridge.solutions_of(equations, alphas)
            errors += _errors(rows, columns, equations, standardise, solutions)
        return errors


def chooses_on_inner_folds(settings: RidgeSettings, *, has_validation: bool) -> bool:
    """Return True if alpha is chosen on inner folds of the training split."""
    return settings.choose == "inner" or (settings.choose == "auto" and not has_validation)


def read_moments(sets: GramSets, units: Units, layer: str) -> LayerMoments:
    """Read the statistics of ``layer``.

    Raises:
        jobs.activations.manifest.CorruptShard: statistics are damaged and must be extracted again.
    """
    n_columns = sets.settings.n_columns

    def read(place: tuple[Location, int], row_set: int) -> Moments | None:
        # Read one set of rows at a time: each has D² numbers, and there is rarely a second.
        return moments_of_sums((shard[row_set] for shard in read_sums(*place, layer)), n_columns)

    moments = [
        [read(place, row_set) for place in sets.units]
        for row_set in range(sets.settings.n_row_sets)
    ]
    return LayerMoments(sets.settings, units, moments)


def normal_equations(train: Moments, columns: IntArray) -> tuple[Standardiser, NormalEquations]:
    """Return the normal equations of ``columns`` (K,) for features standardised on ``train``.

    They are always in primal form. As in ``fit_standardiser``, a feature is constant if its SD is
    within float32 rounding of its magnitude, which for so small an SD is that of its mean.
    """
    sd = np.sqrt(np.maximum(np.diag(train.xx), 0) / train.n)
    constant = sd <= 1e-7 * np.abs(train.mean)
    scale = np.where(constant, np.inf, sd)
    return Standardiser(train.mean, scale), _equations(train, columns, scale)


def _equations(rows: Moments, columns: IntArray, scale: FloatArray) -> NormalEquations:
    """Return the equations for features centred on the mean of ``rows``, divided by ``scale``."""
    return NormalEquations(
        matrix=rows.xx / scale / scale[:, None],
        sides=rows.xy[columns] / scale,
        centre=np.zeros(len(scale)),
        means=rows.label_mean[columns],
        n_rows=rows.n,
        rows=None,
    )


def _errors(
    held_out: Moments,
    columns: IntArray,
    equations: NormalEquations,
    standardise: Standardiser,
    solutions: Sequence[FloatArray],
) -> FloatArray:
    """Return (K, A) squared errors of ``solutions`` on held-out rows."""
    errors = np.empty((len(columns), solutions[0].shape[1]))
    for k, (solution, mean, column) in enumerate(
        zip(solutions, equations.means, columns, strict=True)
    ):
        weights = solution / standardise.scale[:, None]
        bias = mean - standardise.mean @ weights
        errors[k] = held_out.squared_errors(int(column), weights, bias)
    return errors
