"""State of a run: a pure fold over its events, the same live, replayed or elsewhere."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sweep.progress.causes import Causes
from sweep.state.events import Event

STAGES = ("prepare", "extract", "probe", "report")
ENDED = ("done", "failed", "interrupted")
"""Final status of a run."""
KEPT_MESSAGES = 50
"""Number of latest warnings and retries that are kept."""


@dataclass
class Stage:
    """One stage: ``extract`` counts shards, ``probe`` cells, ``prepare`` what takes long in it,
    while it lasts; the others only start and finish."""

    name: str
    total: int = 0
    already: int = 0
    """Units done by earlier runs: included in ``done``, but not in the rate."""
    finished: int = 0
    """Units that returned in this run; for ``probe``, including failed cells."""
    failed: int = 0
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def done(self) -> int:
        """Units that need no more work in this run."""
        return self.already + self.finished

    def rate(self, now: datetime) -> float | None:
        """Units a second in this run; None before the first."""
        if self.started is None or self.finished == 0:
            return None
        seconds = ((self.ended or now) - self.started).total_seconds()
        return self.finished / seconds if seconds > 0 else None

    def eta(self, now: datetime) -> float | None:
        """Seconds left at the rate so far; None while that is unknown, 0 when nothing is left."""
        left = max(self.total - self.done, 0)
        if left == 0 or self.ended is not None:
            return 0.0
        rate = self.rate(now)
        return None if rate is None else left / rate


@dataclass(frozen=True)
class Best:
    """The best layer of a model so far, over all probes and all targets of a kind."""

    layer: str
    probe: str
    target: str
    score: float
    """R², or the accuracy of a target that is a class."""


@dataclass
class ModelProgress:
    """State of one model."""

    name: str
    shards: set[int] = field(default_factory=set)
    layers: set[str] = field(default_factory=set)
    skipped: int = 0
    """Utterances that could not be read."""
    failed: int = 0
    best: Best | None = None
    """Best layer by R²."""
    best_accuracy: Best | None = None
    last_change: int = 0
    """Number of the last event that concerned it; the greatest is the most recent."""


class Progress:
    """The state after every event given to ``update``, and nothing else: no clock, no files."""

    def __init__(self) -> None:
        self.run = ""
        self.status = "waiting"
        """waiting | running | done | failed | interrupted"""
        self.started: datetime | None = None
        self.now: datetime | None = None
        """Time of the last event."""
        self.stages = {name: Stage(name) for name in STAGES}
        self.models: dict[str, ModelProgress] = {}
        self.warnings: deque[str] = deque(maxlen=KEPT_MESSAGES)
        self.causes = Causes()
        """Failures by cause."""
        self.n_warnings = 0
        self.n_events = 0
        self.forward_seconds = 0.0
        """Seconds of all processes in forward passes, over all runs into the folder."""
        self.probe_seconds = 0.0
        """Seconds of all processes in fits of probes, over all runs into the folder."""

    @property
    def failed(self) -> int:
        """Units that failed in this run, all stages."""
        return sum(stage.failed for stage in self.stages.values())

    @property
    def skipped(self) -> int:
        """Utterances that could not be read: the most of any model, all read the same corpus."""
        return max((model.skipped for model in self.models.values()), default=0)

    def moment(self, now: datetime) -> datetime:
        """Return ``now`` while the run is going, and the time of its end afterwards."""
        return self.now if self.status in ENDED and self.now else now

    def elapsed(self, now: datetime | None = None) -> float:
        """Seconds from the start of the run to ``now``, by default its last event."""
        end = now or self.now
        return (end - self.started).total_seconds() if self.started and end else 0.0

    def update(self, event: Event) -> None:
        """Take in one event; an unknown kind changes only the time."""
        self.n_events += 1
        self.now = datetime.fromisoformat(event["time"])
        match event["kind"]:
            case "stage_started":
                self._stage_started(event["stage"], self.now)
            case "planned":
                self._planned(event, self.now)
            case "stage_progress":
                stage = self._stage(event["stage"])
                stage.total, stage.finished = event["total"], event["done"]
            case "stage_finished":
                self._stage_finished(event["stage"])
            case "shard_done":
                self._shard_done(event)
            case "cells_done":
                self._cells_done(event)
            case "compared":
                self._came_back(event.get("analysis", "similarity"), 1, event["seconds"])
            case "warning":
                self._warn(event["message"])
            case "retry":
                self._warn(f"{event['where']}: attempt {event['attempt']}: {event['error']}")
            case "failure":
                self._failure(event)
            case "run_finished":
                self.status = event["status"]

    def _stage_started(self, name: str, now: datetime) -> None:
        if name == STAGES[0]:  # a new run into the same folder: reset the counts
            self.status, self.started = "running", now
            self.stages = {stage: Stage(stage) for stage in STAGES}
            self.warnings.clear()
            self.causes.clear()
            self.n_warnings = 0
        self._stage(name).started = now

    def _stage_finished(self, name: str) -> None:
        stage = self._stage(name)
        stage.ended = self.now
        if name == STAGES[0]:  # its last count was of a part of it
            stage.total = stage.finished = 0

    def _planned(self, event: Event, now: datetime) -> None:
        done = event["done"]
        known = self.models if done.get("probe", 0) else {}  # what is done has its best layers
        self.models = {name: known.get(name, ModelProgress(name)) for name in event["models"]}
        self.run, self.status, self.started = event["run"], "running", self.started or now
        for model in self.models.values():
            model.failed = 0
        for name, total in event["totals"].items():
            stage = self._stage(name)
            stage.total, stage.already = total, done.get(name, 0)

    def _shard_done(self, event: Event) -> None:
        self._came_back("extract", 1, event["seconds"])
        self.forward_seconds += event.get("forward_seconds", 0)  # not recorded by older runs
        model = self._model(event["model"])
        model.skipped += 0 if event["shard"] in model.shards else event["skipped"]
        model.shards.add(event["shard"])

    def _cells_done(self, event: Event) -> None:
        self._came_back("probe", event["cells"], event["seconds"])
        self.probe_seconds += event["seconds"]
        self._stage("probe").failed += event["failed"]
        model = self._model(event["model"])
        model.failed += event["failed"]
        model.layers.add(event["layer"])
        layer = event["layer"]
        model.best = _better(model.best, layer, event["best"], "r2")
        accuracy = event.get("best_accuracy")  # not recorded before class targets existed
        model.best_accuracy = _better(model.best_accuracy, layer, accuracy, "accuracy")

    def _came_back(self, name: str, count: int, seconds: float) -> None:
        """Count units of a stage; without its own events, it lasts from the first unit to the
        last."""
        stage = self._stage(name)
        if stage.started is None and self.now is not None:
            begin = self.now - timedelta(seconds=seconds)
            stage.started = max(begin, self.started or begin)
        stage.finished += count
        stage.ended = self.now if stage.total and stage.done >= stage.total else None

    def _failure(self, event: Event) -> None:
        name = event["model"]  # None when it concerns all of them
        self.causes.add(event["stage"], name, event["where"], event["error"])
        if event["stage"] == "probe":
            return  # its failed cells are counted as they come back
        self._stage(event["stage"]).failed += 1
        if name is not None:
            self._model(name).failed += 1

    def _warn(self, message: str) -> None:
        self.warnings.append(message)
        self.n_warnings += 1

    def _stage(self, name: str) -> Stage:
        return self.stages.setdefault(name, Stage(name))

    def _model(self, name: str) -> ModelProgress:
        model = self.models.setdefault(name, ModelProgress(name))
        model.last_change = self.n_events
        return model


def _better(
    best: Best | None, layer: str, found: Mapping[str, Any] | None, score: str
) -> Best | None:
    """Return the better of ``best`` and the score ``found`` in ``layer``."""
    if found is None or (best is not None and found[score] <= best.score):
        return best
    return Best(layer, found["probe"], found["target"], found[score])
