"""A cluster without machines: how well a driver keeps it busy, told by a clock."""

import heapq
import pickle
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.extraction.job import ExtractJob
from jobs.extraction.shard import ShardReport
from jobs.job import Job
from jobs.probing.job import ProbeJob
from jobs.probing.results import CellResult
from jobs.statistics.scores import references_for, scores_for
from jobs.workers.ray_workers import Ended
from sweep.executors.base import Outcome
from sweep.executors.usage import Usage

SCORES = [*(score.name for score in scores_for("regression")), *references_for("regression")]


class SimulatedCluster:
    """An executor of ``nodes`` that hold every job for ``seconds``, and compute nothing.

    Time passes as ``clock`` says while the driver works; while it waits, time is skipped up to the
    next result. What the driver takes is so measured, and what nodes take is not waited for: making
    results and packing them is theirs, unpacking them the driver's. Jobs are queued as on Ray:
    twice as many as there are nodes at most, first come, first served; ``handling`` is what Ray
    takes of the driver's time for a job, in seconds.
    """

    def __init__(
        self,
        nodes: int,
        seconds: float,
        clock: Callable[[], float] = time.perf_counter,
        handling: float = 0.0,
    ) -> None:
        self._handling = handling
        self.nodes = nodes
        self.seconds = seconds
        self.jobs = 0
        self.waits = 0
        """Calls of `wait` that gave something."""
        self._clock = clock
        self._start: float | None = None
        """When the first job came."""
        self._skipped = 0.0
        self._free = [0.0] * nodes
        self._running: list[tuple[float, int, Job, bytes]] = []
        self._end = 0.0

    @property
    def utilisation(self) -> float:
        """Share of the nodes' time, from the first job to the last result, that jobs had."""
        return self.jobs * self.seconds / (self.nodes * self._end)

    def room(self, job: Job) -> bool:
        """Room for as many jobs again as there are nodes."""
        return len(self._running) < 2 * self.nodes

    def submit(self, job: Job, *, alone: bool = False) -> None:
        """The node that is free first takes the job."""
        start = max(self._now(), heapq.heappop(self._free))
        heapq.heappush(self._free, start + self.seconds)
        self.jobs += 1
        self._end = start + self.seconds
        before = self._clock()
        packed = pickle.dumps(_result(job, self.seconds))
        self._skipped += self._handling - (self._clock() - before)
        heapq.heappush(self._running, (self._end, self.jobs, job, packed))

    def help_stragglers(self) -> None:
        """All nodes are alike: nothing is late."""

    def wait(self, seconds: float) -> list[Outcome]:
        """The results up to now, or up to the first."""
        now = self._now()
        if self._running and self._running[0][0] > now:
            self._skipped += min(seconds, self._running[0][0] - now)
            now = max(self._now(), self._running[0][0])
        outcomes = []
        while self._running and self._running[0][0] <= now:
            _, _, job, packed = heapq.heappop(self._running)
            outcomes.append(Outcome(job, result=pickle.loads(packed)))
        self.waits += bool(outcomes)
        return outcomes

    def usage(self) -> Usage:
        """All nodes, each with a place."""
        return Usage(nodes=self.nodes, jobs=len(self._running), places=self.nodes)

    def release(self, job: Job, *, last: bool) -> None:
        """There is nothing to let go of."""

    def _now(self) -> float:
        if self._start is None:
            self._start = self._clock()
        return self._clock() - self._start + self._skipped


def _result(job: Job, seconds: float) -> Any:
    if isinstance(job, ExtractJob):
        n = len(job.shard.utterance_ids)
        return ShardReport(
            index=job.shard.index, n_utterances=n, skipped=(), seconds=seconds,
            frames_computed=n, frames_useful=n, bytes_written=0,
        )  # fmt: skip
    assert isinstance(job, ProbeJob)
    return [
        CellResult(
            cell_id=cell.cell_id, status="done", error=None, n_train=20_000, n_test=5_000,
            scores=dict.fromkeys(SCORES, 0.12345678901234567), details={"alpha": 0.1},
            seconds=seconds / len(job.cells),
        )
        for cell in job.cells
    ]  # fmt: skip


