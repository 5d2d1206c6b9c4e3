"""Jobs that compare layers: a sketch of each layer, then tiles of pairs of sketches.

A sketch holds the values of a layer that the measures need, computed once: its Gram vector and its
leading subspace. Sketches are large and stay on disk; the values of a tile are small and are
returned.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from safetensors import safe_open
from safetensors.numpy import load

from jobs.activations.store import read_layer, save_tensors
from jobs.arrays import FloatArray
from jobs.job import Resources, Worker
from jobs.similarity.measures import (
    Float32Array,
    Subspace,
    chance_pwcca,
    gram_vector,
    is_forced,
    leading_subspace,
    pwcca,
)
from jobs.similarity.settings import FEWEST, Measure
from jobs.storage.location import Location
from jobs.storage.object_store import atomic_path, read_bytes

SIMILARITY_VERSION = 2
"""Version in the identity of a comparison; to be raised when its numbers change."""


@dataclass(frozen=True)
class SketchJob:
    """Sketch one layer."""

    model: str
    layer: str
    activations: tuple[tuple[Location, int], ...]
    """(folder, number of shards) of every activation set that holds the utterances."""
    utterance_ids: tuple[str, ...]
    measures: tuple[Measure, ...]
    sketch: Location
    """File to write."""

    @property
    def place(self) -> str:
        """Human-readable name of the layer."""
        return f"{self.model} / {self.layer}"

    resources: ClassVar[Resources] = "probe"
    affinity: ClassVar[None] = None

    @property
    def key(self) -> str:
        """Model and layer of the sketch."""
        return f"comparison of {self.place}"

    @property
    def kind(self) -> str:
        """The model: its layers all have the same number of utterances."""
        return f"sketches of {self.model}"

    @property
    def title(self) -> str:
        """The layer or models that are compared."""
        return f"comparison {self.place}"

    def run(self, worker: Worker) -> "ComparisonReport":
        """Run ``compare``."""
        return compare(self)


@dataclass(frozen=True)
class TileJob:
    """Compare some layers of one model with some of another, by their sketches."""

    rows: tuple[Location, ...]
    columns: tuple[Location, ...]
    measures: tuple[Measure, ...]
    models: tuple[str, str]
    number: int = 0
    """Position among the tiles of this pair of models."""

    @property
    def place(self) -> str:
        """Human-readable name of the pair of models."""
        return " × ".join(self.models)

    resources: ClassVar[Resources] = "probe"
    affinity: ClassVar[None] = None

    @property
    def key(self) -> str:
        """Two models and the number of the tile."""
        return f"comparison of {self.place}, tile {self.number}"

    @property
    def kind(self) -> str:
        """One kind for all: tiles of all pairs have about the same number of layers."""
        return "comparisons"

    @property
    def title(self) -> str:
        """The layer or models that are compared."""
        return f"comparison {self.place}"

    def run(self, worker: Worker) -> "ComparisonReport":
        """Run ``compare``."""
        return compare(self)


ComparisonJob = SketchJob | TileJob


@dataclass(frozen=True)
class Values:
    """One measure between R layers and C others."""

    forward: FloatArray
    """(R, C) with the row's layer first: PWCCA takes its weights from the first layer."""
    backward: FloatArray
    """(R, C) with the column's layer first."""
    chance: FloatArray
    """(R, C) expected value for independent layers of the same ranks."""
    flagged: npt.NDArray[np.bool_]
    """(R, C) mask: some correlations are 1 whatever the data, see `is_forced`."""

    def transposed(self) -> "Values":
        """Exchange rows and columns: (C, R)."""
        return Values(self.backward.T, self.forward.T, self.chance.T, self.flagged.T)


@dataclass(frozen=True)
class ComparisonReport:
    """The result of a comparison job."""

    seconds: float
    values: dict[Measure, Values]
    """Empty for a sketch."""


