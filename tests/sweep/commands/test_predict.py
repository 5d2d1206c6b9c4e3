"""Saved probes, and ``sweep predict`` on audio of a run and on new audio."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import sweep
from jobs.probing.saved_probes import SavedProbeError, load_probe
from sweep.commands.app import app
from sweep.commands.predict_audio import COLUMNS, predict_audio
from sweep.errors import RunError, UsageError
from sweep.results.run import Run
from sweep.running.options import RunOptions
from sweep.running.run import run_sweep
from sweep.state.events import EventLog
from tests.conftest import Values
from tests.support.no_figures import draw_nothing

MODEL, LAYER = "a", "pooling"
Sweep = Callable[[Values], Run]


@pytest.fixture
def finished(
    spec_values: Values,
    write_spec: Callable[[Values], Path],
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Sweep:
    """Runs the tiny spec, with changes, for one layer of one model."""
    draw_nothing(monkeypatch)

    def run(changes: Values) -> Run:
        values = {
            **spec_values,
            "models": spec_values["models"][:1],
            "layers": [LAYER],
            "baselines": ["mean"],
            "save_probes": True,
            **changes,
        }
        options = RunOptions(where="inline", out=tmp_path / "out", cache=cache)
        with EventLog([]) as events:
            assert run_sweep(write_spec(values), options, events).status == "done"
        return Run.open(tmp_path / "out")

    return run


def test_saved_probes_predict_what_the_run_predicted(finished: Sweep) -> None:
    run = finished({"probes": [{"kind": "ridge"}, {"kind": "mlp", "hidden": [8], "epochs": 3}]})
    ids, X = run.activations(MODEL, LAYER)
    cards = sorted(run.folder.probes.glob("*.json"))
    real = [one for one in run.records.values() if one.control == "none"]
    assert len(cards) == len(real) == 4  # one ridge, three seeds of the MLP; no control is kept
    for path in cards:
        saved = sweep.load_probe(path)
        told = run.predictions(MODEL, LAYER, probe=saved.card.probe_name)
        told = told[told["seed"] == saved.card.seed].set_index("utterance_id")
        rows = [ids.index(name) for name in told.index]
        np.testing.assert_allclose(saved.predict(X[rows]), told["y_pred"], rtol=1e-4)


def test_audio_of_the_run_gets_the_run_s_own_predictions(finished: Sweep) -> None:
    run = finished({"probes": [{"kind": "ridge"}]})
    told = run.predictions(MODEL, LAYER).head(3)
    paths = run.utterances.set_index("utterance_id")["audio_path"]
    audio = [Path(paths[name]) for name in told["utterance_id"]]
    predicted = predict_audio(run, MODEL, LAYER, audio)
    assert tuple(predicted.rows.columns) == COLUMNS
    np.testing.assert_allclose(predicted.rows["predicted"], told["y_pred"], rtol=1e-4)
    assert set(predicted.rows["unit"]) == {"characters/s"}
    assert predicted.rows["of_score"].iloc[0] == pytest.approx(run.metrics["r2"].iloc[0])


def test_fits_of_several_seeds_are_averaged_and_their_spread_is_told(finished: Sweep) -> None:
    run = finished({"probes": [{"kind": "mlp", "hidden": [8], "epochs": 3, "seeds": 2}]})
    audio = Path(run.utterances["audio_path"].iloc[0])
    of_seeds = [
        float(load_probe(path).predict(_activation(run, run.utterances["utterance_id"].iloc[0]))[0])
        for path in run.folder.probes.glob("*.json")
    ]
    (row,) = predict_audio(run, MODEL, LAYER, [audio]).rows.to_dict("records")
    assert row["fits"] == 2
    assert row["predicted"] == pytest.approx(np.mean(of_seeds), rel=1e-4)
    assert row["agreement"] == pytest.approx(np.std(of_seeds), rel=1e-3)


def test_classes_are_predicted_by_their_names(finished: Sweep) -> None:
    protocol = {"kind": "kfold", "folds": 3, "group": "utterance_id", "allow_speaker_overlap": True}
    run = finished({"probes": [{"kind": "logistic"}], "targets": ["speaker"], "protocol": protocol})
    row = run.utterances.iloc[0]
    (told,) = predict_audio(run, MODEL, LAYER, [Path(row["audio_path"])]).rows.to_dict("records")
    assert told["predicted"] in set(run.utterances["speaker_id"])
    assert told["score"] == "accuracy"
    assert 0 < told["agreement"] <= 1


def test_asking_for_probes_later_fits_them_anew_and_extracts_nothing(finished: Sweep) -> None:
    run = finished({"save_probes": False, "probes": [{"kind": "ridge"}]})
    assert not run.folder.probes.exists()
    audio = [Path(run.utterances["audio_path"].iloc[0])]
    with pytest.raises(RunError, match="save_probes: true"):
        predict_audio(run, MODEL, LAYER, audio)
    before = run.metrics.drop(columns="seconds")
    run = finished({"probes": [{"kind": "ridge"}]})
    events = [json.loads(line) for line in run.folder.events.read_text().splitlines()]
    assert sum(event["kind"] == "shard_done" for event in events[len(events) // 2 :]) == 0
    assert run.metrics.drop(columns="seconds").equals(before)
    assert len(predict_audio(run, MODEL, LAYER, audio).rows) == 1


def test_names_that_the_run_does_not_have_are_answered_with_those_it_has(finished: Sweep) -> None:
    run = finished({"probes": [{"kind": "ridge"}, {"kind": "knn"}]})
    audio = [Path(run.utterances["audio_path"].iloc[0])]
    with pytest.raises(RunError, match="no model 'z': expected one of a"):
        predict_audio(run, "z", LAYER, audio)
    with pytest.raises(RunError, match="no layer 'stem' of a: expected one of pooling"):
        predict_audio(run, MODEL, "stem", audio)
    with pytest.raises(RunError, match="those of this layer are ridge, for cps"):
        predict_audio(run, MODEL, LAYER, audio, probe="knn")
    with pytest.raises(UsageError, match=r"no such audio file: nowhere\.wav"):
        predict_audio(run, MODEL, LAYER, [Path("nowhere.wav")])


def test_activations_of_another_width_are_refused(finished: Sweep) -> None:
    run = finished({"probes": [{"kind": "ridge"}]})
    (card,) = run.folder.probes.glob("*.json")
    with pytest.raises(SavedProbeError, match=r"shape \(utterances, \d+\), found \(2, 3\)"):
        load_probe(card).predict(np.zeros((2, 3), dtype=np.float32))


def test_a_damaged_probe_is_told_and_not_used(finished: Sweep) -> None:
    run = finished({"probes": [{"kind": "ridge"}]})
    (weights,) = run.folder.probes.glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-7])
    with pytest.raises(SavedProbeError, match="run its spec again"):
        load_probe(weights)


def test_the_verb_prints_csv_and_names_what_it_could_not_read(
    finished: Sweep, tmp_path: Path
) -> None:
    run = finished({"probes": [{"kind": "ridge"}]})
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    files = [run.utterances["audio_path"].iloc[0], str(tmp_path / "broken.wav")]
    arguments = ["predict", str(run.folder.root), "--model", MODEL, "--layer", LAYER, *files]
    result = CliRunner().invoke(app, arguments)
    (row,) = csv.DictReader(result.stdout.splitlines())
    assert row["audio"] == files[0]
    assert float(row["predicted"]) > 0
    assert "skipped" in result.stderr
    assert "broken.wav" in result.stderr
    assert result.exit_code == 1


def _activation(run: Run, utterance_id: str) -> np.ndarray:
    ids, X = run.activations(MODEL, LAYER)
    return X[[ids.index(utterance_id)]]