class SimulatedRay:
    """Ray below the real executor, on nodes that are not all as quick; time passes in ``wait``.

    Args:
        slow: node → how many times as long as others it takes.
        shard_seconds: of a shard, on a node that is as others.
        probe_seconds: of a layer's probes there; a node has one place for them.
    """

    def __init__(
        self, slow: Mapping[str, float], shard_seconds: float, probe_seconds: float
    ) -> None:
        self.now = 0.0
        self.shards: Counter[str] = Counter()
        """Node → those that it was given."""
        self.probes: Counter[str] = Counter()
        """Node → layers that it was given."""
        self.last_shard = 0.0
        """When the last shard came back that somebody asked for."""
        self.last_probe = 0.0
        self.cancelled: list[object] = []
        self._busy_until: dict[str, float] = {}
        """Node → when its actor has done what it was given."""
        self._free_at: dict[str, float] = {}
        """Node → when it has a place for the next layer."""
        self._slow = slow
        self._shard_seconds = shard_seconds
        self._probe_seconds = probe_seconds
        self._ends: dict[object, tuple[float, Job, str]] = {}

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In place of ``jobs.workers.ray_workers`` and of the executor's clock."""
        for name in ("start_actor", "submit_to_actor", "submit_task", "wait", "collect", "cancel"):
            monkeypatch.setattr(f"jobs.workers.ray_workers.{name}", getattr(self, name))
        monkeypatch.setattr("jobs.workers.ray_workers.end", lambda actor: None)
        monkeypatch.setattr("sweep.executors.ray.time", SimpleNamespace(monotonic=lambda: self.now))

    def start_actor(self, node: str, **options: object) -> str:
        """An actor that runs one job after the other; here it is its node."""
        return node

    def submit_to_actor(self, node: str, job: Job) -> object:
        """The actor takes the job after those that it has."""
        self.shards[node] += 1
        seconds = self._shard_seconds * self._slow.get(node, 1.0)
        self._busy_until[node] = max(self._busy_until.get(node, 0.0), self.now) + seconds
        return self._begun(self._busy_until[node], job, node)

    def submit_task(self, job: Job, *, nodes: frozenset[str] | None, **options: object) -> object:
        """A task that the node takes, of those it may run on, that is free first."""
        at = {node: max(self.now, self._free_at.get(node, 0.0)) for node in sorted(nodes or "?")}
        node = min(at, key=at.__getitem__)
        self._free_at[node] = at[node] + self._probe_seconds * self._slow.get(node, 1.0)
        self.probes[node] += 1
        return self._begun(self._free_at[node], job, node)

    def cancel(self, ref: object) -> None:
        """See ``jobs.workers.ray_workers.cancel``; its node has a place again."""
        _, _, node = self._ends.pop(ref)
        self._free_at[node] = self.now
        self.cancelled.append(ref)

    def wait(self, refs: Sequence[object], seconds: float) -> list[object]:
        """See ``jobs.workers.ray_workers.wait``."""
        self.now = max(self.now, min(self.now + seconds, *(self._ends[ref][0] for ref in refs)))
        return [ref for ref in refs if self._ends[ref][0] <= self.now]

    def collect(self, ref: object) -> Ended:
        """See ``jobs.workers.ray_workers.collect``."""
        end, job, node = self._ends.pop(ref)
        if isinstance(job, ExtractJob):
            self.last_shard = end
            seconds = self._shard_seconds
            return Ended(_result(job, seconds), node=node, seconds=seconds)
        self.last_probe = end
        return Ended(_result(job, self._probe_seconds), node=node)

    def _begun(self, end: float, job: Job, node: str) -> object:
        ref = object()
        self._ends[ref] = (end, job, node)
        return ref
