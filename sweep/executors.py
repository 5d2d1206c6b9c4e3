"""Where jobs run: in this process, or on Ray. The driver sees no difference.

An executor takes jobs while it has room and hands back outcomes. It never retries: the driver does.
"""

import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

import ray
import ray.exceptions
from ray.job_submission import JobSubmissionClient

from jobs import remote
from jobs.compare import ComparisonJob, ComparisonReport, compare
from jobs.extract import Extractor, ExtractSettings, Shard, ShardReport
from jobs.node import describe_node
from jobs.probe import CellResult, ProbeJob, probe_layer
from jobs.process import keep_freed_memory, limit_threads
from sweep import preflight
from sweep.preflight import ClusterError, Node, Storage
from sweep.spec import Compute

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
AGENT_SECONDS = 30.0
"""How long a head may take until it takes jobs."""
CALLS_PER_ACTOR = 2
"""Shards an actor holds at a time: one it works on, one it can start at once."""


@dataclass(frozen=True)
class ExtractJob:
    """One shard of one model."""

    model: str
    settings: ExtractSettings
    shard: Shard


Job = ExtractJob | ProbeJob | ComparisonJob
Result = ShardReport | list[CellResult] | ComparisonReport


@dataclass(frozen=True)
class Outcome:
    """What became of a job: a result, or an error."""

    job: Job
    result: Result | None = None
    error: BaseException | None = None
    died: Literal["died", "timeout", "memory", "disk"] | None = None
    """Why the process or node that ran it ended; None: it did not, and the error tells."""


