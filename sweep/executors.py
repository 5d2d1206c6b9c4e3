"""Where jobs run: in this process, or on Ray. The driver sees no difference.

An executor takes jobs while it has room and hands back outcomes. It never retries: the driver does.
"""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import ray
import ray.exceptions

from jobs import remote
from jobs.extract import Extractor, ExtractSettings, Shard, ShardReport
from jobs.probe import CellResult, ProbeJob, probe_layer
from jobs.threads import limit_threads
from sweep.spec import Compute

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

    def release(self, model: str) -> None:
        """The model's shards are all there: let go of what holds it in memory."""


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

    def release(self, model: str) -> None:
        """Drop the model."""
        self._extractors.pop(model, None)

    def _run(self, job: Job) -> Result:
        if isinstance(job, ProbeJob):
            limit_threads(self._compute.probe.cpus)
            return probe_layer(job)
        limit_threads(self._compute.extractor.cpus)
        if job.model not in self._extractors:
            device = "cuda" if self._compute.extractor.gpus else "cpu"
            self._extractors[job.model] = Extractor(job.settings, device=device)
        return self._extractors[job.model].extract(job.shard)


@dataclass
class _Actor:
    """An extraction actor and the shards it holds."""

    handle: Any
    calls: int = 0


@dataclass
class _Pending:
    """A job on Ray, and the actor that has it."""

    job: Job
    actor: _Actor | None = None


@dataclass
class RayExecutor:
    """Runs jobs on the Ray that this process is connected to (see ``ray_session``).

    Attributes:
        compute: resources a job holds.
        slots: extraction actors that fit on the cluster at a time.
        probe_window: probe tasks in flight at most.
    """

    compute: Compute
    slots: int
    probe_window: int
    _actors: dict[str, list[_Actor]] = field(default_factory=dict)
    _pending: dict[Any, _Pending] = field(default_factory=dict)

    def room(self, job: Job) -> bool:
        """A free place at one of the model's actors, or for a new actor; a window for probes."""
        if isinstance(job, ExtractJob):
            actors = self._actors.get(job.model, [])
            n_actors = sum(len(group) for group in self._actors.values())
            return n_actors < self.slots or any(a.calls < CALLS_PER_ACTOR for a in actors)
        probes = sum(isinstance(pending.job, ProbeJob) for pending in self._pending.values())
        return probes < self.probe_window

    def submit(self, job: Job) -> None:
        """Send the job off."""
        if isinstance(job, ProbeJob):
            self._pending[remote.submit_probe(job, self.compute.probe.cpus)] = _Pending(job)
            return
        actor = self._actor_for(job)
        actor.calls += 1
        self._pending[actor.handle.extract.remote(job.shard)] = _Pending(job, actor)

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

    def release(self, model: str) -> None:
        """Kill the model's actors: GPU memory is free only when their processes are gone."""
        for actor in self._actors.pop(model, []):
            ray.kill(actor.handle)

    def _actor_for(self, job: ExtractJob) -> _Actor:
        """The least busy actor of the model; a new one while there are slots and all are busy."""
        actors = self._actors.setdefault(job.model, [])
        least = min(actors, key=lambda actor: actor.calls, default=None)
        n_actors = sum(len(group) for group in self._actors.values())
        if least is not None and (least.calls == 0 or n_actors >= self.slots):
            return least
        extractor = self.compute.extractor
        new = _Actor(remote.extraction_actor(job.settings, extractor.gpus, extractor.cpus))
        actors.append(new)
        return new

    def _collect(self, ref: Any) -> Outcome:
        pending = self._pending.pop(ref)
        if pending.actor is not None:
            pending.actor.calls -= 1
        try:
            return Outcome(pending.job, result=ray.get(ref))
        except ray.exceptions.RayTaskError as error:
            return Outcome(pending.job, error=error.cause if error.cause is not None else error)
        except ray.exceptions.RayError as error:  # the worker, the actor or the node is gone
            self._forget(pending)
            return Outcome(pending.job, error=error, died=True)

    def _forget(self, pending: _Pending) -> None:
        if isinstance(pending.job, ExtractJob) and pending.actor is not None:
            actors = self._actors.get(pending.job.model, [])
            if pending.actor in actors:
                actors.remove(pending.actor)


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
        options |= {"address": address}
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise ClusterError(
            f"no Ray cluster answers at {address or 'local'}: {error}. Start one with "
            "`ray start --head` and pass its address, or run on this machine with --local"
        ) from error
    try:
        yield _executor(compute)
    finally:
        ray.shutdown()


def _executor(compute: Compute) -> RayExecutor:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    total = {kind: sum(node.get(kind, 0.0) for node in nodes) for kind in ("CPU", "GPU")}
    extractor = compute.extractor
    _check_fits(nodes, "compute.extractor", cpus=extractor.cpus, gpus=extractor.gpus)
    _check_fits(nodes, "compute.probe", cpus=compute.probe.cpus, gpus=0)
    kind: Literal["GPU", "CPU"] = "GPU" if extractor.gpus else "CPU"
    share = extractor.gpus if extractor.gpus else extractor.cpus
    return RayExecutor(
        compute=compute,
        slots=max(1, int(total[kind] / share)),
        probe_window=max(2, 2 * int(total["CPU"] / compute.probe.cpus)),
    )


def _check_fits(nodes: list[dict[str, float]], key: str, *, cpus: int, gpus: float) -> None:
    """A request that no node can meet would hang in silence."""
    if any(node.get("CPU", 0) >= cpus and node.get("GPU", 0) >= gpus for node in nodes):
        return
    wanted = f"{cpus} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
    have = "; ".join(f"{n.get('CPU', 0):g} CPUs, {n.get('GPU', 0):g} GPUs" for n in nodes) or "none"
    raise ClusterError(
        f"{key} asks for {wanted} on one node, but the nodes have: {have}. "
        f"Lower it, for example with --set {key}.{'gpus=0' if gpus else 'cpus=1'}"
    )
