"""Ridge and CCA of one layer, from the statistics of its training and validation parts.

Only the test part has activations: its predictions, and with them every score and interval, are
made as they are for a layer that was stored whole.

Legend: U rows of the utterance table, D width of the layer, K problems.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jobs.gram import GramSettings
from jobs.metrics import FloatArray
from jobs.moments import Moments, total
from jobs.place import Place
from jobs.probes import ProbeResult, cca, ridge
from jobs.probes.cca import CcaSettings
from jobs.probes.normal import NormalEquations
from jobs.probes.ridge import RidgeSettings
from jobs.probes.standardiser import Standardiser, apply_each
from jobs.protocol import IntArray
from jobs.settings import Settings
from jobs.store import read_names, read_sums

GRAM_PROBES = ("ridge", "cca")
"""Kinds of probes that statistics suffice for."""


@dataclass(frozen=True)
class GramSets:
    """Where the statistics of one model lie."""

    settings: GramSettings
    train: tuple[Place, int]
    """Folder, and number of shards."""
    validation: tuple[Place, int] | None

    def read_names(self) -> set[str]:
        """The utterances that were summed up."""
        places = [self.train, self.validation] if self.validation else [self.train]
        return {name for place in places for name in read_names(*place)}


@dataclass(frozen=True)
class LayerMoments:
    """The statistics of one layer."""

    settings: GramSettings
    train: list[Moments | None]
    """Of each set of rows; None where it has none."""
    validation: list[Moments | None]

    @property
    def finite(self) -> bool:
        """Whether all activations were that were summed up."""
        return all(one is None or one.finite for one in (*self.train, *self.validation))

    def fit_predict(
        self,
        settings: Settings,
        columns: Sequence[tuple[str, str]],
        Y: FloatArray,
        X: npt.NDArray[np.float32],
    ) -> ProbeResult:
        """What a probe of ``GRAM_PROBES`` says of test rows.

        Args:
            settings: of the probe.
            columns: (target, control) of K problems, whose targets have values of the same rows.
            Y: (N, K) their labels in the training part.
            X: (n_test, D) activations.

        Raises:
            ValueError: ridge has no validation utterances to choose alpha on.
        """
        known, row_set = self.settings.columns(), self.settings.row_set(columns[0][0])
        chosen = np.array([known.index(column) for column in columns])
        train, validation = self.train[row_set], self.validation[row_set]
        assert train is not None and train.n == len(Y), (train and train.n, len(Y))
        standardise, equations = normal_equations(train, chosen)
        if isinstance(settings, CcaSettings):
            weights, details = cca.fit(settings, equations, standardise, Y.T.copy())
            return ProbeResult(apply_each(weights, X), details, weights)
        assert isinstance(settings, RidgeSettings), settings
        if validation is None:
            raise ValueError("alpha is to be chosen on validation, which has no utterances")
        return _ridge(settings, standardise, equations, (validation, chosen), X)


def read_moments(sets: GramSets, layer: str) -> LayerMoments:
    """The statistics of ``layer``.

    Raises:
        jobs.store.CorruptShard: statistics are damaged and have to be extracted again.
    """
    row_sets, n_columns = range(sets.settings.n_row_sets), sets.settings.n_columns

    def read(place: tuple[Place, int] | None) -> list[Moments | None]:
        # A set of rows at a time: one has D² numbers, and there is hardly ever a second.
        return [
            None if place is None
            else total((shard[row_set] for shard in read_sums(*place, layer)), n_columns)
            for row_set in row_sets
        ]  # fmt: skip

    return LayerMoments(sets.settings, read(sets.train), read(sets.validation))


def normal_equations(train: Moments, columns: IntArray) -> tuple[Standardiser, NormalEquations]:
    """Of ``columns`` (K,), on features standardised on the rows of ``train``.

    Always the primal form. As in ``fit_standardiser``, a feature is constant if its SD is within
    float32's rounding of its size; that is the mean's, where the SD is so small.
    """
    sd = np.sqrt(np.maximum(np.diag(train.xx), 0) / train.n)
    constant = sd <= 1e-7 * np.abs(train.mean)
    scale = np.where(constant, np.inf, sd)
    equations = NormalEquations(
        matrix=train.xx / scale / scale[:, None],
        sides=train.xy[columns] / scale,
        centre=np.zeros(len(scale)),
        means=train.label_mean[columns],
        n_rows=train.n,
        rows=None,
    )
    return Standardiser(train.mean, scale), equations


def _ridge(
    settings: RidgeSettings,
    standardise: Standardiser,
    equations: NormalEquations,
    validation: tuple[Moments, IntArray],
    X: npt.NDArray[np.float32],
) -> ProbeResult:
    alphas = np.asarray(settings.alphas)
    solutions = ridge.solutions_of(equations, alphas)
    moments, columns = validation
    errors = np.empty((len(columns), len(alphas)))
    for k, (solution, mean, column) in enumerate(
        zip(solutions, equations.means, columns, strict=True)
    ):
        weights = solution / standardise.scale[:, None]
        bias = mean - standardise.mean @ weights
        errors[k] = moments.squared_errors(int(column), weights, bias)
    fitted = ridge.best(standardise, equations, alphas, solutions, errors)
    return ridge.predicted(fitted, alphas, X)
