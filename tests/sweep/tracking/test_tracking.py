"""`track`: what trackers have of a run afterwards, read with their own libraries."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from mlflow import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sweep import open_run
from sweep.errors import SpecError
from sweep.export.tracking import send, tracked_run
from sweep.plan.plan import layer_tasks
from sweep.spec.loading import load_spec
from sweep.tracking import TRACKERS
from sweep.tracking.mlflow import RUN_TAG
from sweep.tracking.tensorboard import TensorboardSettings
from sweep.tracking.wandb import WandbSettings
from tests.support import golden
from tests.support.tiny_run import TinyRun, tiny_run

# Trackers' own code uses what is deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
PASSWORD = "opensesame"
FIGURE = "residuals_energy_ridge"
"""The only figure of the run."""
DOWN = f"{{kind: mlflow, uri: 'http://me:{PASSWORD}@127.0.0.1:9'}}"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyRun]:
    """A run that was sent to MLflow, in a database beside it."""
    with tiny_run(tmp_path_factory.mktemp("tracking") / "home") as tiny:
        done = tiny.run("--set", "track={kind: mlflow, uri: 'sqlite:///ml.db', project: probes}")
        assert done.exit_code == 0, done.output
        assert "not sent" not in tiny.folder.events.read_text()
        yield tiny


def curves_of(tiny: TinyRun) -> dict[tuple[str, str, str], list[tuple[int, float]]]:
    """(model, target, probe) → R² over layers, from the run's own table."""
    layers = open_run(tiny.folder.root).layers
    return {
        tuple(map(str, place)): list(zip(rows["layer_index"], rows["r2"], strict=True))
        for place, rows in layers.groupby(["model", "target", "probe"], observed=True)
    }  # type: ignore[misc]


def test_mlflow_has_curves_parameters_tags_and_files_and_a_second_report_repeats_none(
    tiny: TinyRun,
) -> None:
    for again in (False, True):
        if again:
            done = tiny.sweep("report", "run")
            assert done.exit_code == 0, done.output
            assert "sent to mlflow: sqlite:///ml.db" in done.stderr
        client = MlflowClient(tracking_uri="sqlite:///ml.db")
        experiment = client.get_experiment_by_name("probes")
        [run] = client.search_runs([experiment.experiment_id])
        assert (run.info.status, run.info.run_name) == ("FINISHED", "tiny")
        assert run.data.params["models.b.factory"] == "tiny_run_network:build"
        assert run.data.params["targets"] == "[energy]"
        assert run.data.tags[RUN_TAG] == tracked_run(open_run(tiny.folder.root)).run_id
        assert run.data.tags["sweep_version"]
        for (model, target, probe), points in curves_of(tiny).items():
            key = f"r2/{target}/{model}/{probe}"
            history = client.get_metric_history(run.info.run_id, key)
            assert sorted((point.step, point.value) for point in history) == points
        files = {file.path for file in client.list_artifacts(run.info.run_id, "tables")}
        assert {"tables/layers.csv", "tables/models.md"} <= files
        top = {file.path for file in client.list_artifacts(run.info.run_id)}
        assert {"report.html", "spec.yaml", "report"} <= top


def test_tensorboard_has_a_line_for_each_model_and_replaces_its_files(
    tiny: TinyRun, tmp_path: Path
) -> None:
    run = open_run(tiny.folder.root)
    for _ in range(2):
        send(run, TensorboardSettings(uri=str(tmp_path), name="x"))
    assert len(list((tmp_path / "x").glob("events.*"))) == 1
    for (model, target, probe), points in curves_of(tiny).items():
        [folder] = (tmp_path / "x").glob(f"{model.replace(':', '-')}-{probe}")
        events = EventAccumulator(str(folder)).Reload()
        found = [(event.step, event.value) for event in events.Scalars(f"r2/{target}")]
        assert found == [(step, pytest.approx(value, rel=1e-6)) for step, value in points]
    about = EventAccumulator(str(tmp_path / "x")).Reload()
    assert about.Tags()["images"] == [FIGURE]
    assert {"summary/text_summary", "spec/text_summary"} <= set(about.Tags()["tensors"])


