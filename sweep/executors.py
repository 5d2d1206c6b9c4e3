"""Where jobs run: in this process, or on Ray. The driver sees no difference.

An executor takes jobs while it has room and hands back outcomes. It never retries: the driver does.
"""

import os
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import ray
import ray.exceptions

from jobs import remote
from jobs.extract import Extractor, ExtractSettings, Shard, ShardReport
from jobs.probe import CellResult, ProbeJob, probe_layer
from jobs.process import keep_freed_memory, limit_threads
from sweep.spec import Compute

CONNECT_SECONDS = 5.0
CALLS_PER_ACTOR = 2
"""Shards an actor holds at a time: one it works on, one it can start at once."""


@dataclass(frozen=True)
class ExtractJob:
    """One shard of one model."""

    model: str
    settings: ExtractSettings
    shard: Shard


Job = ExtractJob | ProbeJob
Result = ShardReport | list[CellResult]


@dataclass(frozen=True)
class Outcome:
    """What became of a job: a result, or an error."""

    job: Job
    result: Result | None = None
    error: BaseException | None = None
    died: bool = False
    """The process or node that ran it died: the job may be fine and is worth another try."""


class ClusterError(RuntimeError):
    """The cluster cannot run this: not reachable, or without what the spec asks for."""


class Executor(Protocol):
    """What the driver needs of a place to run jobs."""

    def room(self, job: Job) -> bool:
        """Whether ``job`` may be submitted now."""

    def submit(self, job: Job) -> None:
        """Take a job; its outcome comes from a later ``wait``."""

    def wait(self, seconds: float) -> list[Outcome]:
        """The outcomes there are, after at most about ``seconds``; none when nothing is done."""

    def release(self, model: str, *, last: bool) -> None:
        """The model's shards are all there, and with ``last`` those of all models: let go of it."""


class InlineExecutor:
    """Runs every job in this process, one at a time, in ``wait``: a debugger sees it all."""

    def __init__(self, compute: Compute) -> None:
        self._compute = compute
        self._queue: deque[Job] = deque()
        self._extractors: dict[str, Extractor] = {}

    def room(self, job: Job) -> bool:
        """One job at a time."""
        return not self._queue

    def submit(self, job: Job) -> None:
        """Keep the job for ``wait``."""
        self._queue.append(job)

    def wait(self, seconds: float) -> list[Outcome]:
        """Run one job to its end, however long it takes."""
        if not self._queue:
            return []
        job = self._queue.popleft()
        try:
            return [Outcome(job, result=self._run(job))]
        except Exception as error:  # noqa: BLE001 - user code may raise anything; the driver records it
            return [Outcome(job, error=error)]

    def release(self, model: str, *, last: bool) -> None:
        """Drop the model."""
        self._extractors.pop(model, None)

    def _run(self, job: Job) -> Result:
        if isinstance(job, ProbeJob):
            limit_threads(self._compute.probe.cpus)
            return probe_layer(job)
        limit_threads(self._compute.extractor.cpus)
        keep_freed_memory()
        if job.model not in self._extractors:
            device = "cuda" if self._compute.extractor.gpus else "cpu"
            self._extractors[job.model] = Extractor(job.settings, device=device)
        return self._extractors[job.model].extract(job.shard)


@dataclass(eq=False)
class _Actor:
    """An extraction actor, the model it holds, and how many shards of it."""

    handle: Any
    model: str
    calls: int = 0
    proven: bool = False
    """It has finished a shard: before, nobody knows whether it starts at all."""
    retiring: bool = False
    """It gets no more shards, and ends with its last."""


@dataclass
class _Pending:
    """A job on Ray, and the actor that has it."""

    job: Job
    actor: _Actor | None = None


