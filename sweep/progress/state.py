"""State of a run: a pure fold over its events, the same live, replayed or elsewhere."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from sweep.progress.causes import Causes
from sweep.progress.models import EVENT_SCORES, ModelProgress
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
class Resources:
    """What a run has and uses; what is not known is None."""

    nodes: int
    jobs: int
    """Jobs that run, or wait for a place."""
    places: int
    """Jobs that can run at a time."""
    cpus: tuple[float, float] | None = None
    """CPUs that are busy, of how many, on all machines that are known."""
    memory: tuple[float, float] | None = None
    """Bytes in use, of how many."""
    gpus: tuple[float, float] | None = None
    """GPUs that jobs hold, of how many."""
    gpu_busy: float | None = None
    """Share of time for which the GPUs of this machine were busy."""


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
        self.targets: dict[str, str] = {}
        """Target → name of its score, in the order of the plan."""
        self.resources: Resources | None = None
        self.activity = ""
        """What began last, until something else happens."""
        self.activity_since: datetime | None = None
        self.warnings: deque[str] = deque(maxlen=KEPT_MESSAGES)
        self.causes = Causes()
        """Failures by cause."""
        self.n_warnings = 0
        self.n_events = 0
        self.forward_seconds = 0.0
        """Seconds of all processes in forward passes, over all runs into the folder."""
        self.probe_seconds = 0.0
        """Seconds of all processes in fits of probes, over all runs into the folder."""

        self.analysis_seconds: dict[str, float] = {}
        """Seconds of all processes in jobs of optional analyses in this run, by analysis."""

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
        if (activity := activity_of(event)) is not None:
            self.activity, self.activity_since = activity, self.now
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
            case "scored_earlier":
                for layer in event["layers"]:
                    self._model(event["model"]).scored(layer)
            case "began":
                self._model(event["model"]).began = event["stage"]
            case "resources":
                self.resources = resources_of(event)
            case "compared":
                self._compared(event.get("analysis", "similarity"), event["seconds"])
            case "warning":
                self._warn(event["message"])
            case "retry":
                self._warn(f"{event['where']}: attempt {event['attempt']}: {event['error']}")
            case "failure":
                self._failure(event)
            case "run_finished":
                self.status = event["status"]
                for model in self.models.values():
                    model.run_ended = True

    def _stage_started(self, name: str, now: datetime) -> None:
        if name == STAGES[0]:  # a new run into the same folder: reset the counts
            self.status, self.started = "running", now
            self.stages = {stage: Stage(stage) for stage in STAGES}
            self.warnings.clear()
            self.causes.clear()
            self.analysis_seconds.clear()
            self.n_warnings = 0
        self._stage(name).started = now

    def _stage_finished(self, name: str) -> None:
        stage = self._stage(name)
        stage.ended = self.now
        if name in (STAGES[0], STAGES[-1]):  # the last count was of a part of it
            stage.total = stage.finished = 0

    def _planned(self, event: Event, now: datetime) -> None:
        done = event["done"]
        known = self.models if done.get("probe", 0) else {}  # what is done has its best layers
        self.models = {name: known.get(name, ModelProgress(name)) for name in event["models"]}
        self.run, self.status, self.started = event["run"], "running", self.started or now
        self.targets = dict(event.get("targets", {}))
        for name, model in self.models.items():
            model.plan(event.get("work", {}).get(name))
        for name, total in event["totals"].items():
            stage = self._stage(name)
            stage.total, stage.already = total, done.get(name, 0)

    def _shard_done(self, event: Event) -> None:
        self._came_back("extract", 1, event["seconds"])
        self.forward_seconds += event.get("forward_seconds", 0)  # not recorded by older runs
        if self._model(event["model"]).extraction_failed:  # it was on its way
            self._stage("extract").total += 1
        self._model(event["model"]).extracted(event)

    def _cells_done(self, event: Event) -> None:
        self._came_back("probe", event["cells"], event["seconds"])
        self.probe_seconds += event["seconds"]
        self._stage("probe").failed += event["failed"]
        self._model(event["model"]).probed(event)
        if "scores" not in event:  # of an earlier version
            found = {label: "" for name, (_, label) in EVENT_SCORES.items() if event.get(name)}
            self.targets |= found

    def _compared(self, analysis: str, seconds: float) -> None:
        self._came_back(analysis, 1, seconds)
        self.analysis_seconds[analysis] = self.analysis_seconds.get(analysis, 0.0) + seconds

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
            if event["stage"] == "extract":
                self._extraction_failed(self._model(name))

    def _extraction_failed(self, model: ModelProgress) -> None:
        """Expect no more shards of a model."""
        if not model.extraction_failed:
            model.extraction_failed = True
            stage = self._stage("extract")
            stage.total -= min(model.extraction.left, stage.total)
            stage.ended = self.now if stage.started and stage.done >= stage.total else None

    def _warn(self, message: str) -> None:
        self.warnings.append(message)
        self.n_warnings += 1

    def _stage(self, name: str) -> Stage:
        return self.stages.setdefault(name, Stage(name))

    def _model(self, name: str) -> ModelProgress:
        model = self.models.setdefault(name, ModelProgress(name))
        model.last_change = self.n_events
        return model


def activity_of(event: Event) -> str | None:
    """Describe what an event says the run is doing now; None if it says nothing of that."""
    match event["kind"]:
        case "activity":
            return str(event["message"])
        case "stage_started" if event["stage"] == "prepare":
            return "reading the spec, its corpus and its models"
        case "stage_started" if event["stage"] == "report":
            return "writing tables, figures and the report"
        case "stage_progress" if "what" in event:
            return str(event["what"])
        case "began" if event["stage"] == "extract":
            return f"loading weights of {event['model']}"
        case "began":
            return f"probing {event['model']}"
        case "retry":
            return f"retry: {event['where']}: attempt {event['attempt']}: {event['error']}"
        case "warning":
            return f"warning: {event['message']}"
        case "shard_done":
            return f"extracted shard {event['shard']} of {event['model']}"
        case "cells_done":
            return f"probed {event['layer']} of {event['model']}"
        case "run_finished":
            return ""
    return None


def resources_of(event: Event) -> Resources:
    """Read a ``resources`` event."""

    def pair(name: str) -> tuple[float, float] | None:
        value = event.get(name)
        return None if value is None else (value[0], value[1])

    return Resources(
        event["nodes"], event["jobs"], event["places"],
        pair("cpus"), pair("memory"), pair("gpus"), event.get("gpu_busy"),
    )  # fmt: skip
