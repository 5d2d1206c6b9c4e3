"""A whole sweep of a small corpus, by the code that the command line calls."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jobs.audio.features import Fbank
from jobs.audio.read import load_audio
from jobs.audio.settings import FeatureSettings
from jobs.extraction.job import ExtractJob
from jobs.models import load_model
from jobs.storage.atomic import is_temporary
from sweep import open_run
from sweep.commands.drive import exit_code
from sweep.commands.run_output import print_result
from sweep.errors import SpecError
from sweep.report.methods.document import methods
from sweep.report.text.footnotes import footnotes
from sweep.running.options import RunOptions
from sweep.running.run import RunResult, run_sweep
from sweep.state.events import EventLog
from sweep.state.run_folder import RunFolder
from tests.conftest import Values
from tests.support.no_figures import draw_nothing

Sweep = Callable[..., RunResult]


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take most of a small run's time and have tests of their own."""
    draw_nothing(monkeypatch)


@pytest.fixture
def sweep(write_spec: Callable[[Values], Path], cache: Path, tmp_path: Path) -> Iterator[Sweep]:
    """Runs spec values into ``tmp_path/out``, by default in this process."""

    def run(values: Values, out: str = "out", **options: Any) -> RunResult:
        chosen = RunOptions(**{"where": "inline", "cache": cache, **options}, out=tmp_path / out)
        with EventLog() as events:
            return run_sweep(write_spec(values), chosen, events)

    yield run


def table(result: RunResult, name: str, without: str = "seconds") -> pd.DataFrame:
    frame = pd.read_csv(result.folder.tables / f"{name}.csv")
    return frame.drop(columns=without, errors="ignore")


def events(result: RunResult, kind: str) -> list[dict[str, Any]]:
    lines = result.folder.events.read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["kind"] == kind]


def test_a_sweep_leaves_everything_that_is_promised(sweep: Sweep, spec_values: Values) -> None:
    result = sweep(spec_values)
    assert (result.status, result.failed) == ("done", 0)
    assert result.done == (7 + 7 + 1 + 1) * (1 + 2 + 1) * 2
    for name in (
        "spec.yaml", "plan.json", "ledger.jsonl", "events.jsonl", "provenance.json", "driver.log",
        "utterances.csv", "skipped.csv", "report.html", "tables/metrics.csv", "tables/layers.csv",
        "tables/models.csv", "tables/models.md", "tables/models.tex", "plots/overview_cps.png",
        "plots/overview_cps.svg", "plots/cca_cps.pdf", "plots/single-column/summary.pdf",
    ):  # fmt: skip
        assert (result.folder.root / name).stat().st_size > 0, name
    metrics = table(result, "metrics")
    assert len(metrics) == result.done
    assert metrics["cell_id"].is_unique
    assert set(metrics["n_test"]) == {4 * 5}


@pytest.mark.usefixtures("no_plots")
def test_what_killed_work_left_is_gone_when_the_run_is_over(
    spec_values: Values, write_spec: Callable[[Values], Path], cache: Path, tmp_path: Path
) -> None:
    """A task that somebody else was quicker with is killed, perhaps while it writes."""
    folder = RunFolder(tmp_path / "out")
    left = folder.predictions / ".layer.0123abcd.tmp.npz"
    assert is_temporary(left.name)
    spec_values |= {"models": spec_values["models"][:1], "layers": [-1]}
    options = RunOptions(where="inline", cache=cache, out=folder.root)
    with EventLog([lambda event: event["kind"] == "cells_done" and left.touch()]) as events:
        run_sweep(write_spec(spec_values), options, events)
    assert any(folder.predictions.iterdir())
    assert not left.exists()


@pytest.mark.usefixtures("no_plots")
def test_the_second_run_does_nothing_and_leaves_the_same_tables(
    sweep: Sweep, spec_values: Values
) -> None:
    first = sweep(spec_values)
    before = {path: path.read_bytes() for path in first.folder.tables.iterdir()}
    second = sweep(spec_values)
    assert (second.ran_shards, second.ran_cells) == (0, 0)
    assert second.done == first.done
    assert {path: path.read_bytes() for path in first.folder.tables.iterdir()} == before


