"""The queue of probe jobs: one job per layer with unfinished cells."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from jobs.probing.job import ProbeJob, probe_key
from jobs.probing.results import CellResult
from sweep.errors import reason
from sweep.plan.plan import TYPES_MODEL, LayerTask, needs_types
from sweep.running.attempts import Attempts
from sweep.running.circuit_breaker import CircuitBreaker
from sweep.running.probe_jobs import ProbeJobs
from sweep.running.recorder import Recorder
from sweep.running.remaining import ModelWork

log = logging.getLogger(__name__)


class ProbeQueue:
    """The layers of models whose shards are complete (a ``sweep.work_queue.WorkQueue``).

    Args:
        work: the remaining work by the name of the model.
        jobs: makes the job of a layer.
        attempts: records which jobs ran out of memory.
        recorder: records the outcomes.
        write: calls a function that writes to the ledger until the disk has room.
        breaker: counts layers that failed.
    """

    def __init__(
        self,
        work: Mapping[str, ModelWork],
        jobs: ProbeJobs,
        attempts: Attempts,
        recorder: Recorder,
        write: Callable[[Callable[[], None]], None],
        breaker: CircuitBreaker,
    ) -> None:
        self._work = work
        self._jobs = jobs
        self._attempts = attempts
        self._recorder = recorder
        self._write = write
        self._breaker = breaker
        self._tasks = {
            _key(task): task for model_work in work.values() for task in model_work.tasks
        }
        self._finished: list[tuple[LayerTask, Sequence[CellResult], str]] = []
        """Finished layers that are not in the ledger yet: task, results, predictions file."""

    @property
    def waiting(self) -> int:
        """Number of layers that no executor has."""
        return sum(len(work.tasks) for work in self._work.values())

    @property
    def n_cells(self) -> int:
        """Number of cells of the layers that no executor has."""
        return sum(len(task.cells) for work in self._work.values() for task in work.tasks)

    @property
    def affinities(self) -> Collection[str]:
        """Return no affinities, since a probe job keeps no state on its worker."""
        return ()

    def next(self, is_due: Callable[[str], bool], full: Collection[str]) -> ProbeJob | None:
        """Return the first layer in plan order whose shards are complete and that is due."""
        types = self._work.get(TYPES_MODEL)
        for work in self._work.values():
            if not work.extracted:
                continue
            for task in work.tasks:
                has_to_wait = types is not None and not types.extracted and needs_types(task)
                if is_due(_key(task)) and not has_to_wait:
                    return self._jobs.make(
                        task,
                        alone=self._attempts.is_alone(_key(task)),
                        has_types=types is None or not types.dead,
                    )
        return None

    def sent(self, job: ProbeJob) -> None:
        """Note that an executor has the layer."""
        self._work[job.model].tasks.remove(self._tasks[job.key])
        self._recorder.began("probe", job.model)

    def is_needed(self, job: ProbeJob) -> bool:
        """Return True, since its cells have no scores yet."""
        return True

    def again(self, job: ProbeJob) -> None:
        """Move the layer to the end of the queue."""
        self._work[job.model].tasks.append(self._tasks[job.key])

    def finish(self, job: ProbeJob, result: Sequence[CellResult]) -> None:
        """Keep the results for ``flush``."""
        self._finished.append((self._tasks[job.key], result, job.predictions.name))
        if all(cell.status == "failed" for cell in result):
            self._breaker.failed(job.model, result[0].error or "")
        else:
            self._breaker.succeeded()

    def fail(self, job: ProbeJob, error: BaseException | None) -> None:
        """Record every cell of the layer as failed."""
        log.error("%s failed", job.title, exc_info=error)
        self._record_failed(self._tasks[job.key], reason(error))
        self._breaker.failed(job.model, reason(error))

    def flush(self) -> None:
        """Write all results at once: on a large cluster, one write per layer would be too slow."""
        finished, self._finished = self._finished, []
        if finished:
            self._write(partial(self._recorder.layers, finished))

    def drop(self, model: str, reason: str) -> None:
        """Record the cells of a model without activations as failed."""
        tasks = self._work[model].tasks
        while tasks:
            self._record_failed(tasks.popleft(), f"extraction failed: {reason}")

    def _record_failed(self, task: LayerTask, why: str) -> None:
        self._write(partial(self._recorder.failed_task, task, why))


def _key(task: LayerTask) -> str:
    return probe_key(task.model.name, task.layer.name)
