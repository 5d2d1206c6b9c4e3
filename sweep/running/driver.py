"""The one scheduler: submit what is left, wait, retry, record.

A model's layers are probed as soon as its shards are complete, while other models are still being
extracted. Everything that must outlive the driver is in the activation cache and the ledger.
"""

import gc
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import pandas as pd

from jobs.activations.store import CorruptShard
from jobs.extraction.extractor import Shard, ShardReport
from jobs.probing.job import ProbeJob
from jobs.similarity.job import ComparisonJob, ComparisonReport, SketchJob
from jobs.storage.location import Location
from sweep.analyses.similarity_jobs import Comparison
from sweep.executors.base import Executor, ExtractJob, Job, Outcome
from sweep.executors.preflight import Storage
from sweep.plan.activation_sets import heard_table
from sweep.plan.plan import LayerTask, Plan
from sweep.running.corrupt_shards import ShardRepair
from sweep.running.disk_pause import DiskPause
from sweep.running.probe_jobs import ProbeJobs
from sweep.running.recorder import Recorder, reason
from sweep.running.remaining import CellFilter, ModelWork, remaining_work
from sweep.running.retries import Attempts, CircuitBreaker
from sweep.signals import StopSignal
from sweep.state.ledger import Finished, Record
from sweep.state.retry_policy import cause_of
from sweep.state.run_folder import RunFolder

log = logging.getLogger(__name__)

DRAIN_SECONDS = 10.0
"""How long work in flight may still finish after Ctrl-C."""
POLL_SECONDS = 0.5
"""How long to wait for an outcome before looking at signals again."""
WAIT_SECONDS = 0.1
"""How long to wait while nothing can be done but wait."""

Status = Literal["done", "failed", "interrupted"]