def fake_wandb(*, has_key: bool) -> tuple[Any, mock.Mock]:
    """A stand-in for the package, and the run that it opens."""
    tracked = mock.Mock(url=None)
    package = SimpleNamespace(
        login=mock.Mock(return_value=has_key),
        init=mock.Mock(return_value=tracked),
        Settings=mock.Mock(),
        Image=mock.Mock(),
        Artifact=mock.Mock(),
    )
    return package, tracked


def test_wandb_gets_each_layer_as_a_step_and_the_files_as_an_artefact(
    tiny: TinyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, tracked = fake_wandb(has_key=True)
    monkeypatch.setitem(sys.modules, "wandb", package)
    run = open_run(tiny.folder.root)
    send(run, WandbSettings(project="probes"))
    asked = package.init.call_args.kwargs
    assert (asked["project"], asked["name"]) == ("probes", "tiny")
    assert asked["id"] == tracked_run(run).run_id
    logged = [call.args[0] for call in tracked.log.call_args_list if "layer" in call.args[0]]
    for (model, target, probe), points in curves_of(tiny).items():
        key = f"r2/{target}/{model}/{probe}"
        assert [(one["layer"], one[key]) for one in logged if key in one] == points
    names = {call.kwargs["name"] for call in package.Artifact().add_file.call_args_list}
    assert {"tables/layers.csv", "report.html", f"plots/{FIGURE}.png"} <= names
    tracked.finish.assert_called_once_with(exit_code=0)


def test_wandb_without_a_key_is_not_asked_for_one(
    tiny: TinyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, _ = fake_wandb(has_key=False)
    monkeypatch.setitem(sys.modules, "wandb", package)
    with pytest.raises(RuntimeError, match="wandb login"):
        send(open_run(tiny.folder.root), WandbSettings())
    package.init.assert_not_called()


def test_a_server_that_is_down_fails_no_run_and_its_password_is_in_no_file(
    tiny: TinyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    before = tiny.folder.events.read_text()
    done = tiny.run("--set", f"track={DOWN}")
    assert done.exit_code == 0, done.output
    new = tiny.folder.events.read_text().removeprefix(before)
    assert new.count("not sent to mlflow") == 1
    assert "sweep report " in new
    files = [path for path in tiny.home.rglob("*") if path.is_file()]
    assert not [path for path in files if PASSWORD.encode() in path.read_bytes()]
    again = tiny.sweep("report", "run")
    assert again.exit_code == 1
    assert "MLFLOW_TRACKING_URI" in again.stderr


@pytest.mark.parametrize(
    ("kind", "package"),
    [("mlflow", "mlflow-skinny"), ("tensorboard", "tensorboard"), ("wandb", "wandb")],
)
def test_a_missing_package_is_named_before_any_work(
    tiny: TinyRun, monkeypatch: pytest.MonkeyPatch, kind: str, package: str
) -> None:
    missing = TRACKERS[kind].packages(load_spec(Path("spec.yaml"), [f"track={kind}"]).track)[0]
    monkeypatch.setitem(sys.modules, missing.module, None)
    monkeypatch.setattr("jobs.optional_packages.find_spec", lambda name: None)
    done = tiny.run("--set", f"track={kind}", "--out", "nowhere")
    assert done.exit_code == 2
    assert f"the package {package} is not installed: pip install {package}" in done.stderr
    assert not Path("nowhere").exists()


def test_an_unknown_tracker_is_refused_with_the_nearest(tiny: TinyRun) -> None:
    with pytest.raises(SpecError, match=r"unknown kind 'mlfow'.*mlflow"):
        load_spec(Path("spec.yaml"), ["track=mlfow"])


def test_ids_do_not_depend_on_the_tracker() -> None:
    plain, tracked = (golden.plan(**changes) for changes in ({}, {"track": "mlflow"}))
    assert list(layer_tasks(plain)) == list(layer_tasks(tracked))


def test_passwords_in_parameters_are_masked(tiny: TinyRun) -> None:
    run = open_run(tiny.folder.root)
    model = run.spec.models[0].model_copy(update={"args": {"api_token": PASSWORD, "width": 3}})
    run.spec = run.spec.model_copy(update={"models": (model,)})
    parameters = tracked_run(run).parameters
    assert parameters["models.b.args.width"] == "3"
    assert PASSWORD not in str(parameters)
