"""Jobs on Ray, on this machine or on a cluster: submission and collection."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

from jobs.job import Job
from jobs.workers import ray_workers
from sweep.executors import preflight
from sweep.executors.actor_pool import Actor, Actors
from sweep.executors.base import Outcome
from sweep.executors.nodes import NodePool
from sweep.executors.pending import PendingJob, lacked_shared_memory, outcome_of
from sweep.executors.preflight import Demand
from sweep.executors.stragglers import HangWarnings, Line, Waits
from sweep.executors.usage import Machines, Usage
from sweep.spec.schema import Compute

log = logging.getLogger(__name__)

HELPERS = 3
"""Copies that a late job may have, one after the other, as a copy may die."""


class RayExecutor:
    """Runs jobs on the Ray that this process is connected to (see ``ray_session``).

    Args:
        compute: resources that a job holds.
        node_pool: the nodes to use.
        gram_memory: bytes that the statistics of an extraction actor take.
        warn: called with a message for the user.

    Attributes:
        probe_window: maximum number of probe tasks in flight.
    """

    def __init__(
        self,
        compute: Compute,
        node_pool: NodePool,
        gram_memory: int = 0,
        warn: Callable[[str], object] = log.warning,
    ) -> None:
        self._compute = compute
        self._node_pool = node_pool
        self._extraction = preflight.extraction(compute, gram_memory)
        self._probing = preflight.probing(compute)
        on_gpus = bool(compute.extractor.gpus)
        self._actors = Actors(self._start_actor, ray_workers.end, on_gpus=on_gpus)
        self._waits = Waits()
        self._hangs = HangWarnings(self._waits, warn, lambda: time.monotonic())
        self._pending: dict[Any, PendingJob] = {}
        self._tasks = Line(lambda: time.monotonic())
        """Pending jobs that no actor has."""
        self._machines = Machines()
        self._unmet: Demand | None = None
        """Demand of a job that no node has had a place for since the last ``wait``."""
        self.probe_window = 0
        self._count_places()

    @property
    def slots(self) -> int:
        """Maximum number of extraction actors at a time."""
        return self._actors.slots

    def room(self, job: Job) -> bool:
        """Return whether an actor, or a place for a new one, is free; for probes, the window."""
        if not self._node_pool.answers:
            return False
        extracts = job.affinity is not None
        if not (self.slots if extracts else self.probe_window):
            self._unmet = self._extraction if extracts else self._probing
            self._node_pool.missing(self._unmet)
            return False
        if job.affinity is not None:
            return self._actors.has_room(job.affinity)
        return len(self._tasks) < self.probe_window

    def submit(self, job: Job, *, alone: bool = False) -> None:
        """Submit the job; after a shard ran out of memory, fewer actors run."""
        if job.affinity is not None:
            self._send_shard(job, self._actors.take(job.affinity))
            return
        held = self._node_pool.whole_node(self._probing) if alone else self._probing
        fit = self._node_pool.with_place(held) if alone else self._probe_nodes
        self._send_task(job, held, fit if self._node_pool.changes else None)
        self._actors.make_way()

    def help_stragglers(self) -> None:
        """Start a copy of each straggler in a free place on another node, as a slow node would
        delay the sweep."""
        if not self._node_pool.answers or (not len(self._actors) and not self._tasks.has_place):
            return
        for ref, pending in list(self._pending.items()):
            if pending.twin or pending.helpers == HELPERS or not self._is_late(ref, pending):
                continue
            twin = self._help_shard(pending) if pending.actor else self._help_task(ref, pending)
            if twin is None:
                continue
            log.warning("%s is late: done twice", pending.job.title)
            pending.twin, pending.helpers = twin, pending.helpers + 1
            pending.helped = time.monotonic()
            self._pending[twin].twin, self._pending[twin].helpers = ref, HELPERS

    def _is_late(self, ref: Any, pending: PendingJob) -> bool:
        begun = self._begun(ref, pending)
        if begun is None:
            return False
        since = max(begun, pending.helped)
        return self._waits.is_late(pending.job.kind, time.monotonic() - since)

    def _begun(self, ref: Any, pending: PendingJob) -> float | None:
        """Time at which the job began, as far as known; None: it waits for a place."""
        return pending.begun if pending.actor else self._tasks.begun(ref)

    def _help_shard(self, late: PendingJob) -> Any:
        assert late.actor is not None
        helper = self._actors.take_elsewhere(late.actor)
        return None if helper is None else self._send_shard(late.job, helper)

    def _help_task(self, ref: Any, late: PendingJob) -> Any:
        """Submit a copy to nodes that returned work while the job was late. The job's own node is
        unknown, but a slow or hanging node returns nothing in time."""
        since = self._tasks.begun(ref)
        if late.nodes is None or not self._tasks.has_place:
            return None
        assert late.held is not None
        assert since is not None
        fit = self._node_pool.with_place(late.held)
        able = self._waits.nodes_in_time(fit, since)
        return self._send_task(late.job, late.held, able) if able and len(fit) > 1 else None

    def wait(self, seconds: float) -> list[Outcome]:
        """Return the jobs that are done, waiting up to ``seconds`` for the first.

        Raises:
            ClusterError: no job is in flight, and no node could take the next one for a long time.
        """
        lost = self._look_around()
        if self._compute.timeout is None:
            self._hangs.search(self._in_flight)
        unmet, self._unmet = self._unmet, None
        if lost or not self._pending:
            if unmet and not lost:
                self._node_pool.give_up(unmet)
            return lost
        done = ray_workers.wait(list(self._pending), seconds)
        outcomes = [self._collect(ref) for ref in done if ref in self._pending]
        return [outcome for outcome in outcomes if outcome is not None]

    def usage(self) -> Usage:
        """Count nodes, jobs and GPUs; machines reported how busy they are with their jobs."""
        places = max(self.slots, self.probe_window // 2)
        held = len(self._actors) * self._extraction.gpus
        return self._machines.usage(self._node_pool.usable, len(self._pending), places, held)

    def release(self, job: Job, *, last: bool) -> None:
        """End actors: all with ``last``; on GPUs those of the job's model."""
        self._waits.forget(job.kind)
        if job.affinity is not None:
            self._actors.release(job.affinity, last=last)

    def _start_actor(self, node: str) -> Any:
        held = self._extraction
        return ray_workers.start_actor(
            node,
            gpus=held.gpus,
            cpus=held.cpus,
            memory=held.memory,
            hide_gpus=self._hide_gpus,
            seconds=self._seconds,
        )

    def _send_shard(self, job: Job, actor: Actor) -> Any:
        ref = ray_workers.submit_to_actor(actor.handle, job)
        self._pending[ref] = PendingJob(job, time.monotonic(), actor)
        return ref

    def _send_task(self, job: Job, held: Demand, nodes: frozenset[str] | None) -> Any:
        ref = ray_workers.submit_task(
            job,
            cpus=self._probing.cpus,
            reserved=held.cpus,
            memory=held.memory,
            nodes=nodes,
            hide_gpus=self._hide_gpus,
            seconds=self._seconds,
        )
        self._pending[ref] = PendingJob(job, time.monotonic(), held=held, nodes=nodes)
        self._tasks.join(ref)
        self._actors.probes_wait = True
        return ref

    def _task_is_out(self, ref: Any) -> float | None:
        """Note that a task returned; return the seconds that it ran."""
        seconds = self._tasks.leave(ref)
        self._actors.probes_wait = len(self._tasks) > 0
        return seconds

    def _give_up(self, ref: Any) -> None:
        """Abandon a job whose result is no longer needed."""
        pending = self._pending.pop(ref)
        if pending.actor is not None:
            self._actors.drop(pending.actor)
        else:
            ray_workers.cancel(ref)
            self._task_is_out(ref)

    def _count_places(self) -> None:
        """Count the places on the nodes."""
        nodes = self._node_pool.usable
        self._hide_gpus = any(node.resources.get("GPU", 0) for node in nodes.values())
        self._actors.set_places(
            {name: self._extraction.places(node.resources) for name, node in nodes.items()}
        )
        self._probe_nodes = self._node_pool.with_place(self._probing)
        probes = sum(self._probing.places(node.resources) for node in nodes.values())
        self.probe_window = 2 * probes
        self._tasks.set_places(probes)
        for demand, places in ((self._extraction, self.slots), (self._probing, probes)):
            if places:
                self._node_pool.found(demand)

    def _look_around(self) -> list[Outcome]:
        """Update the nodes; give up tasks that Ray would now keep waiting forever."""
        if not self._node_pool.refresh():
            return []
        self._count_places()
        lost = []
        for ref, pending in list(self._pending.items()):
            if pending.nodes is not None and not pending.nodes & self._node_pool.usable.keys():
                self._give_up(ref)
                error = RuntimeError("every node that it was given to is gone")
                lost.append(self._settle(pending, Outcome(pending.job, error=error, died="died")))
        return [outcome for outcome in lost if outcome is not None]

    def _in_flight(self) -> Iterator[tuple[Any, str, str, float | None]]:
        """Yield reference, title, kind and beginning of every job in flight."""
        for ref, pending in self._pending.items():
            yield ref, pending.job.title, pending.job.kind, self._begun(ref, pending)

    def _collect(self, ref: Any) -> Outcome | None:
        """Return the outcome of a job; None if a copy of it is still running."""
        pending = self._pending.pop(ref)
        ended = ray_workers.collect(ref)
        self._machines.note(ended)
        outcome = self._outcome(ref, pending, ended)
        if pending.actor is None:
            self._task_came_back(ref, pending, ended)
        else:
            self._shard_came_back(pending, outcome, ended.seconds)
        return self._settle(pending, outcome)

    def _task_came_back(self, ref: Any, pending: PendingJob, ended: ray_workers.Ended) -> None:
        seconds = self._task_is_out(ref)
        if ended.node is not None:
            self._waits.note(ended.node, pending.job.kind, seconds, time.monotonic())

    def _shard_came_back(
        self, pending: PendingJob, outcome: Outcome, seconds: float | None
    ) -> None:
        assert pending.actor is not None
        gpus = self._compute.extractor.gpus
        if outcome.died == "memory" or lacked_shared_memory(outcome.error, gpus):
            self._actors.ran_out_of_memory(pending.actor)
        self._actors.came_back(pending.actor, seconds=seconds, died=outcome.died is not None)
        if seconds is not None:
            self._waits.add(pending.job.kind, time.monotonic() - pending.begun)
        for other in self._pending.values():
            if other.actor is pending.actor:
                other.begun = time.monotonic()

    def _settle(self, pending: PendingJob, outcome: Outcome) -> Outcome | None:
        """Settle a job when it or its copy returns; None: the other one decides."""
        twin = self._pending.get(pending.twin) if pending.twin is not None else None
        if twin is None:
            return outcome
        if outcome.error is not None:
            twin.twin = None
            log.warning(
                "%s: one of two tries failed, the other is waited for: %s",
                pending.job.title, outcome.error,
            )  # fmt: skip
            return None
        self._give_up(pending.twin)
        return outcome

    def _outcome(self, ref: Any, pending: PendingJob, ended: ray_workers.Ended) -> Outcome:
        begun = self._begun(ref, pending)
        if pending.actor and self._compute.extractor.gpus:
            begun = pending.sent  # an actor begins its second shard at once
        seconds = None if begun is None else time.monotonic() - begun
        return outcome_of(pending.job, ended, self._compute.timeout, seconds)

    @property
    def _seconds(self) -> float | None:
        """Time limit of a job."""
        return None if self._compute.timeout is None else 60 * self._compute.timeout
