"""Checks of events that were read from a file: displays rely on their fields.

A field that an older version did not record, or that only some events have, is not required.
"""

from collections.abc import Mapping
from datetime import datetime

from jobs.storage.json_files import Kinds, is_kind
from jobs.storage.regular_files import DamagedFile

_NUMBER = (int, float)
_LARGEST = 1e15
"""Far above any count or duration; sums of such numbers still have exact seconds."""
_YEARS = range(1970, 9000)
_STATUS = ("done", "failed", "interrupted")

_FIELDS: Mapping[str, Mapping[str, Kinds]] = {
    "stage_started": {"stage": str},
    "stage_progress": {"stage": str, "total": int, "done": int},
    "stage_finished": {"stage": str},
    "planned": {"run": str, "models": list, "totals": dict, "done": dict},
    "shard_done": {"model": str, "shard": int, "skipped": int, "seconds": _NUMBER},
    "cells_done": {
        "model": str, "layer": str, "cells": int, "failed": int, "seconds": _NUMBER,
        "best": (dict, type(None)),
    },
    "compared": {"seconds": _NUMBER},
    "scored_earlier": {"model": str, "layers": list},
    "activity": {"message": str},
    "began": {"stage": str, "model": str},
    "resources": {"nodes": int, "jobs": int, "places": int},
    "warning": {"message": str},
    "failure": {"stage": str, "model": (str, type(None)), "where": str, "error": str},
    "retry": {"where": str, "attempt": int, "error": str},
    "run_finished": {"status": str, "done": int, "failed": int},
}  # fmt: skip
_OPTIONAL: Mapping[str, Kinds] = {
    "forward_seconds": _NUMBER, "best_accuracy": (dict, type(None)), "seconds": _NUMBER,
    "analysis": str, "cells": int, "layer_index": int, "what": str, "gpu_busy": _NUMBER,
    "targets": dict, "work": dict, "scores": dict, "cpus": list, "memory": list, "gpus": list,
}  # fmt: skip


def check_event(event: Mapping[str, object]) -> None:
    """Make sure that an event has the fields of its kind; an unknown kind needs only its time.

    Raises:
        DamagedFile: a field is missing, or its value cannot be.
    """
    for key in ("time", "kind"):
        _check(event, key, str)
    try:
        time = datetime.fromisoformat(str(event["time"]))
    except ValueError:
        time = datetime.min
    if time.tzinfo is None or time.year not in _YEARS:
        raise DamagedFile(f"time: expected one with its zone, found {event['time']!r}")
    for key, kinds in _FIELDS.get(str(event["kind"]), {}).items():
        _check(event, key, kinds)
    for key, kinds in _OPTIONAL.items():
        if key in event:
            _check(event, key, kinds)
    _check_contents(event)


def _check_contents(event: Mapping[str, object]) -> None:
    models, status = event.get("models"), event.get("status", "done")
    if isinstance(models, list) and not all(isinstance(name, str) for name in models):
        raise DamagedFile("models: expected names")
    if event["kind"] == "run_finished" and status not in _STATUS:
        raise DamagedFile(f"status: expected one of {', '.join(_STATUS)}, found {status!r}")
    for name, kind in (("totals", int), ("done", int), ("targets", str), ("scores", _NUMBER)):
        values = event.get(name)
        if isinstance(values, dict):
            for key in values:
                _check(values, key, kind)
    _check_numbers(event)
    _check_best(event)
    layers = event.get("layers")
    for layer in layers if isinstance(layers, list) else ():
        if not isinstance(layer, dict):
            raise DamagedFile("layers: expected an object for each layer")
        _check(layer, "layer", str)
        _check(layer, "layer_index", int)
        _check(layer, "scores", dict)
        for key in layer["scores"]:
            _check(layer["scores"], key, _NUMBER)
        _check(layer, "best", (dict, type(None)))
        _check_best(layer)


def _check_best(values: Mapping[str, object]) -> None:
    """Check the best scores of a layer."""
    for name, score in (("best", "r2"), ("best_accuracy", "accuracy")):
        best = values.get(name)
        if isinstance(best, dict):
            for key in ("probe", "target"):
                _check(best, key, str)
            _check(best, score, _NUMBER)


def _check_numbers(event: Mapping[str, object]) -> None:
    """Check the lists of a ``planned`` and a ``resources``."""
    for name in ("cpus", "memory", "gpus"):
        pair = event.get(name, [0, 0])
        if not isinstance(pair, list) or len(pair) != 2:
            raise DamagedFile(f"{name}: expected what is in use, and of how much")
        for part, value in zip(("in use", "in all"), pair, strict=True):
            _check({part: value}, part, _NUMBER)
    work = event.get("work")
    for model in work.values() if isinstance(work, dict) else ():
        if not isinstance(model, dict):
            raise DamagedFile("work: expected an object for each model")
        for key in ("shards", "shards_done", "layers_done"):
            _check(model, key, int)
        _check(model, "layers", list)
        for index in model["layers"]:
            _check({"layers": index}, "layers", int)


def _check(values: Mapping[str, object], key: str, kinds: Kinds) -> None:
    value = values.get(key)
    if key not in values or not is_kind(value, kinds):
        raise DamagedFile(f"{key} is missing or of another type")
    if isinstance(value, int | float) and not abs(value) < _LARGEST:
        raise DamagedFile(f"{key}: {str(value)[:20]} cannot be")
