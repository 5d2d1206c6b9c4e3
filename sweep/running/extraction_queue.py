"""The queue of extraction jobs: one job per missing shard."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence

from jobs.extraction.job import ExtractJob
from jobs.extraction.shard import Shard, ShardReport
from jobs.storage.location import Location
from sweep.errors import reason
from sweep.running.circuit_breaker import CircuitBreaker
from sweep.running.recorder import Recorder
from sweep.running.remaining import ModelWork
from sweep.work_queue import NeedsActivations

log = logging.getLogger(__name__)


class ExtractionQueue:
    """The missing shards of all models, in plan order (a ``sweep.work_queue.WorkQueue``).

    If one of its shards cannot be extracted, a model is given up: a layer needs all shards for a
    score.

    Args:
        work: the remaining work by the name of the model.
        cache: the activation cache.
        may_extract: whether extraction may begin now.
        recorder: records the outcomes.
        breaker: counts models that failed.
        dependents: work that reads activations.
    """

    def __init__(
        self,
        work: Mapping[str, ModelWork],
        cache: Location,
        may_extract: Callable[[], bool],
        recorder: Recorder,
        breaker: CircuitBreaker,
        dependents: Sequence[NeedsActivations],
    ) -> None:
        self._work = work
        self._cache = cache
        self._may_extract = may_extract
        self._recorder = recorder
        self._breaker = breaker
        self._dependents = dependents

    @property
    def waiting(self) -> int:
        """Number of shards that no executor has."""
        return sum(len(work.shards) for work in self._work.values())

    @property
    def affinities(self) -> Collection[str]:
        """Names of the models that are not completely extracted."""
        return [name for name, work in self._work.items() if not work.extracted]

    def next(self, is_due: Callable[[str], bool], full: Collection[str]) -> ExtractJob | None:
        """The first shard in plan order that is due."""
        if not self.waiting or not self._may_extract():
            return None
        for name, work in self._work.items():
            if name in full:
                continue
            for shard in work.shards:
                job = ExtractJob(name, work.planned.extract, shard)
                if is_due(job.key):
                    return job
        return None

    def sent(self, job: ExtractJob) -> None:
        """Note that an executor has the shard."""
        work = self._work[job.model]
        work.shards.remove(job.shard)
        work.extracting.add(job.shard)
        self._recorder.began("extract", job.model)

    def is_needed(self, job: ExtractJob) -> bool:
        """Return False if another shard of the model failed permanently."""
        return not self._work[job.model].dead

    def again(self, job: ExtractJob) -> None:
        """Move the shard to the end of the queue."""
        work = self._work[job.model]
        work.extracting.remove(job.shard)
        work.shards.append(job.shard)

    def finish(self, job: ExtractJob, result: ShardReport) -> None:
        """Record the shard."""
        work = self._work[job.model]
        work.extracting.remove(job.shard)
        self._recorder.shard(job.model, self._number(work, job.shard), result)

    def fail(self, job: ExtractJob, error: BaseException | None) -> None:
        """Give up the model, and all work that needs it."""
        work = self._work[job.model]
        work.extracting.remove(job.shard)
        if work.dead:
            return
        work.dead = True
        work.shards.clear()
        why = reason(error)
        log.error("%s failed", job.key, exc_info=error)
        self._recorder.failure("extract", job.model, f"shard {job.shard.index}", why)
        for dependent in self._dependents:
            dependent.drop(job.model, why)
        self._breaker.failed(job.model, why)

    def flush(self) -> None:
        """Do nothing: shards are on the disk before their jobs return."""

    def _number(self, work: ModelWork, shard: Shard) -> int:
        """Number of a shard among all of its model's shards, counted through its sets."""
        before = 0
        for planned in work.planned.all_sets:
            if planned.folder(self._cache) == shard.folder:
                break
            before += planned.n_shards
        return before + shard.index
