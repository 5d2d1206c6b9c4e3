"""The driver: submit the remaining jobs, wait, retry, record.

Work is in queues, and each queue knows when its next job may begin: a model's layers are probed as
soon as its shards are complete, while other models are still being extracted. Everything that must
outlive the driver is in the activation cache and the ledger.
"""

import gc
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

from jobs.job import Job
from sweep.executors.base import Executor, Outcome
from sweep.running.disk_pause import DiskPause
from sweep.running.retries import Retries
from sweep.signals import StopSignal
from sweep.work_queue import WorkQueue

log = logging.getLogger(__name__)

DRAIN_SECONDS = 10.0
"""Seconds that work in flight may take to finish after Ctrl-C."""
POLL_SECONDS = 0.5
"""Seconds to wait for an outcome before checking for signals again."""
WAIT_SECONDS = 0.1
"""Seconds to wait while nothing is in flight and nothing may begin."""

Status = Literal["done", "failed", "interrupted"]


class Driver:
    """Brings the jobs of queues to an executor, and their outcomes back.

    Args:
        queues: in order of priority for free places.
        retries: decides on retries.
        pause: holds everything while a disk is full.
        may_begin: whether new work may begin at all.
        any_failed: whether something has failed permanently.
        pulse: called now and then with the executor, to show what it uses.
        report: called with what begins, for those who watch.
    """

    def __init__(
        self,
        queues: Sequence[WorkQueue[Any]],
        retries: Retries,
        pause: DiskPause,
        *,
        may_begin: Callable[[], bool],
        any_failed: Callable[[], bool],
        pulse: Callable[[Executor], object],
        report: Callable[[str], object],
    ) -> None:
        self._queues = queues
        self._retries = retries
        self._pause = pause
        self._may_begin = may_begin
        self._any_failed = any_failed
        self._pulse = pulse
        self._report = report
        self._in_flight: dict[str, WorkQueue[Any]] = {}
        """Queue of each job that an executor has, by the key of the job."""

    def run(self, executor: Executor, stop: StopSignal) -> Status:
        """Run jobs until none is left, or until stopped."""
        # A plan of a million cells stays in memory to the end: Python's garbage collector would
        # scan it repeatedly while a large cluster waits.
        gc.collect()
        gc.freeze()
        try:
            return self._run(executor, stop)
        finally:
            gc.unfreeze()

    def _run(self, executor: Executor, stop: StopSignal) -> Status:
        deadline: float | None = None
        while self._in_flight or (deadline is None and self._may_begin() and self._anything_left()):
            if stop.received and deadline is None:
                self._report(f"{stop.received.name}: finishing what is in flight")
                deadline = time.monotonic() + DRAIN_SECONDS
            if deadline is None and self._may_begin():
                self._submit(executor)
            elif deadline is not None and time.monotonic() > deadline:
                break
            if not self._in_flight:  # wait for a full disk, or the next attempt
                time.sleep(WAIT_SECONDS)
            self._pulse(executor)
            self._take_in(executor, executor.wait(POLL_SECONDS))
        if deadline is not None:
            return "interrupted"
        return "failed" if self._any_failed() else "done"

    def _anything_left(self) -> bool:
        return any(queue.waiting for queue in self._queues)

    def _submit(self, executor: Executor) -> None:
        if self._pause.holds():
            return
        for queue in self._queues:
            self._submit_from(queue, executor)
        if not any(queue.waiting and queue.affinities for queue in self._queues):
            executor.help_stragglers()

    def _submit_from(self, queue: WorkQueue[Any], executor: Executor) -> None:
        full: set[str] = set()
        while job := queue.next(self._retries.is_due, full):
            if executor.room(job):
                executor.submit(job, alone=self._retries.is_alone(job.key))
                queue.sent(job)
                self._in_flight[job.key] = queue
            elif job.affinity is None:  # all others ask for the same
                return
            else:
                full.add(job.affinity)

    def _take_in(self, executor: Executor, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            queue = self._in_flight.pop(outcome.job.key)
            self._settle(queue, outcome)
            self._release(queue, outcome.job, executor)
        for queue in self._queues:
            queue.flush()

    def _settle(self, queue: WorkQueue[Any], outcome: Outcome) -> None:
        if outcome.error is None:
            queue.finish(outcome.job, outcome.result)
        elif queue.is_needed(outcome.job) and self._retries.again(outcome):
            queue.again(outcome.job)
        else:
            queue.fail(outcome.job, outcome.error)

    def _release(self, queue: WorkQueue[Any], job: Job, executor: Executor) -> None:
        """Let workers drop state that no job needs any more."""
        if job.affinity is not None and job.affinity not in queue.affinities:
            executor.release(job, last=not queue.affinities)