@dataclass
class RayExecutor:
    """Runs jobs on the Ray that this process is connected to (see ``ray_session``).

    Starting a process takes seconds, so an actor goes on with the next model; but on a GPU it ends
    with its model, for only then is the memory free. While probes wait, half of the actors that
    hold CPUs come to their end: layers are probed while other models are extracted.

    Attributes:
        compute: resources a job holds.
        slots: extraction actors that fit on the cluster at a time.
        probe_window: probe tasks in flight at most.
        hide_gpus: the cluster has GPUs, and jobs that asked for none must not see them.
    """

    compute: Compute
    slots: int
    probe_window: int
    hide_gpus: bool
    _actors: list[_Actor] = field(default_factory=list)
    _pending: dict[Any, _Pending] = field(default_factory=dict)

    def room(self, job: Job) -> bool:
        """A free place at an actor, or for a new actor; a window for probes."""
        if isinstance(job, ProbeJob):
            return self._probes_in_flight() < self.probe_window
        return self._free_actor(job.model) is not None or len(self._active()) < self._limit()

    def submit(self, job: Job) -> None:
        """Send the job off."""
        if isinstance(job, ProbeJob):
            cpus = self.compute.probe.cpus
            ref = remote.submit_probe(job, cpus=cpus, hide_gpus=self.hide_gpus)
            self._pending[ref] = _Pending(job)
            self._retire(len(self._active()) - self._limit())
            return
        actor = self._actor_for(job.model)
        actor.calls += 1
        ref = actor.handle.extract.remote(job.settings, job.shard)
        self._pending[ref] = _Pending(job, actor)

    def wait(self, seconds: float) -> list[Outcome]:
        """The jobs that are done; up to ``seconds`` for the first."""
        if not self._pending:
            return []
        refs = list(self._pending)
        first, rest = ray.wait(refs, num_returns=1, timeout=seconds, fetch_local=False)
        if not first:
            return []
        more, _ = (
            ray.wait(rest, num_returns=len(rest), timeout=0, fetch_local=False)
            if rest
            else ([], [])
        )
        return [self._collect(ref) for ref in [*first, *more]]

    def release(self, model: str, *, last: bool) -> None:
        """End actors: all with ``last``; on GPUs those of the model."""
        for actor in list(self._actors):
            if last or (self.compute.extractor.gpus and actor.model == model):
                self._end(actor)

    def _limit(self) -> int:
        """Actors there may be: on CPUs, probes that are there to be run get half of the places."""
        on_cpus = not self.compute.extractor.gpus
        return max(1, self.slots // 2) if on_cpus and self._probes_in_flight() else self.slots

    def _retire(self, excess: int) -> None:
        """Let ``excess`` actors come to their end, the idle ones at once."""
        for actor in sorted(self._active(), key=lambda actor: actor.calls)[: max(0, excess)]:
            actor.retiring = True
            if actor.calls == 0:
                self._end(actor)

    def _end(self, actor: _Actor) -> None:
        if actor in self._actors:
            self._actors.remove(actor)
        ray.kill(actor.handle)

    def _active(self) -> list[_Actor]:
        return [actor for actor in self._actors if not actor.retiring]

    def _probes_in_flight(self) -> int:
        return sum(isinstance(pending.job, ProbeJob) for pending in self._pending.values())

    def _free_actor(self, model: str) -> _Actor | None:
        """The least busy actor that can take a shard of ``model``: it has the model, or nothing."""
        free = [
            actor
            for actor in self._active()
            if actor.calls == 0
            or (actor.model == model and actor.proven and actor.calls < CALLS_PER_ACTOR)
        ]
        return min(free, key=lambda actor: (actor.calls, actor.model != model), default=None)

    def _actor_for(self, model: str) -> _Actor:
        """An idle actor, else a new one while there is a place, else a busy one."""
        free = self._free_actor(model)
        if free is not None and (free.calls == 0 or len(self._active()) >= self._limit()):
            free.model = model
            return free
        held = self.compute.extractor
        handle = remote.extraction_actor(gpus=held.gpus, cpus=held.cpus, hide_gpus=self.hide_gpus)
        self._actors.append(_Actor(handle, model))
        return self._actors[-1]

    def _collect(self, ref: Any) -> Outcome:
        pending = self._pending.pop(ref)
        try:
            outcome = Outcome(pending.job, result=ray.get(ref))
        except ray.exceptions.RayTaskError as error:
            outcome = Outcome(pending.job, error=error.cause if error.cause is not None else error)
        except ray.exceptions.RayError as error:  # the worker, the actor or the node is gone
            outcome = Outcome(pending.job, error=error, died=True)
        actor = pending.actor
        if actor is not None:
            actor.calls -= 1
            actor.proven = True
            if outcome.died or (actor.retiring and actor.calls == 0):
                self._end(actor)
        return outcome


_NO_ANSWER = (
    "no Ray cluster answers at {address}: {error}. Start one with `ray start --head` and pass its "
    "address, or run on this machine with --local. Where the cluster asks for a token, as Ray's do "
    "once there is one, set RAY_AUTH_MODE=token here too (and RAY_AUTH_TOKEN, if ~/.ray/auth_token "
    "is another one)"
)


@contextmanager
def ray_session(compute: Compute, address: str | None) -> Iterator[RayExecutor]:
    """Connect to Ray for the length of the block.

    Args:
        compute: resources that the jobs ask for.
        address: of a running cluster; None starts a Ray of our own on this machine.

    Raises:
        ClusterError: the cluster cannot be reached, or no node has what a job asks for.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        needed = max(compute.extractor.cpus, compute.probe.cpus)
        cpus = max(len(os.sched_getaffinity(0)), needed)
        options |= {"address": "local", "num_cpus": cpus, "include_dashboard": False}
    else:
        _check_answers(address)
        options |= {"address": address}
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise ClusterError(_NO_ANSWER.format(address=address or "local", error=error)) from error
    try:
        yield _executor(compute)
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Ray itself tries for minutes before it gives up on an address where nothing listens."""
    if address == "auto":
        return
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or "/" in host:
        raise ClusterError(f"{address} is no address: expected HOST:PORT (as in head:6379) or auto")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise ClusterError(_NO_ANSWER.format(address=address, error=error)) from None


def _executor(compute: Compute) -> RayExecutor:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    held = compute.extractor
    _check_fits(nodes, "compute.extractor", cpus=held.cpus, gpus=held.gpus)
    _check_fits(nodes, "compute.probe", cpus=compute.probe.cpus, gpus=0)
    return RayExecutor(
        compute=compute,
        slots=sum(_places(node, cpus=held.cpus, gpus=held.gpus) for node in nodes),
        probe_window=2 * sum(_places(node, cpus=compute.probe.cpus, gpus=0) for node in nodes),
        hide_gpus=any(node.get("GPU", 0) for node in nodes),
    )


def _places(node: dict[str, float], *, cpus: int, gpus: float) -> int:
    """How many actors or tasks of these demands fit on one node at a time."""
    by_cpus = int(node.get("CPU", 0) / cpus)
    # Ray counts in ten-thousandths: 1 / 0.1 must give 10 places, not 9.
    return min(by_cpus, int(node.get("GPU", 0) / gpus + 1e-4)) if gpus else by_cpus


def _check_fits(nodes: list[dict[str, float]], key: str, *, cpus: int, gpus: float) -> None:
    """A request that no node can meet would hang in silence."""
    if any(_places(node, cpus=cpus, gpus=gpus) for node in nodes):
        return
    wanted = f"{cpus} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
    have = "; ".join(f"{n.get('CPU', 0):g} CPUs, {n.get('GPU', 0):g} GPUs" for n in nodes) or "none"
    raise ClusterError(
        f"{key} asks for {wanted} on one node, but the nodes have: {have}. "
        f"Lower it, for example with --set {key}.{'gpus=0' if gpus else 'cpus=1'}"
    )
