"""Jobs on Ray, on this machine or on a cluster: what is sent where, and what comes back."""

import logging
import time
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from jobs import remote
from jobs.extract import ShardReport
from jobs.process import ran_out_of_memory
from sweep import preflight
from sweep.actors import Actor, Actors
from sweep.nodes import Roster
from sweep.outcomes import ExtractJob, Job, Outcome
from sweep.preflight import Demand
from sweep.spec import Compute
from sweep.stragglers import Waits

log = logging.getLogger(__name__)


@dataclass
class _Pending:
    """A job on Ray."""

    job: Job
    actor: Actor | None = None
    """That has it, if it is a shard."""
    nodes: frozenset[str] | None = None
    """That it may run on, if it is none; None: all."""
    twin: Any = None
    """The same shard with another actor: what comes back first counts."""
    helped: bool = False
    """Another actor was given the same shard: that is done once, whatever becomes of it."""
    sent: float = field(default_factory=lambda: time.monotonic())
    begun: float = field(default_factory=lambda: time.monotonic())
    """Later than ``sent`` if its actor had another shard first."""


class RayExecutor:
    """Runs jobs on the Ray that this process is connected to (see ``ray_session``).

    Args:
        compute: resources a job holds.
        roster: the nodes to use.
        gram_memory: bytes that the statistics of an extraction actor take.

    Attributes:
        probe_window: probe tasks in flight at most.
    """

    def __init__(self, compute: Compute, roster: Roster, gram_memory: int = 0) -> None:
        self._compute = compute
        self._roster = roster
        self._extraction = preflight.extraction(compute, gram_memory)
        self._probing = preflight.probing(compute)
        on_gpus = bool(compute.extractor.gpus)
        self._actors = Actors(self._start_actor, remote.end, on_gpus=on_gpus)
        self._waits = Waits()
        self._pending: dict[Any, _Pending] = {}
        self._tasks = 0
        """Of the pending jobs, those that no actor has; counting them each time takes too long."""
        self._lonely: Demand | None = None
        """Of a job that no node has had a place for since the last ``wait``."""
        self.probe_window = 0
        self._count_places()

    @property
    def slots(self) -> int:
        """Extraction actors there may be at a time."""
        return self._actors.slots

    def room(self, job: Job) -> bool:
        """A free place at an actor, or for a new actor; a window for probes."""
        extracts = isinstance(job, ExtractJob)
        if not (self.slots if extracts else self.probe_window):
            self._lonely = self._extraction if extracts else self._probing
            self._roster.missing(self._lonely)
            return False
        if isinstance(job, ExtractJob):
            return self._actors.has_room(job.model)
        return self._tasks < self.probe_window

    def submit(self, job: Job, *, alone: bool = False) -> None:
        """Send the job off; a shard that ran out of memory has left fewer actors behind it."""
        if isinstance(job, ExtractJob):
            self._send_shard(job, self._actors.take(job.model))
            return
        held = self._whole_node() if alone else self._probing
        fit = self._nodes_with_place(held) if alone else self._probe_nodes
        nodes = fit if self._roster.changes else None
        ref = remote.submit_task(
            job,
            cpus=self._probing.cpus,
            reserved=held.cpus,
            memory=held.memory,
            nodes=nodes,
            hide_gpus=self._hide_gpus,
            seconds=self._seconds,
        )
        self._pending[ref] = _Pending(job, nodes=nodes)
        self._count_tasks(1)
        self._actors.make_way()

    def hasten(self) -> None:
        """Give shards that are late to idle actors on other nodes, too: what a slow node holds
        would hold the sweep."""
        if not len(self._actors):
            return
        now = time.monotonic()
        for ref, pending in list(self._pending.items()):
            job, slow = pending.job, pending.actor
            if slow is None or pending.helped or not isinstance(job, ExtractJob):
                continue
            if not self._waits.is_late(job.model, now - pending.begun):
                continue
            helper = self._actors.take_elsewhere(slow)
            if helper is None:
                continue
            log.warning("%s: shard %d is late: extracted twice", job.model, job.shard.index)
            twin = self._send_shard(job, helper)
            pending.twin, pending.helped = twin, True
            self._pending[twin].twin, self._pending[twin].helped = ref, True

    def wait(self, seconds: float) -> list[Outcome]:
        """The jobs that are done; up to ``seconds`` for the first.

        Raises:
            ClusterError: none is out, and for a long time no node could take the next.
        """
        lost = self._look_around()
        lonely, self._lonely = self._lonely, None
        if lost or not self._pending:
            if lonely and not lost:
                self._roster.give_up(lonely)
            return lost
        done = remote.wait(list(self._pending), seconds)
        outcomes = [self._collect(ref) for ref in done if ref in self._pending]
        return [outcome for outcome in outcomes if outcome is not None]

    def release(self, model: str, *, last: bool) -> None:
        """End actors: all with ``last``; on GPUs those of the model."""
        self._waits.forget(model)
        self._actors.release(model, last=last)

    def _start_actor(self, node: str) -> Any:
        held = self._extraction
        return remote.extraction_actor(
            node,
            gpus=held.gpus,
            cpus=held.cpus,
            memory=held.memory,
            hide_gpus=self._hide_gpus,
            seconds=self._seconds,
        )

    def _send_shard(self, job: ExtractJob, actor: Actor) -> Any:
        ref = actor.handle.extract.remote(job.settings, job.shard)
        self._pending[ref] = _Pending(job, actor)
        return ref

    def _count_tasks(self, change: int) -> None:
        self._tasks += change
        self._actors.probes_wait = self._tasks > 0

    def _count_places(self) -> None:
        """What the nodes have room for."""
        nodes = self._roster.usable
        self._hide_gpus = any(node.resources.get("GPU", 0) for node in nodes.values())
        self._actors.set_places(
            {name: self._extraction.places(node.resources) for name, node in nodes.items()}
        )
        self._probe_nodes = self._nodes_with_place(self._probing)
        window = 2 * sum(self._probing.places(node.resources) for node in nodes.values())
        self.probe_window = window
        for demand, places in ((self._extraction, self.slots), (self._probing, window)):
            if places:
                self._roster.found(demand)

    def _look_around(self) -> list[Outcome]:
        """Who came and who went; the tasks that Ray would now keep waiting for ever."""
        if not self._roster.refresh():
            return []
        self._count_places()
        lost = []
        for ref, pending in list(self._pending.items()):
            if pending.nodes is not None and not pending.nodes & self._roster.usable.keys():
                remote.cancel(ref)
                del self._pending[ref]
                self._count_tasks(-1)
                error = RuntimeError("every node that it was given to is gone")
                lost.append(Outcome(pending.job, error=error, died="died"))
        return lost

    def _nodes_with_place(self, held: Demand) -> frozenset[str]:
        nodes = self._roster.usable.items()
        return frozenset(name for name, node in nodes if held.places(node.resources))

    def _whole_node(self) -> Demand:
        """All CPUs and, where memory is asked for, all memory of the least node that will do: a
        task that holds so much has a node to itself."""
        demand = self._probing
        fit = [self._roster.usable[name].resources for name in self._nodes_with_place(demand)]
        least = min(fit, key=lambda resources: (resources["CPU"], resources.get("memory", 0.0)))
        memory = int(least["memory"]) if demand.memory else 0
        return replace(demand, cpus=int(least["CPU"]), memory=memory)

    def _collect(self, ref: Any) -> Outcome | None:
        """What became of a job; None if the same one is still worked on elsewhere."""
        pending = self._pending.pop(ref)
        outcome = self._outcome(ref, pending)
        if pending.actor is None:
            self._count_tasks(-1)
            return outcome
        report = outcome.result if isinstance(outcome.result, ShardReport) else None
        if outcome.died == "memory" or self._lacked_shared_memory(outcome.error):
            self._actors.ran_out_of_memory(pending.actor)
        self._actors.came_back(
            pending.actor,
            seconds=None if report is None else report.seconds,
            died=outcome.died is not None,
        )
        assert isinstance(pending.job, ExtractJob)
        if report is not None:
            self._waits.add(pending.job.model, time.monotonic() - pending.begun)
        for other in self._pending.values():
            if other.actor is pending.actor:
                other.begun = time.monotonic()
        twin = self._pending.get(pending.twin) if pending.twin is not None else None
        if twin is None:
            return outcome
        if report is None:
            twin.twin = None
            log.warning(
                "%s: shard %d: one of two tries failed, the other is waited for: %s",
                pending.job.model, pending.job.shard.index, outcome.error,
            )  # fmt: skip
            return None
        del self._pending[pending.twin]
        assert twin.actor is not None
        self._actors.drop(twin.actor)
        return outcome

    def _lacked_shared_memory(self, error: BaseException | None) -> bool:
        """Whether fewer actors would help: nobody else uses a GPU that an actor has for itself."""
        own_gpu = self._compute.extractor.gpus >= 1 and isinstance(error, torch.OutOfMemoryError)
        return ran_out_of_memory(error) and not own_gpu

    def _outcome(self, ref: Any, pending: _Pending) -> Outcome:
        ended = remote.collect(ref)
        if ended.died != "died" or self._seconds is None:
            return Outcome(pending.job, ended.result, ended.error, ended.died)
        # On a GPU an actor begins with its second shard at once. When a task began is not known.
        begun = pending.sent if self._compute.extractor.gpus else pending.begun
        if time.monotonic() - begun < self._seconds:
            return Outcome(pending.job, error=ended.error, died="died")
        late = TimeoutError(
            f"no result within {self._compute.timeout:g} minutes (compute.timeout): its process "
            "was ended, with a traceback in Ray's log of that worker"
        )
        late.__cause__ = ended.error
        return Outcome(pending.job, error=late, died="timeout")

    @property
    def _seconds(self) -> float | None:
        """A job may take."""
        return None if self._compute.timeout is None else 60 * self._compute.timeout