def compare(job: ComparisonJob) -> ComparisonReport:
    """Run a job of the comparison.

    Raises:
        jobs.activations.manifest.CorruptShard: an activation shard is damaged and has to be
            extracted again.
        ValueError: activations are not finite, or utterances are missing.
    """
    start = time.perf_counter()
    values = _sketch(job) if isinstance(job, SketchJob) else _compare_tile(job)
    return ComparisonReport(time.perf_counter() - start, values)


def _sketch(job: SketchJob) -> dict[Measure, Values]:
    X = _read(job)
    if len(X) < FEWEST:
        raise ValueError(f"{len(X)} utterances could be read: expected at least {FEWEST}")
    if not np.isfinite(X).all():
        raise ValueError(f"activations of {job.layer} are not finite: extract them in float32")
    arrays: dict[str, Float32Array] = {}
    if "cka" in job.measures:
        arrays["gram"] = gram_vector(X)
    if "pwcca" in job.measures:
        subspace = leading_subspace(X)
        arrays |= {"basis": subspace.basis, "loadings": subspace.loadings}
    with atomic_path(job.sketch) as temporary:
        save_tensors({name: np.ascontiguousarray(a) for name, a in arrays.items()}, temporary)
    return {}


def _read(job: SketchJob) -> Float32Array:
    """Read the layer's activations (N, D), rows in the order of the job's utterances."""
    sets = [read_layer(folder, n_shards, job.layer) for folder, n_shards in job.activations]
    sets = [(names, values) for names, values in sets if names]
    names = [name for names, _ in sets for name in names]
    rows = pd.Index(names).get_indexer(pd.Index(job.utterance_ids))
    missing = [job.utterance_ids[i] for i in np.flatnonzero(rows < 0)]
    if missing:
        raise ValueError(
            f"{job.model} has no activations of {len(missing)} of {len(rows)} utterances, the "
            f"first of them {missing[0]}: run the spec again"
        )
    return np.concatenate([values for _, values in sets])[rows]


def _compare_tile(job: TileJob) -> dict[Measure, Values]:
    values: dict[Measure, Values] = {}
    if "cka" in job.measures:
        values["cka"] = _compare_cka(job.rows, job.columns)
    if "pwcca" in job.measures:
        values["pwcca"] = _compare_pwcca(job.rows, job.columns)
    return values


def _compare_cka(rows: Sequence[Location], columns: Sequence[Location]) -> Values:
    """Multiply unit vectors; rows are kept in memory, columns are read one at a time."""
    held = np.stack([_tensor(path, "gram") for path in rows])
    cka = np.empty((len(rows), len(columns)))
    for j, path in enumerate(columns):
        vector = _tensor(path, "gram")
        cka[:, j] = held @ vector if vector.any() else np.nan
    cka[~held.any(axis=1)] = np.nan
    cka = np.clip(cka, -1, 1)
    return Values(cka, cka, np.zeros_like(cka), np.zeros(cka.shape, dtype=bool))


def _compare_pwcca(rows: Sequence[Location], columns: Sequence[Location]) -> Values:
    held = [_subspace(path) for path in rows]
    shape = (len(rows), len(columns))
    forward, backward, chance = np.empty(shape), np.empty(shape), np.empty(shape)
    flagged = np.zeros(shape, dtype=bool)
    for j, path in enumerate(columns):
        b = _subspace(path)
        for i, a in enumerate(held):
            n = len(a.basis)
            forward[i, j], backward[i, j] = pwcca(a, b)
            chance[i, j] = chance_pwcca(a.rank, b.rank, n)
            flagged[i, j] = is_forced(a.rank, b.rank, n)
    return Values(forward, backward, chance, flagged)


def _subspace(path: Location) -> Subspace:
    return Subspace(_tensor(path, "basis"), _tensor(path, "loadings"))


def _tensor(path: Location, name: str) -> Float32Array:
    if not isinstance(path, Path):
        return np.asarray(load(read_bytes(path))[name])
    with safe_open(path, framework="numpy") as file:
        values: Float32Array = file.get_tensor(name)
    return values
