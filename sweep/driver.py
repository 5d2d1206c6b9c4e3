"""The one scheduler: submit what is left, wait, retry, record.

A model's layers are probed as soon as its shards are complete, while other models are still being
extracted. Everything that must outlive the driver is in the activation cache and the ledger.
"""

import logging
import time
from collections import Counter
from pathlib import Path
from typing import Literal

import pandas as pd

from jobs.extract import Shard, ShardReport
from jobs.files import slug
from jobs.identity import content_id
from jobs.probe import ProbeJob
from jobs.store import CorruptShard, set_aside
from sweep.backlog import ModelWork, Wanted, find_work
from sweep.executors import Executor, ExtractJob, Job, Outcome
from sweep.ledger import Record
from sweep.plan import LayerTask, Plan, shards
from sweep.recorder import Recorder, reason
from sweep.run_folder import RunFolder
from sweep.stop import StopSignal

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often work is tried whose process died, or whose input was found corrupt."""
DRAIN_SECONDS = 10.0
"""How long work in flight may still finish after Ctrl-C."""
POLL_SECONDS = 0.5
"""How long to wait for an outcome before looking at signals again."""

Status = Literal["done", "failed", "interrupted"]


def _may_pass(outcome: Outcome) -> bool:
    """Whether the job may succeed elsewhere or later: its process died, or its storage failed."""
    return outcome.died or isinstance(outcome.error, OSError)


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
    """

    def __init__(
        self,
        plan: Plan,
        table: pd.DataFrame,
        folder: RunFolder,
        cache: Path,
        records: dict[str, Record],
        recorder: Recorder,
        *,
        wanted: Wanted,
        fail_fast: bool,
    ) -> None:
        self._plan = plan
        self._table = table
        self._folder = folder
        self._cache = cache
        self._recorder = recorder
        self._fail_fast = fail_fast
        self._in_flight = 0
        self._attempts: Counter[str] = Counter()
        self._probing: dict[Path, LayerTask] = {}
        """The tasks that an executor has, by their predictions file."""
        self._work = find_work(
            plan, table, cache, records, wanted=wanted, on_corrupt=self._set_aside
        )

    @property
    def n_shards(self) -> int:
        """Shards that are missing."""
        return sum(len(work.shards) for work in self._work)

    @property
    def n_cells(self) -> int:
        """Cells that are not done."""
        return sum(len(task.cells) for work in self._work for task in work.tasks)

    def run(self, executor: Executor, stop: StopSignal) -> Status:
        """Work until nothing is left, or until stopped."""
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
            for outcome in executor.wait(POLL_SECONDS):
                self._in_flight -= 1
                self._handle(executor, outcome)
        if deadline is not None:
            return "interrupted"
        return "failed" if self._recorder.any_failed else "done"

    def _may_submit(self) -> bool:
        return not (self._fail_fast and self._recorder.any_failed)

    def _anything_left(self) -> bool:
        return any(work.tasks or work.shards for work in self._work)

    def _submit(self, executor: Executor) -> None:
        for work in self._work:
            while work.shards:
                extract = ExtractJob(work.planned.name, work.planned.extract, work.shards[0])
                if not self._send(executor, extract):
                    break
                work.extracting.add(work.shards.popleft())
            while work.tasks and work.extracted:
                probe = self._probe_job(work.tasks[0])
                if not self._send(executor, probe):
                    break
                self._probing[probe.predictions] = work.tasks.popleft()

    def _send(self, executor: Executor, job: Job) -> bool:
        if not executor.room(job):
            return False
        executor.submit(job)
        self._in_flight += 1
        return True

    def _probe_job(self, task: LayerTask) -> ProbeJob:
        name = f"{slug(task.model.name)}--{slug(task.layer.name)}"
        digest = content_id([cell.cell_id for cell in task.cells])
        return ProbeJob(
            model=task.model.name,
            layer=task.layer.name,
            activations=tuple((s.folder(self._cache), s.n_shards) for s in task.model.sets),
            table=self._folder.utterances,
            probes={cell.probe: self._plan.probes[cell.probe] for cell in task.cells},
            protocol=self._plan.protocol,
            cells=task.cells,
            predictions=self._folder.predictions / f"{name}--{digest}.npz",
        )

    def _handle(self, executor: Executor, outcome: Outcome) -> None:
        if isinstance(outcome.job, ProbeJob):
            self._handle_probe(outcome, outcome.job)
            return
        work = self._of(outcome.job.model)
        work.extracting.remove(outcome.job.shard)
        self._handle_shard(work, outcome, outcome.job.shard)
        if work.extracted:
            last = all(other.extracted for other in self._work)
            executor.release(outcome.job.model, last=last)

    def _handle_shard(self, work: ModelWork, outcome: Outcome, shard: Shard) -> None:
        model = work.planned.name
        where = f"{model} / shard {shard.index} of {shard.folder.name}"
        if isinstance(outcome.result, ShardReport):
            report = outcome.result
            number = self._shard_number(work, shard)
            self._recorder.shard(
                model, number, report.n_utterances, len(report.skipped), report.seconds
            )
        elif work.dead:
            return
        elif _may_pass(outcome) and self._try_again(where, outcome.error):
            work.shards.append(shard)
        else:
            # A layer without all its shards has no score: every cell fails, with the reason.
            work.dead = True
            work.shards.clear()
            log.error("%s failed", where, exc_info=outcome.error)
            self._recorder.failure("extract", model, f"shard {shard.index}", reason(outcome.error))
            while work.tasks:
                task = work.tasks.popleft()
                self._recorder.failed_task(task, f"extraction failed: {reason(outcome.error)}")

    def _handle_probe(self, outcome: Outcome, job: ProbeJob) -> None:
        task = self._probing.pop(job.predictions)
        if isinstance(outcome.result, list):
            self._recorder.cells(task, outcome.result, job.predictions.name)
            return
        error, work = outcome.error, self._of(job.model)
        if isinstance(error, CorruptShard):
            again = self._extract_again(work, error)
        else:
            again = _may_pass(outcome) and self._try_again(f"{job.model} / {job.layer}", error)
        if again:
            work.tasks.append(task)
            return
        log.error("%s / %s failed", job.model, job.layer, exc_info=error)
        self._recorder.failed_task(task, reason(error))

    def _extract_again(self, work: ModelWork, error: CorruptShard) -> bool:
        """Queue the corrupt shard, once, however many layers trip over it; else it is hopeless."""
        place = (error.folder, error.index)
        if any((shard.folder, shard.index) == place for shard in (*work.shards, *work.extracting)):
            return True
        if not self._try_again(f"{error.folder.name} / shard {error.index}", error):
            return False
        self._set_aside(error)
        work.shards.extend(
            shard
            for planned in work.planned.sets
            for shard in shards(planned, self._table, self._cache)
            if (shard.folder, shard.index) == place
        )
        return True

    def _set_aside(self, error: CorruptShard) -> None:
        moved = [path.name for path in set_aside(error.folder, error.index)]
        fate = f"set aside as {', '.join(moved)}" if moved else "nothing is left of it"
        what = f"{error.folder.name}/shard-{error.index:05d}: {error.reason}"
        self._recorder.warning(f"{what}; {fate}, it is extracted again")

    def _try_again(self, where: str, error: BaseException | None) -> bool:
        self._attempts[where] += 1
        if self._attempts[where] >= ATTEMPTS:
            return False
        self._recorder.retry(where, self._attempts[where] + 1, reason(error))
        return True

    def _of(self, model: str) -> ModelWork:
        return next(work for work in self._work if work.planned.name == model)

    def _shard_number(self, work: ModelWork, shard: Shard) -> int:
        """Number of a shard among all of its model's, its sets one after the other."""
        before = 0
        for planned in work.planned.sets:
            if planned.folder(self._cache) == shard.folder:
                break
            before += planned.n_shards
        return before + shard.index