@pytest.mark.usefixtures("no_plots")
def test_a_new_probe_extracts_nothing_and_probes_only_what_is_new(
    sweep: Sweep, spec_values: Values
) -> None:
    sweep(spec_values)
    spec_values["probes"].append({"kind": "ridge", "name": "stiff", "alphas": [100.0]})
    more = sweep(spec_values)
    assert more.ran_shards == 0
    assert more.ran_cells == (7 + 7 + 1 + 1) * 2
    assert set(table(more, "layers")["probe"]) == {"ridge", "mlp", "cca", "stiff"}


@pytest.mark.usefixtures("no_plots")
def test_a_new_target_and_a_narrower_layer_choice_extract_nothing(
    sweep: Sweep, spec_values: Values
) -> None:
    sweep(spec_values)
    more = sweep({**spec_values, "targets": ["cps", "words_per_second"], "layers": ["stem"]})
    assert more.ran_shards == 0
    assert more.ran_cells == (1 + 1 + 1 + 1) * 4 * 2
    assert set(table(more, "layers")["layer"]) == {"stem", "duration", "statistics"}


@pytest.mark.usefixtures("no_plots")
def test_fresh_forgets_the_cells_and_keeps_the_activations(
    sweep: Sweep, spec_values: Values
) -> None:
    first = sweep(spec_values)
    again = sweep(spec_values, fresh=True)
    assert (again.ran_shards, again.ran_cells) == (0, first.done)
    pd.testing.assert_frame_equal(table(again, "metrics"), table(first, "metrics"))


@pytest.mark.usefixtures("no_plots")
def test_only_works_on_what_it_names(sweep: Sweep, spec_values: Values) -> None:
    part = sweep(spec_values, only="a/layer2.*/ridge")
    assert part.ran_cells == 4 * 2
    assert set(table(part, "metrics")["model"]) == {"a"}
    assert "120 of 128 cells are not done yet" in (part.folder.tables / "models.md").read_text()
    rest = sweep(spec_values)
    assert rest.done == part.done + rest.ran_cells == 128


@pytest.mark.usefixtures("no_plots")
def test_ray_and_this_process_give_the_same_numbers(
    sweep: Sweep, spec_values: Values, tmp_path: Path
) -> None:
    inline = sweep(spec_values, out="inline", cache=tmp_path / "one")
    local = sweep(spec_values, out="local", cache=tmp_path / "two", where="local")
    assert local.ran_shards == inline.ran_shards > 0
    for name in ("metrics", "layers", "models"):
        pd.testing.assert_frame_equal(
            table(local, name), table(inline, name), check_exact=True, obj=name
        )


@pytest.mark.usefixtures("no_plots")
def test_kfold_tests_every_utterance_once(sweep: Sweep, spec_values: Values) -> None:
    spec_values["protocol"] = {"kind": "kfold", "folds": 3}
    spec_values["controls"] = []
    result = sweep(spec_values)
    run = open_run(result.folder.root)
    assert set(run.metrics["fold"]) == {0, 1, 2}
    predicted = run.predictions("a", "stem", probe="ridge")
    assert sorted(predicted["utterance_id"]) == sorted(run.utterances["utterance_id"])
    tested = predicted.groupby("speaker_id")["fold"].nunique()
    assert set(tested) == {1}
    assert set(run.layers["n_test"]) == {14 * 5}


@pytest.mark.usefixtures("no_plots")
def test_numbers_and_classes_are_swept_side_by_side(sweep: Sweep, spec_values: Values) -> None:
    spec_values |= {"targets": ["cps", "sex"], "layers": ["stem", "embedding"]}
    spec_values["models"] = spec_values["models"][:1]
    spec_values["probes"] = [{"kind": "ridge"}, {"kind": "logistic"}]
    result = sweep(spec_values)
    assert (result.status, result.failed, result.done) == ("done", 0, (2 + 1 + 1) * 2 * 2)
    run = open_run(result.folder.root)
    assert run.plan.classes == {"sex": ("F", "M")}
    pairs = {tuple(pair) for pair in run.metrics[["target", "probe"]].to_numpy()}
    assert pairs == {("cps", "ridge"), ("sex", "logistic")}
    predicted = run.predictions("a", "stem", target="sex")
    sex = run.utterances.set_index("utterance_id")["sex"]
    assert list(predicted["y_true"]) == list(sex[predicted["utterance_id"]])
    assert set(predicted["y_pred"]) <= {"F", "M"}
    stem = run.layers[(run.layers["model"] == "a") & (run.layers["layer"] == "stem")]
    scores = stem.set_index("target")[["r2", "accuracy", "accuracy_control", "selectivity"]]
    right = float((predicted["y_true"] == predicted["y_pred"]).mean())
    assert scores.loc["sex", "accuracy"] == pytest.approx(right)
    # Selectivity needs the control of types.
    shown = [[True, False, False, False], [False, True, True, False]]
    assert scores.notna().to_numpy().tolist() == shown
    last = run.models.groupby("target")["model"].last()
    assert last.to_dict() == {"cps": "mean predictor", "sex": "majority class"}
    told = events(result, "cells_done")[0]
    assert told["best"]["target"] == "cps" and told["best_accuracy"]["target"] == "sex"
    again = sweep(spec_values)
    assert (again.ran_cells, again.ran_shards) == (0, 0)


