"""Constructed runs for live views: their events, up to any moment."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sweep.progress.state import Progress
from sweep.state.events import Event

START = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
LAYERS = {
    "SimAM-ResNet34": 51, "SimAM-ResNet34 untrained": 51, "voice encoder": 5,
    "voice encoder untrained": 5, "baseline:duration": 1, "baseline:fbank": 1,
}  # fmt: skip
TARGETS = {"f0_mean": "r2", "cps": "r2", "speaker": "accuracy", "sex": "accuracy"}
SHARDS = 15
ERROR = (
    "RuntimeError: mat1 and mat2 shapes cannot be multiplied (240x80 and 64x512) "
    "(my_model.py:5, in forward)"
)


def at(offset: float, kind: str, /, **fields: object) -> Event:
    """An event ``offset`` seconds after the start."""
    return {"time": (START + timedelta(seconds=offset)).isoformat(), "kind": kind, **fields}


def begin(models: dict[str, int]) -> Iterator[Event]:
    """A run up to the start of Ray, 30 seconds after its own."""
    yield at(0, "stage_started", stage="prepare")
    yield at(20, "stage_progress", stage="prepare", what="speaking for voices", done=30, total=60)
    yield at(24, "stage_finished", stage="prepare", seconds=24.0)
    work = {
        name: {"shards": SHARDS, "shards_done": 0, "layers": list(range(n)), "layers_done": 0}
        for name, n in models.items()
    }
    totals = {"extract": SHARDS * len(models), "probe": 40 * sum(models.values())}
    yield at(
        24, "planned", run="demo", models=list(models), totals=totals, done={}, targets=TARGETS,
        work=work,
    )  # fmt: skip
    yield at(25, "activity", message="starting Ray on this machine")


def resources(offset: float, nodes: int) -> Event:
    """What ``nodes`` of 8 CPUs and a GPU do."""
    return at(
        offset, "resources", nodes=nodes, jobs=2 * nodes, places=4 * nodes,
        cpus=[7.25 * nodes, 8 * nodes], memory=[11 * nodes * 2**30, 31 * nodes * 2**30],
        gpus=[nodes, nodes], gpu_busy=0.87,
    )  # fmt: skip


def layer(offset: float, model: str, index: int, n_layers: int, trained: bool) -> Event:
    """A probed layer whose scores rise and fall with its depth."""
    depth = (index + 1) / n_layers
    top = 0.95 if trained else 0.6
    scores = {
        name: round(top * math.sin(math.pi * min(depth + 0.2 * n, 1.0)) + 0.02 * n, 4)
        for n, name in enumerate(TARGETS)
    }
    return at(
        offset, "cells_done", model=model, layer=f"layer{index // 8}.{index % 8}.relu2",
        layer_index=index, cells=40, failed=0, seconds=1.5, scores=scores,
        best={"probe": "ridge", "target": "f0_mean", "r2": scores["f0_mean"]}, best_accuracy=None,
    )  # fmt: skip


def running(models: dict[str, int] = LAYERS, nodes: int = 1) -> Iterator[Event]:
    """A run from its start to its end, a shard each half second and a layer each second."""
    yield from begin(models)
    offset = 30.0
    for position, (name, n_layers) in enumerate(models.items()):
        yield resources(offset, nodes)
        yield at(offset, "began", stage="extract", model=name)
        for shard in range(SHARDS):
            offset += 0.5
            yield at(
                offset, "shard_done", model=name, shard=shard, utterances=64, skipped=0, copied=0,
                seconds=0.9, forward_seconds=0.7,
            )  # fmt: skip
        yield at(offset, "began", stage="probe", model=name)
        for index in range(n_layers):
            offset += 1.0
            yield layer(offset, name, index, n_layers, position % 2 == 0)
    yield at(offset, "stage_started", stage="report")
    yield at(offset + 20, "stage_finished", stage="report", seconds=20.0)
    cells = 40 * sum(models.values())
    yield at(offset + 20, "run_finished", status="done", done=cells, failed=0, seconds=offset + 20)


def failing() -> Iterator[Event]:
    """A run in which one of three models fails, and a worker dies once."""
    models = {"SimAM-ResNet34": 51, "bad": 51, "voice encoder": 5}
    yield from begin(models)
    yield resources(30, 2)
    yield at(31, "began", stage="extract", model="bad")
    yield at(33, "failure", stage="extract", model="bad", where="shard 0", error=ERROR)
    for index in range(51):
        yield at(
            33, "failure", stage="probe", model="bad", where=f"layers.{index}", cells=40,
            error=f"extraction failed: {ERROR}",
        )  # fmt: skip
        yield at(
            33, "cells_done", model="bad", layer=f"layers.{index}", layer_index=index, cells=40,
            failed=40, seconds=0.0, best=None, best_accuracy=None, scores={},
        )  # fmt: skip
    rest = [event for event in running({"SimAM-ResNet34": 51}) if event.get("model")]
    yield from rest[:45]
    yield at(62, "began", stage="extract", model="voice encoder")
    died = "ActorDiedError: the worker died unexpectedly"
    yield at(65, "retry", where="voice encoder / shard 3", attempt=2, error=died)


def state(events: Iterator[Event], seconds: float = math.inf) -> Progress:
    """The state after the events of the first ``seconds``."""
    progress = Progress()
    last = START + timedelta(seconds=seconds) if seconds < math.inf else None
    for event in events:
        if last is None or datetime.fromisoformat(event["time"]) <= last:
            progress.update(event)
    return progress