class Driver:
    """Runs what is left of a plan.

    Args:
        plan: what the run consists of.
        table: the utterance table, as it stands in ``folder.utterances``.
        folder: the run's folder.
        cache: where activations lie.
        records: what is finished already.
        recorder: told of what comes back.
        wanted: what to work on.
        fail_fast: submit nothing more after the first failure.
        comparison: of layers with layers; None: none.
        save_probes: keep fitted probes in the run's folder.
        give_up_after: stop when so much work has failed, all of it alike; None: never.
    """

    def __init__(
        self,
        plan: Plan,
        table: pd.DataFrame,
        folder: RunFolder,
        cache: Location,
        records: Mapping[str, Finished | Record],
        recorder: Recorder,
        *,
        wanted: CellFilter,
        fail_fast: bool,
        comparison: Comparison | None = None,
        save_probes: bool = False,
        give_up_after: int | None = None,
    ) -> None:
        self._plan = plan
        self._table = heard_table(plan, table)
        self._folder = folder
        self._cache = cache
        self._recorder = recorder
        self._fail_fast = fail_fast
        self._in_flight = 0
        self._stop: StopSignal | None = None
        self._attempts = Attempts(recorder.retry)
        self._mending = ShardRepair(self._table, cache, self._attempts, recorder.warning)
        self._pause = DiskPause(
            [place for place in (cache, folder.root) if isinstance(place, Path)], recorder.warning
        )
        self._gave_up = False
        self._probing: dict[Location, LayerTask] = {}
        """The tasks that an executor has, by their predictions file."""
        self._comparison = comparison
        self._jobs = ProbeJobs(plan, folder, cache, save_probes=save_probes)
        self._work = remaining_work(
            plan,
            self._table,
            cache,
            records,
            wanted=wanted,
            on_corrupt=self._mending.set_aside,
            compared=comparison.models if comparison else (),
        )
        self._breaker = CircuitBreaker(give_up_after, n_models=len(self._work))

    @property
    def n_shards(self) -> int:
        """Shards that are missing."""
        return sum(len(work.shards) for work in self._work)

    @property
    def n_cells(self) -> int:
        """Cells that are not done."""
        return sum(len(task.cells) for work in self._work for task in work.tasks)

    @property
    def n_comparisons(self) -> int:
        """Jobs of the comparison that are not done."""
        return self._comparison.n_jobs if self._comparison else 0

    def storage(self) -> Storage:
        """What the shards that are missing will take."""
        missing = [(work.planned, shard) for work in self._work for shard in work.shards]
        summed = [model.gram_memory for model, shard in missing if shard.labels]
        return Storage(
            run=self._folder.for_jobs(self._folder.root),
            cache=self._cache,
            bytes_to_write=sum(model.shard_bytes(shard) for model, shard in missing),
            gram_memory=max(summed, default=0),
        )

    def run(self, executor: Executor, stop: StopSignal) -> Status:
        """Work until nothing is left, or until stopped."""
        # What is planned stays: Python's collector, looking through a million cells time and again,
        # would keep a large cluster waiting.
        gc.collect()
        gc.freeze()
        try:
            return self._run(executor, stop)
        finally:
            gc.unfreeze()

    def _run(self, executor: Executor, stop: StopSignal) -> Status:
        self._stop = stop
        deadline: float | None = None
        while self._in_flight or (
            deadline is None and self._may_submit() and self._anything_left()
        ):
            if stop.received and deadline is None:
                log.warning("%s: finishing what is in flight", stop.received.name)
                deadline = time.monotonic() + DRAIN_SECONDS
            if deadline is None and self._may_submit():
                self._submit(executor)
            elif deadline is not None and time.monotonic() > deadline:
                break
            if not self._in_flight:  # a full disk, or the next attempt, is waited for
                time.sleep(WAIT_SECONDS)
            outcomes = executor.wait(POLL_SECONDS)
            self._in_flight -= len(outcomes)
            self._record_scores(outcomes)
            for outcome in outcomes:
                self._handle(executor, outcome)
        if deadline is not None:
            return "interrupted"
        return "failed" if self._recorder.any_failed else "done"

    def _may_submit(self) -> bool:
        return not (self._gave_up or (self._fail_fast and self._recorder.any_failed))

    def _anything_left(self) -> bool:
        return any(work.tasks or work.shards for work in self._work) or self.n_comparisons > 0

    def _submit(self, executor: Executor) -> None:
        if self._pause.holds():
            return
        room = True  # all probes ask for the same; a job is not made for every model in vain
        extracts = any(work.shards for work in self._work) and not self._pause.holds_extraction()
        for work in self._work:
            if extracts:
                self._submit_shards(executor, work)
            room = room and (not work.extracted or self._submit_probes(executor, work))
        self._submit_comparison(executor)
        if not any(work.shards for work in self._work):
            executor.hasten()

    def _submit_shards(self, executor: Executor, work: ModelWork) -> None:
        while shard := next((s for s in work.shards if self._is_due(work, s)), None):
            job = ExtractJob(work.planned.name, work.planned.extract, shard)
            if not self._send(executor, job):
                return
            work.shards.remove(shard)
            work.extracting.add(shard)

    def _submit_probes(self, executor: Executor, work: ModelWork) -> bool:
        """Whether there is room for more."""
        while task := next((t for t in work.tasks if self._is_due(work, t)), None):
            job = self._jobs.make(task, alone=self._attempts.is_alone(_place(work, task)))
            if not self._send(executor, job, alone=job.alone):
                return False
            work.tasks.remove(task)
            self._probing[job.predictions] = task
        return True

    def _submit_comparison(self, executor: Executor) -> None:
        if self._comparison is None:
            return
        extracted = {work.planned.name for work in self._work if work.extracted}
        while job := self._comparison.next_job(extracted):
            where = _comparing(job)
            alone = self._attempts.is_alone(where)
            if not self._attempts.is_due(where) or not self._send(executor, job, alone=alone):
                return
            self._comparison.sent(job)

    def _is_due(self, work: ModelWork, what: Shard | LayerTask) -> bool:
        return self._attempts.is_due(_place(work, what))

    def _send(self, executor: Executor, job: Job, *, alone: bool = False) -> bool:
        if not executor.room(job):
            return False
        executor.submit(job, alone=alone)
        self._in_flight += 1
        return True

    def _handle(self, executor: Executor, outcome: Outcome) -> None:
        if isinstance(outcome.job, ProbeJob):
            self._handle_probe(outcome, outcome.job)
            return
        if isinstance(outcome.job, ComparisonJob):
            self._handle_comparison(outcome, outcome.job)
            return
        work = self._of(outcome.job.model)
        work.extracting.remove(outcome.job.shard)
        self._handle_shard(work, outcome, outcome.job.shard)
        if work.extracted:
            last = all(other.extracted for other in self._work)
            executor.release(outcome.job.model, last=last)

    def _handle_shard(self, work: ModelWork, outcome: Outcome, shard: Shard) -> None:
        model = work.planned.name
        if isinstance(outcome.result, ShardReport):
            self._recorder.shard(model, _shard_number(work, shard, self._cache), outcome.result)
        elif work.dead:
            return
        elif self._try_again(_place(work, shard), outcome):
            work.shards.append(shard)
        else:
            # A layer without all its shards has no score: every cell fails, with the reason.
            work.dead = True
            work.shards.clear()
            log.error("%s failed", _place(work, shard), exc_info=outcome.error)
            self._recorder.failure("extract", model, f"shard {shard.index}", reason(outcome.error))
            if self._comparison:
                self._comparison.drop(model)
            while work.tasks:
                task = work.tasks.popleft()
                failed = f"extraction failed: {reason(outcome.error)}"
                self._record(partial(self._recorder.failed_task, task, failed))
            self._failed(model, reason(outcome.error))

    def _record_scores(self, outcomes: Sequence[Outcome]) -> None:
        """All that came back at once in one write: on a large cluster a write each is too slow."""
        scored = [
            (self._probing[one.job.predictions], one.result, one.job.predictions.name)
            for one in outcomes
            if isinstance(one.job, ProbeJob) and isinstance(one.result, list)
        ]
        if scored:
            self._record(partial(self._recorder.layers, scored))

    def _handle_probe(self, outcome: Outcome, job: ProbeJob) -> None:
        task = self._probing.pop(job.predictions)
        if isinstance(outcome.result, list):
            results = outcome.result
            if all(result.status == "failed" for result in results):
                self._failed(job.model, results[0].error or "")
            else:
                self._breaker.succeeded()
            return
        error, work = outcome.error, self._of(job.model)
        again = self._again(work, _place(work, task), outcome)
        if again:
            work.tasks.append(task)
            return
        log.error("%s / %s failed", job.model, job.layer, exc_info=error)
        self._record(partial(self._recorder.failed_task, task, reason(error)))
        self._failed(job.model, reason(error))

    def _handle_comparison(self, outcome: Outcome, job: ComparisonJob) -> None:
        assert self._comparison is not None
        if isinstance(outcome.result, ComparisonReport):
            self._comparison.finish(job, outcome.result)
            self._recorder.compared(outcome.result.seconds)
            return
        error = outcome.error
        if isinstance(job, SketchJob):
            again = self._again(self._of(job.model), _comparing(job), outcome)
        else:
            again = self._try_again(_comparing(job), outcome)
        if again:
            self._comparison.again(job)
            return
        log.error("comparison of %s failed", job.place, exc_info=error)
        self._comparison.fail(job)
        self._recorder.failure("similarity", None, job.place, reason(error))

    def _again(self, work: ModelWork, where: str, outcome: Outcome) -> bool:
        """Whether a job that reads a model's shards is to be done another time."""
        if not isinstance(outcome.error, CorruptShard):
            return self._try_again(where, outcome)
        try:
            return self._mending.again(work, outcome.error)
        except OSError as failed:  # it trips over the shard again, after some waiting
            return self._attempts.again(where, cause_of(failed), reason(failed))

    def _try_again(self, where: str, outcome: Outcome) -> bool:
        """Whether work that came back with an error is to be done another time."""
        cause = outcome.died or cause_of(outcome.error)
        if cause == "disk":
            self._pause.disk_is_full(where, reason(outcome.error))
        return self._attempts.again(where, cause, reason(outcome.error))

    def _record(self, record: Callable[[], None]) -> None:
        """Call ``record``, which writes to the ledger, again until the disk has room for it."""
        while True:
            try:
                record()
            except OSError as error:
                if cause_of(error) != "disk":
                    raise
                self._pause.disk_is_full(self._folder.ledger.name, reason(error))
            else:
                return
            while self._pause.holds():
                time.sleep(WAIT_SECONDS)
                if self._stop and self._stop.received:
                    log.warning("stopped on a full disk: what came back last runs again")
                    return

    def _failed(self, model: str, why: str) -> None:
        """Some work failed for good: does all of it?"""
        if self._breaker.failed(model, why) and not self._gave_up:
            self._gave_up = True
            message = (
                f"the first {self._breaker.limit} layers or models failed alike and nothing "
                f"succeeded: stopped, for the rest would, too ({why}). Mend it and run again, or "
                "go on regardless with --set compute.give_up_after=null"
            )
            self._recorder.failure("probe", None, "the run", message)

    def _of(self, model: str) -> ModelWork:
        return next(work for work in self._work if work.planned.name == model)


def _shard_number(work: ModelWork, shard: Shard, cache: Location) -> int:
    """Number of a shard among all of its model's, its sets one after the other."""
    before = 0
    for planned in work.planned.all_sets:
        if planned.folder(cache) == shard.folder:
            break
        before += planned.n_shards
    return before + shard.index


def _place(work: ModelWork, what: Shard | LayerTask) -> str:
    """What is tried, for people, and the key of its attempts."""
    if isinstance(what, Shard):
        return f"{work.planned.name} / shard {what.index} of {what.folder.name}"
    return f"{work.planned.name} / {what.layer.name}"


def _comparing(job: ComparisonJob) -> str:
    return f"comparison of {job.place}"
