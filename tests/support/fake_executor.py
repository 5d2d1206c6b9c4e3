"""An executor for tests of the scheduler: jobs run in this process on a made-up clock, in any
order, or end as a script says."""

import errno
import hashlib
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Literal

import numpy as np

from jobs.activations.store import read_layer, write_shard
from jobs.extraction.job import ExtractJob
from jobs.extraction.shard import Shard, ShardReport
from jobs.job import Job, Worker
from jobs.probing.job import ProbeJob
from jobs.probing.results import CellResult
from jobs.protocol.cells import Cell
from jobs.protocol.predictions import CellPredictions, write_predictions
from jobs.similarity.job import SketchJob, TileJob
from sweep.executors.base import Outcome
from sweep.executors.usage import Usage
from sweep.plan.plan import Plan, PlannedModel
from sweep.signals import StopSignal

JOB_SECONDS = 1.0
"""Time that passes on the made-up clock between two returns of jobs."""
LONGEST = 100_000.0
"""Seconds on the made-up clock after which a driver is taken to run for ever."""


class FakeClock:
    """A clock that only sleeping and waiting move."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        assert self.now < LONGEST, "the driver does not come to an end"


Act = Callable[[Job], Outcome | None]
"""Called when a job is about to come back; its outcome, or None to run the job."""


@dataclass(frozen=True)
class Fault:
    """An act: the job comes back with an error."""

    error: BaseException
    died: Literal["died", "timeout", "memory", "disk"] | None = None

    def __call__(self, job: Job) -> Outcome:
        return Outcome(job, error=self.error, died=self.died)


LOST_WORKER = Fault(RuntimeError("the worker died"), died="died")
TIMED_OUT = Fault(TimeoutError("no result within 5 minutes"), died="timeout")
KILLED_FOR_MEMORY = Fault(RuntimeError("killed by the memory monitor"), died="memory")
OUT_OF_MEMORY = Fault(MemoryError("cannot allocate"))
BROKEN_STORAGE = Fault(OSError(errno.EIO, "Input/output error"))
DISK_FULL = Fault(OSError(errno.ENOSPC, "No space left on device"))
NODE_DISK_FULL = Fault(RuntimeError("the node's disk is full"), died="disk")
MISTAKE = Fault(ValueError("matrix 'x' is singular"))


def always(act: Act) -> Iterator[Act]:
    """A script that never ends."""
    return repeat(act)


def stopping(stop: StopSignal) -> Act:
    """An act: the user presses Ctrl-C just before the job comes back as usual."""

    def act(job: Job) -> None:
        stop.received = signal.SIGINT

    return act


@dataclass(frozen=True)
class Sent:
    """A job that the driver handed over."""

    name: str
    at: float
    """On the made-up clock."""
    alone: bool


class FakeExecutor:
    """Takes jobs as an executor does, and returns them in ``wait``.

    Jobs are named ``extract a/train/0`` (model, split, index), ``probe a/stem``, ``sketch a/stem``
    and ``tile a × b``.

    Args:
        plan: of the run; makes names of jobs, and activations of the right widths.
        clock: moved by every ``wait``.
        places: jobs in flight at most, of extraction and of everything else apart.
        batch: jobs that come back from one ``wait``.
        pick: which of the waiting names comes back next; by default the first that was sent.
        script: name of a job → what happens the first, second, … time that it comes back;
            afterwards it runs as usual.
        held: names of jobs that do not come back.
        probe: runs a probe job; by default scores are made up.

    Attributes:
        log: ``send NAME``, ``back NAME``, ``release MODEL``, ``release MODEL last`` and
            ``help_stragglers`` in the order that they happened.
    """

    def __init__(
        self,
        plan: Plan,
        clock: FakeClock,
        *,
        places: int = 1,
        batch: int = 1,
        pick: Callable[[Sequence[str]], str] = lambda names: names[0],
        script: Mapping[str, Iterable[Act]] | None = None,
        held: Iterable[str] = (),
        probe: Callable[[ProbeJob], list[CellResult]] | None = None,
    ) -> None:
        self._models = {model.name: model for model in plan.models}
        self._clock = clock
        self._places = places
        self._batch = batch
        self._pick = pick
        self._script = {name: iter(acts) for name, acts in (script or {}).items()}
        self.held = set(held)
        self._probe = probe or made_up_probes
        self.sent: list[Sent] = []
        self.log: list[str] = []
        self.most_in_flight = 0
        self._in_flight: dict[str, Job] = {}

    def names_sent(self, kind: str = "") -> list[str]:
        """Names of the jobs that were handed over, of one kind."""
        return [one.name for one in self.sent if one.name.startswith(kind)]

    def times(self, name: str) -> list[float]:
        """When a job was handed over."""
        return [one.at for one in self.sent if one.name == name]

    @property
    def in_flight(self) -> list[str]:
        """Names of the jobs that did not come back yet."""
        return list(self._in_flight)

    def room(self, job: Job) -> bool:
        alike = [one for one in self._in_flight.values() if one.resources == job.resources]
        return len(alike) < self._places

    def submit(self, job: Job, *, alone: bool = False) -> None:
        name = self.name_of(job)
        assert self.room(job), f"{name} was sent although there is no room"
        assert name not in self._in_flight, f"{name} was sent while it is in flight"
        self._in_flight[name] = job
        self.most_in_flight = max(self.most_in_flight, len(self._in_flight))
        self.sent.append(Sent(name, self._clock.now, alone))
        self.log.append(f"send {name}")

    def help_stragglers(self) -> None:
        self.log.append("help_stragglers")

    def usage(self) -> Usage:
        return Usage(nodes=1, jobs=len(self._in_flight), places=1)

    def release(self, job: Job, *, last: bool) -> None:
        self.log.append(f"release {job.affinity} last" if last else f"release {job.affinity}")

    def wait(self, seconds: float) -> list[Outcome]:
        outcomes = []
        while len(outcomes) < self._batch and (
            names := [name for name in self._in_flight if name not in self.held]
        ):
            name = self._pick(names)
            outcomes.append(self._outcome(name, self._in_flight.pop(name)))
            self.log.append(f"back {name}")
        if outcomes:
            self._clock.sleep(JOB_SECONDS)
        elif self._in_flight:
            self._clock.sleep(seconds)
        return outcomes

    def name_of(self, job: Job) -> str:
        """The name that tests know a job by."""
        if isinstance(job, ExtractJob):
            splits = {one.activation_id: one.split for one in self._models[job.model].all_sets}
            return f"extract {job.model}/{splits[job.shard.folder.name]}/{job.shard.index}"
        if isinstance(job, ProbeJob):
            return f"probe {job.model}/{job.layer}"
        if isinstance(job, SketchJob):
            return f"sketch {job.model}/{job.layer}"
        assert isinstance(job, TileJob)
        return f"tile {' × '.join(job.models)}"

    def _outcome(self, name: str, job: Job) -> Outcome:
        act = next(self._script.get(name, iter(())), None)
        scripted = act(job) if act else None
        if scripted is not None:
            return scripted
        try:
            return Outcome(job, result=self._run(job))
        except Exception as error:  # noqa: BLE001 - as executors do
            return Outcome(job, error=error)

    def _run(self, job: Job) -> Any:
        if isinstance(job, ExtractJob):
            return write_made_up_shard(self._models[job.model], job.shard)
        return self._probe(job) if isinstance(job, ProbeJob) else job.run(Worker())


def write_made_up_shard(model: PlannedModel, shard: Shard) -> ShardReport:
    """Store activations that depend on model, layer and utterance alone."""
    activations = {
        layer.name: np.stack(
            [_row(f"{model.digest}/{layer.name}/{name}", layer.width) for name in
             shard.utterance_ids]
        )
        for layer in model.layers
    }  # fmt: skip
    write_shard(shard.folder, shard.index, activations, shard.utterance_ids, (), {})
    n = len(shard.utterance_ids)
    return ShardReport(
        index=shard.index, n_utterances=n, skipped=(), seconds=1.0, frames_computed=n,
        frames_useful=n, bytes_written=0, forward_seconds=0.5,
    )  # fmt: skip


def made_up_probes(job: ProbeJob) -> list[CellResult]:
    """Scores that depend on the cell and on every activation of its layer, and their predictions.

    Raises:
        CorruptShard: a shard is damaged or missing.
    """
    read = [read_layer(folder, n_shards, job.layer) for folder, n_shards in job.activations]
    names = [name for found, _ in read for name in found]
    values = np.concatenate([values for _, values in read]).mean(axis=1)
    predictions = {cell.cell_id: _predictions(cell, names, values) for cell in job.cells}
    write_predictions(job.predictions, predictions)
    return [
        CellResult(
            cell_id=cell_id, status="done", error=None, n_train=len(names), n_test=len(names),
            scores={"r2": float(one.y_pred.mean())}, details={"alpha": 1.0}, seconds=0.25,
        )
        for cell_id, one in predictions.items()
    ]  # fmt: skip


def _predictions(cell: Cell, names: Sequence[str], values: np.ndarray) -> CellPredictions:
    return CellPredictions(
        fold=cell.fold,
        train_mean=0.0,
        utterance_id=np.array(names),
        y_true=np.zeros(len(names), dtype=np.float32),
        y_pred=values + _row(cell.cell_id, 1),
    )


def _row(of: str, width: int) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(of.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).normal(size=width).astype(np.float32)
