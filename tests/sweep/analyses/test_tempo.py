"""The tempo counterfactual in a whole run: what is extracted, predicted, kept and shown."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sweep as package
from jobs.audio.features import Fbank
from jobs.audio.read import load_audio
from jobs.audio.segments import at_tempo
from jobs.audio.settings import FeatureSettings
from jobs.models import load_model
from jobs.probing.tempo_rows import RECORDED, prediction_key
from jobs.protocol.predictions import read_predictions
from sweep import open_run
from sweep.analyses.tempo_plan import asked_cells, tempo_file
from sweep.errors import SpecError
from sweep.plan.plan import layer_tasks
from sweep.prepare.prepare import load_and_prepare
from sweep.running.options import RunOptions
from sweep.running.run import RunResult, run_sweep
from sweep.state.events import EventLog
from tests.conftest import Values
from tests.support.no_figures import draw_nothing

pytest.importorskip("python_stretch")

Sweep = Callable[..., RunResult]
TEMPO = {"factors": [0.8, 1.25], "utterances": 8}


@pytest.fixture
def values(spec_values: Values) -> Values:
    return {
        **spec_values,
        "corpus": {
            "kind": "espeak",
            "speakers": {"train": 4, "validation": 2, "test": 3},
            "utterances_per_speaker": 5,
        },
        "targets": ["cps", "duration", "energy"],
        "models": spec_values["models"][:1],
        "layers": ["stem", "embedding"],
        "probes": [{"kind": "ridge"}, {"kind": "knn"}],
        "baselines": ["mean", "duration", "fbank"],
        "tempo": TEMPO,
    }


@pytest.fixture(autouse=True)
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other figures take most of a small run's time and have tests of their own."""
    draw_nothing(monkeypatch)


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most tests look at the values alone."""
    monkeypatch.setattr("sweep.running.run.build_report", lambda run: None)


@pytest.fixture
def sweep(write_spec: Callable[[Values], Path], cache: Path, tmp_path: Path) -> Iterator[Sweep]:
    """Runs spec values into ``tmp_path/out``, by default in this process."""

    def run(values: Values, out: str = "out", **options: Any) -> RunResult:
        chosen = RunOptions(**{"where": "inline", "cache": cache, **options}, out=tmp_path / out)
        with EventLog() as events:
            return run_sweep(write_spec(values), chosen, events)

    yield run


def scores(result: RunResult) -> pd.DataFrame:
    return open_run(result.folder.root).table("tempo")


def warnings(result: RunResult) -> list[str]:
    lines = map(json.loads, result.folder.events.read_text().splitlines())
    return [event["message"] for event in lines if event["kind"] == "warning"]


def test_a_run_tells_whether_predictions_follow_and_no_longer_when_not_asked(
    sweep: Sweep, values: Values
) -> None:
    result = sweep(values)
    assert (result.status, result.failed) == ("done", 0)
    run = open_run(result.folder.root)
    found, changes = run.table("tempo"), run.table("tempo_changes")
    assert set(found["target"]) == {"cps", "duration"}  # energy is not known at another tempo
    assert set(found["probe"]) == {"ridge"}  # knn cannot be given other speech
    assert len(found) == (2 + 1 + 1) * 2
    assert set(found["n_utterances"]) == {8}
    assert set(found["missing"]) == {0}
    assert len(changes) == len(found) * 2
    known = found.set_index(["model", "target"]).loc[("baseline:duration", "duration")]
    assert known[["slope_low", "slope_high"]].isna().all(axis=None)  # of three speakers
    for column in ("slope", "correlation"):
        assert known[column].item() == pytest.approx(1, abs=1e-3), column
    assert known["shift"].item() == pytest.approx(0, abs=1e-3)
    for table, frame in (("tempo", found), ("tempo_changes", changes)):
        written = pd.read_csv(result.folder.tables / f"{table}.csv")
        pd.testing.assert_frame_equal(written, frame, check_dtype=False)
    for name in ("tempo_cps.png", "tempo_cps.svg", "tempo_duration.png"):
        assert (result.folder.plots / name).stat().st_size > 0
    page = result.folder.report.read_text()
    assert 'id="tempo"' in page
    assert "Layer of best R²" in page
    folder = sweep({**values, "tempo": None}).folder
    assert not list(folder.tables.glob("tempo*"))
    assert not list(folder.plots.glob("tempo*"))
    assert 'id="tempo"' not in folder.report.read_text()


@pytest.mark.usefixtures("no_report")
def test_predictions_are_those_of_the_fitted_probe_for_the_stretched_audio(
    sweep: Sweep, values: Values
) -> None:
    result = sweep({**values, "save_probes": True})
    run = open_run(result.folder.root)
    network = load_model(run.spec.models[0]).module
    assert run.plan.tempo is not None
    paths = run.utterances.set_index("utterance_id")["audio_path"]
    (task,) = (task for task in layer_tasks(run.plan) if task.layer.name == "embedding")
    for cell in asked_cells(run.plan, task):
        record = run.records[cell.cell_id]
        file = run.folder.predictions / tempo_file(record.predictions, run.plan, task.model)
        probe = package.load_probe(run.folder.probes / f"{cell.cell_id}.json")
        for factor in (0.8, 1.25):
            told = read_predictions(file)[prediction_key(cell.cell_id, factor)]
            assert sorted(told.utterance_id) == list(run.plan.tempo.utterances)
            for name, predicted in list(zip(told.utterance_id, told.y_pred, strict=True))[::4]:
                wave = load_audio(at_tempo(paths[name], factor))
                assert len(wave) == pytest.approx(len(load_audio(paths[name])) / factor, abs=1)
                embedding = network(Fbank(FeatureSettings())(wave)[None])[0].detach().numpy()
                expected = probe.predict(embedding[None])
                assert predicted == pytest.approx(expected[0], rel=1e-4)
        recorded = read_predictions(file)[prediction_key(cell.cell_id, RECORDED)]
        own = run.predictions("a", "embedding", probe="ridge", target=cell.target)
        own = own.set_index("utterance_id")["y_pred"][list(recorded.utterance_id)]
        np.testing.assert_array_equal(recorded.y_pred, own)


@pytest.mark.usefixtures("no_report")
def test_it_can_be_asked_for_later_and_left_again(
    sweep: Sweep, values: Values, tmp_path: Path
) -> None:
    own, without = tmp_path / "own", {**values, "tempo": None}
    first = sweep(without, cache=own)
    before = open_run(first.folder.root).metrics.drop(columns="seconds")
    assert scores(first).empty
    later = sweep(values, cache=own)
    assert later.ran_shards == 3 * 2  # of models and factors: no recording is read again
    assert later.ran_cells == (2 + 1 + 1) * 2  # ridge's real cells of cps and duration
    assert any("8 cells have no predictions of stretched speech" in w for w in warnings(later))
    assert len(scores(later)) == 8
    after = open_run(later.folder.root).metrics.drop(columns="seconds")
    pd.testing.assert_frame_equal(after, before)
    assert (sweep(values, cache=own).ran_shards, sweep(values, cache=own).ran_cells) == (0, 0)
    third = sweep({**values, "tempo": {**TEMPO, "factors": [0.8, 0.9, 1.25]}}, cache=own)
    assert (third.ran_shards, third.ran_cells) == (3, 8)
    left = sweep(without, cache=own)
    assert (left.ran_shards, left.ran_cells) == (0, 0)
    assert scores(left).empty


@pytest.mark.usefixtures("no_report")
def test_ray_and_this_process_give_the_same_values(sweep: Sweep, values: Values) -> None:
    inline, local = sweep(values, out="inline"), sweep(values, out="local", where="local")
    pd.testing.assert_frame_equal(scores(local), scores(inline), check_exact=True)


@pytest.mark.usefixtures("no_report")
def test_a_damaged_shard_of_stretched_speech_is_extracted_again(
    sweep: Sweep, values: Values, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    first = sweep(values, cache=own)
    before, plan = scores(first), open_run(first.folder.root).plan
    (model,) = (model for model in plan.models if model.name == "a")
    for planned in model.stretched:
        (path,) = planned.folder(own).glob("*.safetensors")
        data = bytearray(path.read_bytes())
        data[-2] ^= 0x40
        path.write_bytes(data)
    shutil.rmtree(tmp_path / "out" / "predictions")
    again = sweep(values, cache=own)
    assert (again.status, again.ran_shards) == ("done", 2)
    pd.testing.assert_frame_equal(scores(again), before)


@pytest.mark.usefixtures("no_report")
def test_seeds_and_folds_are_gathered(sweep: Sweep, values: Values) -> None:
    values |= {
        "protocol": {"kind": "kfold", "folds": 3},
        "probes": [{"kind": "mlp", "hidden": [4], "epochs": 2, "seeds": 2}],
        "targets": ["cps"],
        "tempo": {**TEMPO, "utterances": 12},
    }
    result = sweep(values)
    found = scores(result)
    assert set(found["cells"]) == {2 * 3}
    assert set(found["n_utterances"]) == {12}
    assert set(found["n_speakers"]) == {9}  # of all parts


def test_cells_and_activations_keep_their_ids(
    write_spec: Callable[[Values], Path], values: Values, cache: Path
) -> None:
    plans = [
        load_and_prepare(write_spec({**values, "tempo": tempo}), [], cache).plan
        for tempo in (None, TEMPO)
    ]
    cells = [[cell for task in layer_tasks(plan) for cell in task.cells] for plan in plans]
    assert cells[0] == cells[1]
    assert [m.sets for m in plans[0].models] == [m.sets for m in plans[1].models]
    stretched = [one.activation_id for model in plans[1].models for one in model.stretched]
    assert len(set(stretched)) == 3 * 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tempo": {"targets": ["cpss"]}}, r"spec.yaml:\d+:\d+: .*'cpss' .* did you mean 'cps'"),
        ({"tempo": {"targets": ["energy"]}}, "what 'energy' is at another tempo is not known"),
        ({"targets": ["energy"]}, "none of the targets is known at another tempo: add one of cps"),
        ({"probes": [{"kind": "knn"}]}, "no probe can be given speech .* kind ridge or linear"),
        ({"tempo": {"factors": [0.8, 3]}}, "less than or equal to 2"),
        ({"tempo": {"factor": [0.8]}}, "unknown key 'factor'; did you mean 'factors'"),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(
    sweep: Sweep, values: Values, tmp_path: Path, changes: Values, message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        sweep({**values, **changes})
    assert not (tmp_path / "out").exists()


def test_without_the_library_the_spec_is_refused_at_its_place(
    sweep: Sweep, values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "python_stretch", None)
    with pytest.raises(SpecError, match=r"spec.yaml:\d+:\d+: .*pip install python-stretch"):
        sweep(values)
