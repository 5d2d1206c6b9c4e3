"""The job that measures the gain of one layer over nuisance variables.

Legend: U rows of the utterance table, C columns of a target: 1 for a number, one per class.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from jobs.arrays import FloatArray
from jobs.beyond.banded_ridge import BandedRidge, Rows, Trial, WideBand, choose_alphas
from jobs.beyond.nuisances import (
    BaselineRows,
    fixed_bands,
    nuisances_of,
    read_baselines,
    speaker_mean_band,
)
from jobs.beyond.results import FoldPredictions, write_beyond
from jobs.beyond.settings import Nuisance
from jobs.job import Resources, Worker
from jobs.probes.ridge import inner_folds
from jobs.probing.layer_data import LayerData, read_layer_data
from jobs.probing.layer_report import LayerReport
from jobs.protocol.folds import Fold, IntArray, StrArray, only
from jobs.protocol.settings import Protocols
from jobs.statistics.classification import majority_class
from jobs.storage.location import Location

BEYOND_VERSION = 1
"""Version in the identity of the results; to be raised when their numbers change."""


@dataclass(frozen=True)
class BeyondJob:
    """The gain of one layer over the nuisances, for all targets."""

    model: str
    layer: str
    activations: tuple[tuple[Location, int], ...]
    """(folder, number of shards) of every activation set."""
    table: Location
    """The utterance table with targets and the columns of nuisances."""
    protocols: Protocols
    """The protocol of every target."""
    targets: tuple[str, ...]
    classes: Mapping[str, tuple[str, ...]]
    nuisances: tuple[Nuisance, ...]
    baselines: Mapping[str, BaselineRows]
    """Nuisance → activations of the baseline that it is."""
    alphas: tuple[float, ...]
    """Candidates for the penalty of every band, ascending."""
    file: Location
    """File to write."""

    resources: ClassVar[Resources] = "probe"
    affinity: ClassVar[None] = None

    @property
    def key(self) -> str:
        """Model and layer."""
        return f"beyond the input: {self.model} / {self.layer}"

    @property
    def kind(self) -> str:
        """The model: its layers all have the same number of utterances."""
        return f"beyond the input: {self.model}"

    @property
    def title(self) -> str:
        """Model and layer."""
        return self.key

    def run(self, worker: Worker) -> LayerReport:
        """Fit all targets and write the file."""
        start = time.perf_counter()
        write_beyond(self.file, find_added(self))
        return LayerReport(time.perf_counter() - start)


def find_added(job: BeyondJob) -> dict[str, list[FoldPredictions]]:
    """Predict every target in every fold; targets without nuisances are left out.

    Raises:
        jobs.activations.manifest.CorruptShard: a shard is damaged and has to be extracted again.
        ValueError: activations are not finite, or a fold has too few utterances.
    """
    data = read_layer_data(job.table, job.activations, job.layer, job.protocols, job.classes)
    if not_finite := data.non_finite(job.layer):
        raise ValueError(not_finite)
    bands = fixed_bands(job.nuisances, read_baselines(job.baselines, data.table), data.table)
    found: dict[str, list[FoldPredictions]] = {
        target: []
        for target in job.targets
        if nuisances_of(job.nuisances, target, data.kind(target))
    }
    n_folds = {target: len(data.folds.of(target)) for target in found}
    for number in range(max(n_folds.values(), default=0)):
        layer = _Layer(data, job.nuisances, bands, job.alphas)  # drops the factorisations
        for target, folds in found.items():
            if number < n_folds[target]:
                folds.append(layer.predict(target, number))
    return found


@dataclass(frozen=True)
class _Problem:
    """A target in one fold, with its nuisances."""

    rows: Fold
    """Usable rows."""
    Y: FloatArray
    """(U, C)"""
    narrow: list[Rows]
    """(U, n) values of every nuisance."""
    groups: StrArray
    """(U,) groups that inner folds keep together."""

    def at(self, rows: IntArray) -> list[Rows]:
        """Nuisances of ``rows``."""
        return [band[rows] for band in self.narrow]


class _Layer:
    """The fits of one layer, which share the factorisations of equal training rows.

    Args:
        data: the layer.
        nuisances: all nuisances.
        bands: (U, n) values of those that do not depend on the target.
        alphas: candidates for every penalty, ascending.
    """

    def __init__(
        self,
        data: LayerData,
        nuisances: Sequence[Nuisance],
        bands: Mapping[Nuisance, Rows],
        alphas: Sequence[float],
    ) -> None:
        self._data, self._nuisances, self._bands = data, nuisances, bands
        self._alphas = alphas
        self._wide: dict[bytes, WideBand] = {}

    def predict(self, target: str, number: int) -> FoldPredictions:
        """Predict ``target`` in the fold ``number``, without and with the layer."""
        y = self._data.table[target].to_numpy(dtype=np.float64)
        problem = self._problem(target, number, y)
        rows, n_bands = problem.rows, len(problem.narrow)
        alone, alone_at = self._fit(problem, [len(self._alphas) // 2] * n_bands, with_layer=False)
        both, both_at = self._fit(problem, [*alone_at, len(self._alphas) - 1], with_layer=True)
        of_classes = self._data.kind(target) == "classification"
        y_train = y[rows.train]
        return FoldPredictions(
            n_train=len(rows.train),
            train_mean=majority_class(y_train) if of_classes else float(y_train.mean()),
            utterance_id=self._data.utterance_ids[rows.test],
            y_true=y[rows.test],
            nuisances=alone.argmax(axis=1).astype(np.float64) if of_classes else alone[:, 0],
            both=both.argmax(axis=1).astype(np.float64) if of_classes else both[:, 0],
            alphas_nuisances=np.array([self._alphas[position] for position in alone_at]),
            alphas_both=np.array([self._alphas[position] for position in both_at]),
        )

    def _problem(self, target: str, number: int, y: FloatArray) -> _Problem:
        data, kind = self._data, self._data.kind(target)
        names = nuisances_of(self._nuisances, target, kind)
        narrow = [self._bands[name] for name in names if name != "speaker_mean"]
        known = np.ones(len(y), dtype=bool)
        for band in narrow:
            known &= np.isfinite(band).all(axis=1)
        rows = only(known, data.usable(target, number))
        if len(rows.train) < 2 or len(rows.test) < 1:
            raise ValueError(
                f"{target}: fold {number} has {len(rows.train)} training and {len(rows.test)} test "
                f"utterances with values of {', '.join((target, *names))}: expected at least 2 and "
                "1; remove nuisances that are lacking"
            )
        if "speaker_mean" in names:
            narrow.append(speaker_mean_band(y, data.speakers, rows))
        Y = y[:, None]
        if kind == "classification":
            Y = np.equal(Y, np.arange(len(data.classes[target]))).astype(np.float64)
        return _Problem(rows, Y, narrow, data.folds.groups(target))

    def _fit(
        self, problem: _Problem, start: Sequence[int], *, with_layer: bool
    ) -> tuple[FloatArray, tuple[int, ...]]:
        """Return the predictions (n_test, C), and the position of every band's alpha.

        Alphas are chosen on the validation split, or on inner folds of the training split if there
        is none; the weights are fitted to the training split alone.
        """
        train, validation, test = problem.rows.train, problem.rows.validation, problem.rows.test
        if validation.size:
            trials = [self._trial(problem, train, validation, with_layer=with_layer)]
            fit = trials[0].fit
        else:
            trials = [
                self._trial(problem, fitted, held_out, with_layer=with_layer)
                for fitted, held_out in inner_folds(train, problem.groups)
            ]
            fit = self._banded(problem, train, with_layer=with_layer)
        chosen = choose_alphas(trials, self._alphas, start)
        held = fit.hold(problem.at(test), self._data.X[test])
        return fit.predict([self._alphas[position] for position in chosen], held), chosen

    def _trial(
        self, problem: _Problem, train: IntArray, held_out: IntArray, *, with_layer: bool
    ) -> Trial:
        fit = self._banded(problem, train, with_layer=with_layer)
        held = fit.hold(problem.at(held_out), self._data.X[held_out])
        return Trial(fit, held, problem.Y[held_out])

    def _banded(self, problem: _Problem, train: IntArray, *, with_layer: bool) -> BandedRidge:
        wide = self._factored(train) if with_layer else None
        return BandedRidge(problem.at(train), wide, problem.Y[train])

    def _factored(self, train: IntArray) -> WideBand:
        key = train.tobytes()
        if key not in self._wide:
            self._wide[key] = WideBand(self._data.X[train])
        return self._wide[key]