@pytest.mark.usefixtures("no_plots")
def test_speakers_are_told_apart_in_folds_of_their_own_beside_a_rate_in_splits_by_speaker(
    sweep: Sweep, spec_values: Values
) -> None:
    spec_values |= {"targets": ["cps"], "probes": [{"kind": "ridge"}], "baselines": ["fbank"]}
    spec_values |= {"models": spec_values["models"][:1], "layers": ["stem"]}
    alone = open_run(sweep(spec_values).folder.root)
    of_cps = {name: record.scores for name, record in alone.records.items()}
    overlap = {
        "kind": "kfold", "folds": 3, "group": "utterance_id", "allow_speaker_overlap": True,
    }  # fmt: skip
    spec_values |= {"targets": ["cps", "speaker"], "protocols": {"speaker": overlap}}
    spec_values["probes"].append({"kind": "logistic"})
    both = sweep(spec_values)
    assert (both.ran_shards, both.ran_cells) == (0, both.done - len(of_cps))
    run = open_run(both.folder.root)
    assert {name: run.records[name].scores for name in of_cps} == of_cps
    assert {name: n.trained for name, n in run.tested_speakers.items()} == {"cps": 0, "speaker": 14}
    notes, text = " ".join(footnotes(run)), methods(run)
    assert "speaker: 14 of 14 test speakers are also in the training split" in notes
    assert "For cps, probes were trained on" in text and "For cps, no speaker was in more" in text
    assert "For speaker, all splits were pooled" in text
    assert "For speaker, folds were balanced in classes and in size." in text
    layers = run.layers[run.layers["target"] == "speaker"].set_index(["model", "layer"])
    stem = layers.loc[("a", "stem")]
    assert stem["missing"] == 0
    assert stem["accuracy"] > 0.5 > 5 * stem["majority_accuracy"]
    assert stem["accuracy_control"] < 0.25
    assert stem["accuracy_low"] < stem["accuracy"] < stem["accuracy_high"]
    predicted = run.predictions("a", "stem", target="speaker")
    speakers = dict(zip(run.utterances["utterance_id"], run.utterances["speaker_id"], strict=True))
    assert list(predicted["y_true"]) == [speakers[name] for name in predicted["utterance_id"]]


@pytest.mark.usefixtures("no_plots")
def test_a_run_is_open_to_python(sweep: Sweep, spec_values: Values) -> None:
    run = open_run(sweep(spec_values).folder.root)
    assert run.spec.name == run.plan.name == "tiny"
    assert {"r2", "r2_low", "r2_high", "selectivity", "gain"} <= set(run.layers.columns)
    assert list(run.models["model"].unique()) == [
        "a", "b", "baseline:duration", "baseline:fbank", "speaker mean", "mean predictor",
    ]  # fmt: skip
    ids, activations = run.activations("a", "embedding")
    assert activations.shape == (14 * 5, 16)
    assert sorted(ids) == sorted(run.utterances["utterance_id"])