class Executor(Protocol):
    """What the driver needs of a place to run jobs."""

    def room(self, job: Job) -> bool:
        """Whether ``job`` may be submitted now."""

    def submit(self, job: Job, *, alone: bool = False) -> None:
        """Take a job; its outcome comes from a later ``wait``.

        Args:
            job: what to do.
            alone: as far as can be, beside nothing else on its machine: it ran out of memory.
        """

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

    def submit(self, job: Job, *, alone: bool = False) -> None:
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
        if isinstance(job, ComparisonJob):
            limit_threads(self._compute.probe.cpus)
            return compare(job)
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
    sent: float = field(default_factory=time.monotonic)


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
    _tasks: int = 0
    """Of the pending jobs, those that no actor has; counting them each time takes too long."""

    def room(self, job: Job) -> bool:
        """A free place at an actor, or for a new actor; a window for probes."""
        if not isinstance(job, ExtractJob):
            return self._tasks < self.probe_window
        return self._free_actor(job.model) is not None or len(self._active()) < self._limit()

    def submit(self, job: Job, *, alone: bool = False) -> None:
        """Send the job off; a shard that ran out of memory has left fewer actors behind it."""
        if not isinstance(job, ExtractJob):
            cpus = self.compute.probe.cpus
            ref = remote.submit_task(
                job,
                cpus=cpus,
                reserved=max(cpus, _smallest_node()) if alone else cpus,
                hide_gpus=self.hide_gpus,
                seconds=self._seconds,
            )
            self._pending[ref] = _Pending(job)
            self._tasks += 1
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
        return max(1, self.slots // 2) if on_cpus and self._tasks else self.slots

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
        handle = remote.extraction_actor(
            gpus=held.gpus, cpus=held.cpus, hide_gpus=self.hide_gpus, seconds=self._seconds
        )
        self._actors.append(_Actor(handle, model))
        return self._actors[-1]

    def _collect(self, ref: Any) -> Outcome:
        pending = self._pending.pop(ref)
        self._tasks -= pending.actor is None
        try:
            outcome = Outcome(pending.job, result=ray.get(ref))
        except ray.exceptions.RayTaskError as error:
            outcome = Outcome(pending.job, error=error.cause if error.cause is not None else error)
        except ray.exceptions.RayError as error:  # the worker, the actor or the node is gone
            outcome = self._death(pending, error)
        actor = pending.actor
        if actor is not None:
            if outcome.died == "memory" or isinstance(outcome.error, MemoryError):
                self.slots = max(1, len(self._active()) // 2)
                self._retire(len(self._active()) - self.slots)
            actor.calls -= 1
            actor.proven = True
            if outcome.died or (actor.retiring and actor.calls == 0):
                self._end(actor)
        return outcome

    @property
    def _seconds(self) -> float | None:
        """A job may take."""
        return None if self.compute.timeout is None else 60 * self.compute.timeout

    def _death(self, pending: _Pending, error: ray.exceptions.RayError) -> Outcome:
        if isinstance(error, ray.exceptions.OutOfMemoryError):
            return Outcome(pending.job, error=error, died="memory")
        if isinstance(error, ray.exceptions.OutOfDiskError):
            return Outcome(pending.job, error=error, died="disk")
        seconds = self._seconds
        if seconds is not None and time.monotonic() - pending.sent >= seconds:
            late = TimeoutError(
                f"no result within {self.compute.timeout:g} minutes (compute.timeout): its process "
                "was ended, with a traceback in Ray's log of that worker"
            )
            late.__cause__ = error
            return Outcome(pending.job, error=late, died="timeout")
        return Outcome(pending.job, error=error, died="died")


_NO_ANSWER = (
    "no Ray cluster answers at {address}: {error}. Start one with `ray start --head` and pass its "
    "address, or run on this machine with --local. Where the cluster asks for a token, as Ray's do "
    "once there is one, set RAY_AUTH_MODE=token here too (and RAY_AUTH_TOKEN, if ~/.ray/auth_token "
    "is another one)"
)
_OTHER_VERSION = (
    "the cluster at {address} has another version of Ray or Python than this machine; install the "
    "same ones on all machines. Ray says: {error}"
)


@contextmanager
def ray_session(
    compute: Compute,
    address: str | None,
    storage: Storage | None = None,
    warn: Callable[[str], object] = log.warning,
) -> Iterator[RayExecutor]:
    """Connect to Ray for the length of the block.

    Args:
        compute: resources that the jobs ask for.
        address: of a running cluster; None starts a Ray of our own on this machine.
        storage: what the jobs will write to; checked before the block begins.
        warn: told of what a user should know of the cluster.

    Raises:
        ClusterError: the cluster cannot be reached, no node has what a job asks for, or nodes
            differ from this machine in what must be alike.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        needed = max(compute.extractor.cpus, compute.probe.cpus)
        cpus = max(len(os.sched_getaffinity(0)), needed)
        options |= {"address": "local", "num_cpus": cpus, "include_dashboard": False}
    else:
        check_answers(address)
        options |= {"address": address}
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        form = _OTHER_VERSION if "ersion mismatch" in str(error) else _NO_ANSWER
        raise ClusterError(form.format(address=address or "local", error=error)) from error
    try:
        nodes = _nodes()
        problems = list(preflight.resource_problems(nodes, compute))
        if storage is not None:
            problems += preflight.disk_problems(storage)
            problems += preflight.memory_problems(storage, nodes, compute)
        if storage is not None and address is not None:
            problems += _shared_problems(preflight.workers(nodes, compute), storage, warn)
        preflight.check(problems)
        yield _executor(compute, nodes)
    finally:
        ray.shutdown()


def check_answers(address: str) -> None:
    """Something listens there: Ray itself tries for minutes before it gives up on an address.

    Raises:
        ClusterError: nothing does, or it is no address.
    """
    if address == "auto":
        return
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or "/" in host:
        raise ClusterError(f"{address} is no address: expected HOST:PORT (as in head:6379) or auto")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise ClusterError(_NO_ANSWER.format(address=address, error=error)) from None


def submit_entrypoint(url: str, entrypoint: str, folder: Path) -> str:
    """Have a cluster run a shell command in a copy of ``folder``; Ray's id of that job.

    Args:
        url: of the cluster's dashboard.
        entrypoint: the command.
        folder: all that is shipped. No environment variable is: the cluster has its own token.

    Raises:
        ClusterError: nothing answers, or it does not take the job.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.hostname is None:
        raise ClusterError(f"{url} is no address of a dashboard: expected http://HOST:8265")
    check_answers(f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}")
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        os.environ.pop(name, None)  # Ray would go there, whatever address it is given
    try:
        client = JobSubmissionClient(url)
        job = _submit(client, entrypoint, folder)
    except (ConnectionError, ray.exceptions.RayError) as error:
        raise ClusterError(_NO_ANSWER.format(address=url, error=error)) from error
    except RuntimeError as error:
        raise ClusterError(f"{url} does not take the job: {error}") from error
    return job


def _submit(client: JobSubmissionClient, entrypoint: str, folder: Path) -> str:
    """A head that has just begun answers before it can take jobs."""
    deadline = time.monotonic() + AGENT_SECONDS
    while True:
        try:
            job: str = client.submit_job(
                entrypoint=entrypoint, runtime_env={"working_dir": str(folder)}
            )
        except RuntimeError as error:
            if "No available agent" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(1)
        else:
            return job


def _nodes() -> list[Node]:
    return [
        Node(
            id=node["NodeID"],
            name=f"{node['NodeManagerHostname']} (node {node['NodeID'][:8]})",
            resources=node["Resources"],
        )
        for node in ray.nodes()
        if node["Alive"]
    ]


def _smallest_node() -> int:
    """CPUs: a task that asks for so many has a node of its own, and always finds one."""
    cpus = [int(node.resources.get("CPU", 0)) for node in _nodes()]
    return min((count for count in cpus if count), default=1)


def _shared_problems(
    nodes: list[Node], storage: Storage, warn: Callable[[str], object]
) -> list[str]:
    """What the nodes that are to work say of themselves; they are asked all at once."""
    with preflight.meeting_places(storage) as met:
        ids = [node.id for node in nodes]
        answers = remote.ask_nodes(ids, met, preflight.NODE_SECONDS)
        if preflight.is_open(answers):
            warn(preflight.OPEN_CLUSTER)
        return list(preflight.node_problems(describe_node(), nodes, answers, met))


def _executor(compute: Compute, nodes: list[Node]) -> RayExecutor:
    held = compute.extractor
    free = [node.resources for node in nodes]
    return RayExecutor(
        compute=compute,
        slots=sum(preflight.places(node, cpus=held.cpus, gpus=held.gpus) for node in free),
        probe_window=2 * sum(preflight.places(n, cpus=compute.probe.cpus, gpus=0) for n in free),
        hide_gpus=any(node.get("GPU", 0) for node in free),
    )
