"""A finished run, sent to the experiment tracker of its spec."""

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from jobs.identity import content_id
from jobs.secrets import without_secrets
from jobs.statistics.scores import MAIN_SCORE
from sweep.errors import reason
from sweep.own_packages import DISTRIBUTION
from sweep.report.text.claims import claims_of
from sweep.results.run import Run
from sweep.spec.flat import flat_values
from sweep.tracking import TRACKERS
from sweep.tracking.base import LayerCurve, TrackedRun, TrackingError, TrackSettings

_OUTSIDE = ("track", "compute")
"""Keys of a spec that say nothing about its results."""


def send(run: Run, settings: TrackSettings) -> str:
    """Send a run whose report is written to a tracker; return where it can be seen.

    Raises:
        TrackingError: it could not be sent, for whatever reason.
    """
    tracker = TRACKERS[settings.kind]
    try:
        for package in tracker.packages(settings):
            package.require()
        return without_secrets(tracker.send(settings, tracked_run(run)))
    except Exception as error:
        why = str(error) if isinstance(error, TrackingError) else reason(error)
        raise TrackingError(
            f"not sent to {settings.kind}: {why}; the run itself is complete, and "
            f"`sweep report {run.folder.remote or run.folder.root}` sends it again"
        ) from error


def tracked_run(run: Run) -> TrackedRun:
    """Describe a run for trackers."""
    values = run.spec.model_dump(mode="json", exclude=set(_OUTSIDE))
    sessions = run.provenance.get("runs", [])
    started = sessions[0].get("started") if sessions else None
    run_id = content_id([run.plan.name, started, values])
    done = sum(record.status == "done" for record in run.records.values())
    return TrackedRun(
        name=run.plan.name,
        run_id=run_id,
        folder=run.folder.root,
        complete=done == run.plan.n_cells,
        parameters=dict(flat_values(values)),
        tags={
            "run_id": run_id,
            "sweep_version": metadata.version(DISTRIBUTION),
            **_revision(sessions),
        },
        summary="\n".join(f"- {sentence}" for sentence in claims_of(run).headlines),
        curves=list(_curves(run.layers)),
        files=sorted(_files(run)),
    )


def _revision(sessions: list[dict[str, Any]]) -> dict[str, str]:
    git = sessions[-1].get("git") if sessions else None
    return {"revision": git["revision"]} if git else {}


def _curves(layers: pd.DataFrame) -> Iterator[LayerCurve]:
    """Yield the main score over layers of each model, target and probe."""
    key = ["model", "target", "probe"]
    for (model, target, probe), rows in layers.groupby(key, observed=True, sort=False):
        score = MAIN_SCORE[rows["target_kind"].iloc[0]]
        known = rows[rows[score].notna()]
        indices, values = known["layer_index"].tolist(), known[score].tolist()
        if values:
            points = list(zip(indices, values, strict=True))
            yield LayerCurve(str(model), str(target), str(probe), score, points)


def _files(run: Run) -> Iterator[Path]:
    """Yield the files that are sent: what a report writes, the spec and the provenance."""
    folder = run.folder
    for top in (folder.tables, folder.plots, folder.findings.parent):
        yield from (path for path in top.glob("*") if path.is_file())
    for path in (folder.report, folder.spec, folder.provenance):
        if path.is_file():
            yield path