@pytest.mark.usefixtures("no_plots")
def test_stored_activations_are_those_of_the_network_called_alone(
    sweep: Sweep, spec_values: Values
) -> None:
    run = open_run(sweep(spec_values).folder.root)
    ids, activations = run.activations("b", "embedding")
    paths = run.utterances.set_index("utterance_id")["audio_path"]
    network = load_model(run.spec.models[1]).module
    for row in (0, 33, len(ids) - 1):
        features = Fbank(FeatureSettings())(load_audio(paths[ids[row]]))
        expected = network(features[None])[0].numpy()
        np.testing.assert_allclose(activations[row], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("no_plots")
def test_predictions_give_the_scores_of_the_table(sweep: Sweep, spec_values: Values) -> None:
    run = open_run(sweep(spec_values).folder.root)
    predicted = run.predictions("a", "pooling", probe="mlp")
    for seed, rows in predicted.groupby("seed"):
        cell = run.metrics.query(
            "model == 'a' and layer == 'pooling' and probe == 'mlp' and control == 'none' "
            f"and seed == {seed}"
        )
        mse = float(((rows["y_pred"] - rows["y_true"]) ** 2).mean())
        assert mse == pytest.approx(cell["mse"].item(), rel=1e-5)


@pytest.mark.usefixtures("no_plots")
def test_the_duration_baseline_knows_duration_and_the_mean_predictor_nothing(
    sweep: Sweep, spec_values: Values
) -> None:
    spec_values |= {"targets": ["duration"], "probes": [{"kind": "ridge"}], "controls": []}
    models = table(sweep(spec_values), "models").set_index("model")
    assert models.loc["baseline:duration", "best_r2"] == pytest.approx(1, abs=1e-4)
    assert models.loc["mean predictor", "best_r2"] == 0
    assert models.loc["mean predictor", "best_mse"] == pytest.approx(models.loc["a", "mean_mse"])


@pytest.mark.usefixtures("no_plots")
def test_progress_events_add_up(sweep: Sweep, spec_values: Values, tmp_path: Path) -> None:
    result = sweep(spec_values, cache=tmp_path / "cache")
    [planned] = events(result, "planned")
    assert planned["totals"] == {"extract": 4 * 3, "probe": result.done}
    assert planned["done"] == {"extract": 0, "probe": 0}
    assert len(events(result, "shard_done")) == 12
    assert sum(event["cells"] for event in events(result, "cells_done")) == result.done
    [finished] = events(result, "run_finished")
    assert (finished["status"], finished["done"]) == ("done", result.done)


@pytest.mark.usefixtures("no_plots")
def test_only_that_matches_nothing_is_an_error_and_writes_nothing(
    sweep: Sweep, spec_values: Values, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=r"--only .*nearest: a/layer2"):
        sweep(spec_values, only="a/layer2/rigde")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_plots")
def test_provenance_names_every_process_that_computed_and_no_other(
    sweep: Sweep, spec_values: Values
) -> None:
    sweep(spec_values, only="a/*", arguments=["first"])
    sweep(spec_values, arguments=["second"])
    result = sweep(spec_values, arguments=["nothing to do"])
    runs = json.loads(result.folder.provenance.read_text())["runs"]
    assert [run["arguments"] for run in runs] == [["first"], ["second"]]


@pytest.mark.usefixtures("no_plots")
def test_cells_whose_predictions_are_gone_run_again(sweep: Sweep, spec_values: Values) -> None:
    first = sweep(spec_values)
    before = table(first, "layers")
    lost = next(first.folder.predictions.glob("a--stem--*.npz"))
    lost.unlink()
    again = sweep(spec_values)
    assert (again.ran_shards, again.ran_cells) == (0, 4 * 2)
    pd.testing.assert_frame_equal(table(again, "layers"), before)


@pytest.mark.usefixtures("no_plots")
def test_many_damaged_shards_of_one_layer_are_all_extracted_again(
    sweep: Sweep, spec_values: Values, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.plan.activation_sets.SHARD_UTTERANCES", 6)
    own = tmp_path / "own"
    before = table(sweep(spec_values, cache=own), "layers")
    damaged = sorted((own / "activations").glob("*/*.safetensors"))
    for path in damaged:
        data = bytearray(path.read_bytes())
        data[-2] ^= 0x40
        path.write_bytes(data)
    again = sweep(spec_values, cache=own, fresh=True)
    assert again.failed == 0
    assert 4 < again.ran_shards <= len(damaged)
    pd.testing.assert_frame_equal(table(again, "layers"), before)


@pytest.mark.usefixtures("no_plots")
def test_what_a_killed_driver_left_goes_and_what_is_not_its_own_stays(
    sweep: Sweep, spec_values: Values, tmp_path: Path
) -> None:
    name = ".x.0123abcd.tmp.npz"
    own = [tmp_path / "out" / place / name for place in (".", "predictions", "similarity/sketches")]
    others = [
        tmp_path / "out" / place
        for place in (
            f"own-cache/activations/{name}", f"another/predictions/{name}", ".mine.tmp.docx",
            f"tables/another/{name}", "tables/another/.lock", f"plots/{name}/file",
        )
    ]  # fmt: skip
    for path in (*own, *others):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "out" / ".lock").touch()  # or it would not be taken for the folder of a run
    sweep(spec_values, only="a/stem/*")
    assert not any(path.exists() for path in own)
    assert all(path.exists() for path in others)


@pytest.mark.usefixtures("no_plots")
def test_a_comparison_that_fails_makes_the_run_fail_each_time_it_is_tried(
    sweep: Sweep,
    spec_values: Values,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(job: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr("jobs.similarity.job.compare", fails)
    spec_values |= {"similarity": {"measures": ["cka"]}, "layers": [-1], "controls": []}
    spec_values["models"] = spec_values["models"][:1]
    for _ in range(2):
        result = sweep(spec_values)
        assert (result.failed, exit_code(result)) == (0, 1)
        print_result(result)
        shown = capsys.readouterr().out
        assert "failed: " in shown and str(result.folder.events) in shown
        assert "nothing to do" not in shown
    monkeypatch.undo()
    assert exit_code(sweep(spec_values)) == 0


def test_a_folder_that_cannot_be_made_is_said(sweep: Sweep, spec_values: Values) -> None:
    with pytest.raises(SpecError, match=r"--out /proc/foo.*nothing can be written there"):
        sweep(spec_values, out="/proc/foo")
    with pytest.raises(SpecError, match=r"--cache /proc/foo"):
        sweep(spec_values, cache=Path("/proc/foo"))


@pytest.mark.usefixtures("no_plots")
def test_selectivity_is_the_distance_from_random_values_of_types_of_utterances(
    sweep: Sweep, spec_values: Values
) -> None:
    spec_values |= {"models": spec_values["models"][:1], "layers": ["stem", "embedding"]}
    spec_values |= {"probes": [{"kind": "ridge"}], "baselines": ["fbank"], "controls": []}
    plain = open_run(sweep(spec_values).folder.root).records
    del spec_values["controls"]
    part = sweep(spec_values, only="a/stem/*")  # the baseline's activations are there
    run = open_run(sweep(spec_values).folder.root)
    assert run.spec.controls == ("type",) and part.ran_cells == 1
    assert {name: run.records[name].scores for name in plain} == {
        name: record.scores for name, record in plain.items()
    }
    assert len(run.records) == 2 * len(plain)
    layers = run.layers
    control = layers["r2_type_control"]
    assert control.notna().all() and (layers["missing_control"] == 0).all()
    assert list(layers["selectivity"]) == list(layers["r2"] - control.clip(lower=0))
    assert "one random value per type of utterance" in methods(run)
    frame = run.predictions("a", "stem", control="type")
    assert frame["y_true"].nunique() < len(frame) / 2


@pytest.mark.usefixtures("no_plots")
def test_types_wait_for_the_statistics_and_only_their_cells_fail_without(
    sweep: Sweep, spec_values: Values, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec_values |= {"models": spec_values["models"][:1], "layers": ["embedding"]}
    spec_values |= {"probes": [{"kind": "ridge"}], "baselines": ["fbank"], "controls": ["type"]}
    extract = ExtractJob.run

    def fail_for_baseline(job: ExtractJob, worker: Any) -> Any:
        if job.model == "baseline:fbank":
            raise RuntimeError("no statistics today")
        return extract(job, worker)

    monkeypatch.setattr(ExtractJob, "run", fail_for_baseline)
    own = tmp_path / "own"
    result = sweep(spec_values, cache=own)
    records = [r for r in open_run(result.folder.root).records.values() if r.model == "a"]
    assert {(r.control, r.status) for r in records} == {("none", "done"), ("type", "failed")}
    [error] = [r.error for r in records if r.error]
    assert "statistics of baseline:fbank, which could not be extracted" in error
    monkeypatch.undo()
    mended = sweep(spec_values, cache=own)
    assert (mended.status, mended.failed, mended.ran_cells) == ("done", 0, 3)
