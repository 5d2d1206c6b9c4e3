"""The work of a run: its queues and their shared state."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sweep.analyses import ANALYSES, extraction_table
from sweep.analyses.base import RunContext
from sweep.executors.preflight import Storage
from sweep.plan.plan import PlannedModel
from sweep.running.attempts import Attempts
from sweep.running.circuit_breaker import CircuitBreaker
from sweep.running.corrupt_shards import ShardRepair, set_shard_aside
from sweep.running.disk_pause import DiskPause
from sweep.running.driver import Driver
from sweep.running.extraction_queue import ExtractionQueue
from sweep.running.probe_jobs import ProbeJobs
from sweep.running.probe_queue import ProbeQueue
from sweep.running.pulse import Pulse
from sweep.running.recorder import Recorder
from sweep.running.remaining import CellFilter, ModelWork, remaining_work
from sweep.running.retries import Retries
from sweep.signals import StopSignal
from sweep.state.ledger import Finished, Record


@dataclass(frozen=True, kw_only=True)
class WorkOptions:
    """Options that select the part of a plan to work on, and when to stop."""

    wanted: CellFilter
    analyses: bool = True
    """True to run the separate jobs of optional analyses."""
    fail_fast: bool = False
    """True to start no more jobs after the first failure."""


class RunWork:
    """Remaining work of a plan, as queues for a driver.

    Args:
        run: the run, with its plan and table as in ``folder.utterances``.
        records: the finished cells.
        recorder: records the outcomes.
        stop: set when the user asks the run to stop.
        options: selection of work.
    """

    def __init__(
        self,
        run: RunContext,
        records: Mapping[str, Finished | Record],
        recorder: Recorder,
        stop: StopSignal,
        options: WorkOptions,
    ) -> None:
        folder, cache = run.folder, run.cache
        extracted = extraction_table(run.plan, run.table)
        self._plan, self._folder, self._cache = run.plan, folder, cache
        self._models: dict[str, ModelWork] = {}
        self._analyses = {
            analysis.name: queue
            for analysis in (ANALYSES if options.analyses else ())
            if (queue := analysis.queue(run, self._is_extracted, recorder)) is not None
        }
        work = remaining_work(
            run.plan,
            extracted,
            cache,
            records,
            wanted=options.wanted,
            on_corrupt=lambda error: set_shard_aside(error, recorder.warning),
            compared={name for queue in self._analyses.values() for name in queue.models},
        )
        self._models |= {one.planned.name: one for one in work}
        attempts = Attempts(recorder.retry)
        self.pause = pause = DiskPause(
            [place for place in (cache, folder.root) if isinstance(place, Path)],
            recorder.warning,
            lambda: stop.received is not None,
        )
        repair = ShardRepair(work, extracted, cache, attempts, recorder.warning)
        breaker = CircuitBreaker(
            run.spec.compute.give_up_after,
            len(work),
            lambda message: recorder.failure("probe", None, "the run", message),
        )
        self._probing = ProbeQueue(
            self._models,
            ProbeJobs(run.plan, folder, cache, save_probes=run.spec.save_probes),
            attempts,
            recorder,
            lambda write: pause.write(folder.ledger.name, write),
            breaker,
        )
        self._extraction = ExtractionQueue(
            self._models,
            cache,
            lambda: not pause.holds_extraction(),
            recorder,
            breaker,
            [*self._analyses.values(), self._probing],
        )
        self.driver = Driver(
            [self._extraction, self._probing, *self._analyses.values()],
            Retries(attempts, pause, repair),
            pause,
            may_begin=lambda: not (breaker.is_open or (options.fail_fast and recorder.any_failed)),
            any_failed=lambda: recorder.any_failed,
            pulse=Pulse(recorder.resources).beat,
            report=recorder.activity,
        )

    @property
    def n_shards(self) -> int:
        """Number of missing shards."""
        return self._extraction.waiting

    @property
    def n_copied(self) -> int:
        """Number of utterances in missing shards whose activations are copied from others."""
        return sum(len(shard.cached) for work in self._models.values() for shard in work.shards)

    @property
    def n_cells(self) -> int:
        """Number of unfinished cells."""
        return self._probing.n_cells

    @property
    def n_analysis_jobs(self) -> dict[str, int]:
        """Number of unfinished jobs of every analysis with its own queue, if any are left."""
        return {name: queue.waiting for name, queue in self._analyses.items() if queue.waiting}

    def by_model(self) -> dict[str, dict[str, object]]:
        """Shards and layers of each model for its line in a live view, as JSON values."""
        return {model.name: self._of_model(model) for model in self._plan.models}

    def _of_model(self, model: PlannedModel) -> dict[str, object]:
        work = self._models.get(model.name)
        shards = sum(planned.n_shards for planned in model.all_sets)
        return {
            "shards": shards,
            "shards_done": shards - (len(work.shards) if work else 0),
            "layers": [layer.index for layer in model.layers],
            "layers_done": len(model.layers) - (len(work.tasks) if work else 0),
        }

    def storage(self) -> Storage:
        """Locations that jobs write to, and the space that the missing shards will take there."""
        missing = [(work.planned, shard) for work in self._models.values() for shard in work.shards]
        summed = [model.gram_memory for model, shard in missing if shard.labels]
        return Storage(
            run=self._folder.for_jobs(self._folder.root),
            cache=self._cache,
            bytes_to_write=sum(model.shard_bytes(shard) for model, shard in missing),
            gram_memory=max(summed, default=0),
        )

    def _is_extracted(self, model: str) -> bool:
        return self._models[model].extracted
