"""The queue of jobs that compare layers."""

import logging
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from jobs.activations.index import SeenShard, look_over
from jobs.similarity.job import ComparisonJob, ComparisonReport, SketchJob, TileJob
from jobs.similarity.settings import Measure
from jobs.storage.location import Location
from jobs.storage.object_store import remove_folder
from sweep.analyses.base import QueueRecorder
from sweep.analyses.similarity_pairs import (
    ModelPair,
    PairValues,
    compared_sets,
    draw_utterances,
    model_pairs,
    read_pair,
    write_pair,
)
from sweep.analyses.similarity_tiles import fill, tile_blocks, tile_side, unknown_values
from sweep.errors import reason
from sweep.plan.plan import Plan, PlannedLayer, PlannedModel
from sweep.spec.schema import Spec
from sweep.state.run_folder import RunFolder

log = logging.getLogger(__name__)

SKETCHES = "sketches"
"""Folder, below that of the pairs, for files that are deleted with the last pair."""


class Comparison:
    """Hands out the jobs of the pairs that are not on disk, and writes the pairs that are done.

    A ``sweep.work_queue.WorkQueue``. A layer is sketched once, for all its pairs; tiles follow when
    all sketches exist. Values of failed jobs are NaN, and the next run computes their pairs again.

    Args:
        spec: the settings of the comparison.
        plan: everything that the run consists of.
        table: the utterance table.
        folder: the run's folder.
        cache: the activation cache.
        is_extracted: whether the activations of the model with this name are complete.
        recorder: records the outcomes; None if jobs are only counted.
    """

    def __init__(
        self,
        spec: Spec,
        plan: Plan,
        table: pd.DataFrame,
        folder: RunFolder,
        cache: Location,
        is_extracted: Callable[[str], bool] = lambda model: False,
        recorder: QueueRecorder | None = None,
    ) -> None:
        self._is_extracted = is_extracted
        self._recorder = recorder
        self._spec = spec
        self._folder = folder.similarity
        self._sketch_folder = folder.for_jobs(folder.similarity / SKETCHES)
        self._cache = cache
        self._measures: tuple[Measure, ...] = spec.similarity.measures if spec.similarity else ()
        pairs = model_pairs(spec, plan, table)
        self._left = {pair.pair_id: pair for pair in pairs if not self._is_done(pair)}
        self._drawn = draw_utterances(spec, table) if self._left else ()
        self._used: tuple[str, ...] = ()
        """Drawn utterances that every model could read."""
        self._sketches: deque[SketchJob] | None = None
        """None until the activations exist."""
        self._tiles: deque[TileJob] | None = None
        """None until the sketches exist."""
        self._in_flight = 0
        self._broken: set[Location] = set()
        """Sketches that failed."""
        self._places: dict[TileJob, tuple[str, list[int], list[int]]] = {}
        """Pair of each tile, and positions of layers of the two models."""
        self._tiles_left: Counter[str] = Counter()
        self._values: dict[str, PairValues] = {}

    @property
    def models(self) -> frozenset[str]:
        """Names of the models whose activations are needed."""
        return frozenset(model.name for model in self._models())

    @property
    def waiting(self) -> int:
        """Number of jobs that no executor has."""
        if self._tiles is not None:
            return len(self._tiles)
        tiles = sum(len(list(self._blocks(pair))) for pair in self._left.values())
        if self._sketches is not None:
            return len(self._sketches) + tiles
        return sum(len(model.layers) for model in self._models()) + tiles

    @property
    def affinities(self) -> Collection[str]:
        """Return no affinities, since a comparison keeps no state on its worker."""
        return ()

    def next(self, is_due: Callable[[str], bool], full: Collection[str]) -> ComparisonJob | None:
        """Return the first sketch or tile whose inputs exist, if it is due."""
        job = self._first()
        return job if job is not None and is_due(job.key) else None

    def _first(self) -> ComparisonJob | None:
        if self._sketches is None:
            if not self._left or not all(map(self._is_extracted, self.models)):
                return None
            remove_folder(self._sketch_folder)  # from a killed run
            self._used = self._readable()
            self._sketches = deque(self._sketch_jobs())
        if self._sketches:
            return next((job for job in self._sketches if self._is_extracted(job.model)), None)
        if self._tiles is None:
            if self._in_flight:
                return None
            self._tiles = deque(self._tile_jobs())
        return self._tiles[0] if self._tiles else None

    def sent(self, job: ComparisonJob) -> None:
        """Note that an executor has the job."""
        self._queue(job).remove(job)
        self._in_flight += 1

    def again(self, job: ComparisonJob) -> None:
        """Move the job to the end of the queue."""
        self._in_flight -= 1
        self._queue(job).append(job)

    def finish(self, job: ComparisonJob, result: ComparisonReport) -> None:
        """Store the values of a tile."""
        self._in_flight -= 1
        if self._recorder:
            self._recorder.compared(result.seconds, "similarity")
        if isinstance(job, TileJob) and self.is_needed(job):
            pair_id, rows, columns = self._places[job]
            for measure, part in result.values.items():
                whole = self._values[pair_id].by_measure[measure]
                fill(whole, part, np.ix_(rows, columns))
                if self._left[pair_id].a == self._left[pair_id].b:
                    fill(whole, part.transposed(), np.ix_(columns, rows))
            self._count_tile(pair_id)

    def fail(self, job: ComparisonJob, error: BaseException | None) -> None:
        """Leave the values of the job NaN."""
        self._in_flight -= 1
        if not self.is_needed(job):
            return
        log.error("%s failed", job.title, exc_info=error)
        if self._recorder:
            self._recorder.failure("similarity", None, job.place, reason(error))
        if isinstance(job, SketchJob):
            self._broken.add(job.sketch)
        else:
            pair_id, _, _ = self._places[job]
            self._values[pair_id] = replace(self._values[pair_id], complete=False)
            self._count_tile(pair_id)

    def flush(self) -> None:
        """Do nothing: a pair is written with its last tile."""

    def drop(self, model: str, reason: str) -> None:
        """Give up the pairs of a model without activations."""
        self._left = {
            pair_id: pair
            for pair_id, pair in self._left.items()
            if model not in (pair.a.name, pair.b.name)
        }
        if self._sketches:
            self._sketches = deque(job for job in self._sketches if job.model != model)
        if self._tiles:
            self._tiles = deque(filter(self.is_needed, self._tiles))

    def is_needed(self, job: ComparisonJob) -> bool:
        """Return False if its pair, or all pairs of its model, were given up meanwhile."""
        if isinstance(job, SketchJob):
            return job.model in self.models
        pair_id, _, _ = self._places[job]
        return pair_id in self._left

    def _is_done(self, pair: ModelPair) -> bool:
        values = read_pair(pair.file(self._folder), self._measures)
        return values is not None and values.complete

    def _models(self) -> list[PlannedModel]:
        return list({m.name: m for pair in self._left.values() for m in (pair.a, pair.b)}.values())

    def _queue(self, job: ComparisonJob) -> deque[ComparisonJob]:
        queue = self._sketches if isinstance(job, SketchJob) else self._tiles
        assert queue is not None
        return queue  # type: ignore[return-value]  # a job goes back to where it came from

    def _sketch(self, model: PlannedModel, layer: PlannedLayer) -> Location:
        return self._sketch_folder / f"{model.digest[:16]}-{layer.index}.safetensors"

    def _sketch_jobs(self) -> Iterator[SketchJob]:
        for model in self._models():
            sets = compared_sets(self._spec, model)
            activations = tuple((s.folder(self._cache), s.n_shards) for s in sets)
            for layer in model.layers:
                sketch = self._sketch(model, layer)
                yield SketchJob(
                    model.name, layer.name, activations, self._used, self._measures, sketch
                )

    def _readable(self) -> tuple[str, ...]:
        """Drawn utterances that extraction skipped for no model."""
        skipped: set[str] = set()
        for model in self._models():
            for planned in compared_sets(self._spec, model):
                for shard in look_over(planned.folder(self._cache), planned.n_shards):
                    if isinstance(shard, SeenShard):  # sketches fail over others
                        skipped.update(one.utterance_id for one in shard.skipped)
        return tuple(name for name in self._drawn if name not in skipped)

    def _tile_jobs(self) -> Iterator[TileJob]:
        for pair in list(self._left.values()):
            blocks = list(self._blocks(pair))
            self._tiles_left[pair.pair_id] = len(blocks)
            self._values[pair.pair_id] = self._empty(pair)
            for number, (rows, columns) in enumerate(blocks):
                job = TileJob(
                    rows=tuple(self._sketch(pair.a, pair.a.layers[i]) for i in rows),
                    columns=tuple(self._sketch(pair.b, pair.b.layers[j]) for j in columns),
                    measures=self._measures,
                    models=(pair.a.name, pair.b.name),
                    number=number,
                )
                self._places[job] = (pair.pair_id, rows, columns)
                yield job
            if not blocks:
                self._write(pair.pair_id)

    def _blocks(self, pair: ModelPair) -> Iterator[tuple[list[int], list[int]]]:
        """Positions of the layers of every tile; for a model with itself, one half of them."""
        side = min(tile_side(model, len(self._drawn)) for model in (pair.a, pair.b))
        layers = self._sketched(pair.a), self._sketched(pair.b)
        return tile_blocks(*layers, side, symmetric=pair.a == pair.b)

    def _sketched(self, model: PlannedModel) -> list[int]:
        return [
            position
            for position, layer in enumerate(model.layers)
            if self._sketch(model, layer) not in self._broken
        ]

    def _empty(self, pair: ModelPair) -> PairValues:
        shape = (len(pair.a.layers), len(pair.b.layers))
        whole = all(len(self._sketched(m)) == len(m.layers) for m in (pair.a, pair.b))
        return PairValues(
            len(self._used), whole, {m: unknown_values(shape) for m in self._measures}
        )

    def _count_tile(self, pair_id: str) -> None:
        self._tiles_left[pair_id] -= 1
        if not self._tiles_left[pair_id]:
            self._write(pair_id)

    def _write(self, pair_id: str) -> None:
        """Write a finished pair; delete the sketches with the last one."""
        write_pair(self._left.pop(pair_id).file(self._folder), self._values.pop(pair_id))
        if not self._left:
            remove_folder(self._sketch_folder)
