"""Weights & Biases: a run of a project, on its server or offline."""

import os
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal

from jobs.optional_packages import WANDB, OptionalPackage
from jobs.settings import Name
from jobs.storage.atomic import slug
from sweep.tracking.base import PROJECT, TrackedRun, Tracker, TrackingError, TrackSettings

STEP = "layer"
"""Metric that is the horizontal axis of all others."""
_PATIENCE = 60
"""Seconds to wait for the server."""


class WandbSettings(TrackSettings):
    """Metrics over layers, figures, and all tables as an artefact of a run of Weights & Biases."""

    EXAMPLES = (
        "{kind: wandb, uri: 'https://wandb.my.org', project: probes, entity: team, name: pilot}",
    )

    kind: Literal["wandb"] = "wandb"
    """Weights & Biases; ``WANDB_MODE=offline`` writes to the run's folder. ``uri`` is its server,
    by default the public one. Needs the extra ``wandb``."""
    project: Name = PROJECT
    """Project."""
    entity: Name | None = None
    """Team or user. null: the default of the account."""
    name: Name | None = None
    """Name of the run. null: that of the spec."""


def _packages(settings: WandbSettings) -> Sequence[OptionalPackage]:
    return (WANDB,)


def _send(settings: WandbSettings, run: TrackedRun) -> str:
    wandb = WANDB.load()
    online = os.environ.get("WANDB_MODE", "online") == "online"
    if online and not wandb.login(host=settings.uri, prompt=False):  # init asks at the terminal
        raise TrackingError(
            "Weights & Biases has no key: run `wandb login`, set WANDB_API_KEY, or set "
            "WANDB_MODE=offline and bring the files with `wandb sync` later"
        )
    tracked = wandb.init(
        project=settings.project,
        entity=settings.entity,
        name=settings.name or run.name,
        id=run.run_id,
        resume="allow",
        reinit="create_new",
        config={**run.parameters, **run.tags},
        notes=run.summary,
        tags=["probing-sweep"],
        dir=str(run.folder),
        settings=wandb.Settings(silent=True, console="off", init_timeout=_PATIENCE),
    )
    try:
        _log(wandb, tracked, run)
    finally:
        tracked.finish(exit_code=0 if run.complete else 1)
    return str(tracked.url or f"{run.folder / 'wandb'}; send it with: wandb sync")


def _log(wandb: Any, tracked: Any, run: TrackedRun) -> None:
    tracked.define_metric("*", step_metric=STEP)
    layers: defaultdict[int, dict[str, float]] = defaultdict(dict)
    for curve in run.curves:
        for step, value in curve.points:
            layers[step][f"{curve.score}/{curve.target}/{curve.model}/{curve.probe}"] = value
    for step in sorted(layers):
        tracked.log({STEP: step, **layers[step]})
    if run.figures:
        tracked.log({f"plots/{path.stem}": wandb.Image(str(path)) for path in run.figures})
    artefact = wandb.Artifact(f"{slug(run.name)}-{run.run_id}", type="report")
    for path in run.files:
        artefact.add_file(str(path), name=path.relative_to(run.folder).as_posix())
    tracked.log_artifact(artefact)


WANDB_TRACKER = Tracker(WandbSettings, _packages, _send)
