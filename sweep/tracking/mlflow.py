"""MLflow: a run of an experiment, on a server or in a local database."""

import os
import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from jobs.optional_packages import ALEMBIC, MLFLOW, SQLALCHEMY, OptionalPackage
from jobs.secrets import HIDDEN
from jobs.settings import Name
from sweep.tracking.base import (
    PROJECT,
    LayerCurve,
    TrackedRun,
    Tracker,
    TrackingError,
    TrackSettings,
)

LOCAL = "sqlite:///mlflow.db"
"""Where MLflow itself keeps runs without a server."""
RUN_TAG = "probing_sweep.run_id"
_VARIABLE = "MLFLOW_TRACKING_URI"
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
"""MLflow's own defaults keep trying a server that is down for minutes."""
_METRICS, _PARAMETERS, _LONGEST = 1000, 100, 6000
"""Most metrics and parameters of a request, and characters of a parameter's value."""
_ALLOWED = frozenset("_-. :/")
"""Characters of a name of a metric or parameter, beside letters and digits."""


class MlflowSettings(TrackSettings):
    """Metrics over layers, parameters, and all tables and figures as artefacts of an MLflow run."""

    EXAMPLES = (
        "{kind: mlflow, uri: 'http://localhost:5000', project: probing-sweep, name: pilot}",
    )

    kind: Literal["mlflow"] = "mlflow"
    """MLflow. Needs the extra ``mlflow``."""
    project: Name = PROJECT
    """Experiment; created if it does not exist."""
    name: Name | None = None
    """Name of the run. null: that of the spec."""


def _uri(settings: MlflowSettings) -> str:
    given = settings.uri
    if given is not None and HIDDEN in given:
        given = None
        if _VARIABLE not in os.environ:
            raise TrackingError(
                f"the run does not keep the password of {settings.uri}: set {_VARIABLE} to the "
                "whole address"
            )
    return given or os.environ.get(_VARIABLE) or LOCAL


def _packages(settings: MlflowSettings) -> Sequence[OptionalPackage]:
    uri = settings.uri or os.environ.get(_VARIABLE) or LOCAL
    return (MLFLOW, SQLALCHEMY, ALEMBIC) if uri.startswith("sqlite:") else (MLFLOW,)


def _send(settings: MlflowSettings, run: TrackedRun) -> str:
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    uri = _uri(settings)
    client = MLFLOW.load().MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(settings.project)
    experiment_id = experiment.experiment_id if experiment else None
    if experiment_id is None:
        experiment_id = client.create_experiment(settings.project)
    tracked_id = _run_of(client, experiment_id, settings, run)
    _send_parameters(client, tracked_id, run)
    _send_metrics(client, tracked_id, run.curves)
    for path in run.files:
        folder = path.parent.relative_to(run.folder).as_posix()
        client.log_artifact(tracked_id, str(path), None if folder == "." else folder)
    client.set_tag(tracked_id, "mlflow.note.content", run.summary)
    client.set_terminated(tracked_id, "FINISHED" if run.complete else "FAILED")
    return f"{uri}, experiment {settings.project}, run {tracked_id}"


def _run_of(client: Any, experiment_id: str, settings: MlflowSettings, run: TrackedRun) -> str:
    """Return the id of the run in MLflow: the one that was sent before, or a new one."""
    found = client.search_runs([experiment_id], f"tags.`{RUN_TAG}` = '{run.run_id}'")
    tags = {RUN_TAG: run.run_id, **run.tags}
    if not found:
        name = settings.name or run.name
        return str(client.create_run(experiment_id, tags=tags, run_name=name).info.run_id)
    tracked_id = str(found[0].info.run_id)
    for key, value in tags.items():
        client.set_tag(tracked_id, key, value)
    return tracked_id


def _send_parameters(client: Any, tracked_id: str, run: TrackedRun) -> None:
    """Send the parameters that MLflow does not have; there they cannot be changed."""
    param = MLFLOW.load("entities").Param
    known = client.get_run(tracked_id).data.params
    new = [
        param(_name(key), value[:_LONGEST])
        for key, value in run.parameters.items()
        if _name(key) not in known
    ]
    for start in range(0, len(new), _PARAMETERS):
        client.log_batch(tracked_id, params=new[start : start + _PARAMETERS])


def _send_metrics(client: Any, tracked_id: str, curves: Sequence[LayerCurve]) -> None:
    """Send the points that MLflow does not have with the same value."""
    metric, now = MLFLOW.load("entities").Metric, int(time.time() * 1000)
    new = [
        metric(key, value, now, step)
        for key, points in _metrics(curves)
        for step, value in set(points) - _known_points(client, tracked_id, key)
    ]
    for start in range(0, len(new), _METRICS):
        client.log_batch(tracked_id, metrics=new[start : start + _METRICS])


def _known_points(client: Any, tracked_id: str, key: str) -> set[tuple[int, float]]:
    return {(point.step, point.value) for point in client.get_metric_history(tracked_id, key)}


def _metrics(curves: Sequence[LayerCurve]) -> Iterator[tuple[str, Sequence[tuple[int, float]]]]:
    """Yield the name of each curve, ``r2/TARGET/MODEL/PROBE``, and its points."""
    for curve in curves:
        parts = (curve.score, curve.target, curve.model, curve.probe)
        yield "/".join(_name(part).replace("/", "-") for part in parts), curve.points


def _name(text: str) -> str:
    return "".join(c if (c.isascii() and c.isalnum()) or c in _ALLOWED else "-" for c in text)


MLFLOW_TRACKER = Tracker(MlflowSettings, _packages, _send)
