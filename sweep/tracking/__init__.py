"""Experiment trackers that a finished run is sent to: MLflow, TensorBoard, Weights & Biases.

A tracker is a file with its settings and a function that sends a `TrackedRun`, a plain value;
`sweep.export.tracking` makes that of a run. To add one, write its file here and add a row to
``TRACKERS``; an optional package is a row in `jobs.optional_packages` as well. May import ``jobs``
and ``sweep.errors``; trackers' own packages are imported when something is sent.
"""

from typing import Annotated

from pydantic import BeforeValidator

from jobs.settings import ByKind
from sweep.tracking.base import Tracker, TrackSettings
from sweep.tracking.mlflow import MLFLOW_TRACKER
from sweep.tracking.tensorboard import TENSORBOARD_TRACKER
from sweep.tracking.wandb import WANDB_TRACKER

TRACKERS: dict[str, Tracker] = {
    "mlflow": MLFLOW_TRACKER,
    "tensorboard": TENSORBOARD_TRACKER,
    "wandb": WANDB_TRACKER,
}
"""Kind → tracker."""


def _from_name(track: object) -> object:
    """Turn ``mlflow`` into ``{kind: mlflow}``."""
    return {"kind": track} if isinstance(track, str) else track


_OfKind = Annotated[TrackSettings, ByKind(TRACKERS)]
AnyTrackSettings = Annotated[
    _OfKind | None, BeforeValidator(_from_name, json_schema_input_type=str | _OfKind | None)
]
"""Settings of a tracker, or its name alone."""
