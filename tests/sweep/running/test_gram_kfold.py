"""``store: gram`` where parts are made anew: folds, and inner folds, in whole sweeps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jobs.statistics.speaker_mean import SPEAKER_MEAN_COLUMNS
from sweep import open_run
from sweep.commands.print_status import print_status
from sweep.errors import RunError
from sweep.export.study import export_run
from sweep.plan import activation_sets
from sweep.running.options import RunOptions
from sweep.running.run import RunResult, run_sweep
from sweep.state.events import EventLog
from tests.conftest import Values

KNOWN = ["mse", "rmse", "r2", "pearson", "mean_mse", "mean_mae"]
"""Scores that sums tell of a fold."""
NOT_KNOWN = ["mae", "spearman", "within_speaker"]
CELL = ["model", "layer", "target", "probe", "control", "fold"]
Sweep = Callable[..., RunResult]


@pytest.fixture
def values(spec_values: Values) -> Values:
    """A network and a baseline, two targets, both controls."""
    return {
        **spec_values,
        "models": spec_values["models"][:1],
        "layers": ["stem", -1],
        "baselines": ["mean", "fbank"],
        "probes": [{"kind": "ridge"}, {"kind": "cca"}],
        "targets": ["cps", "words_per_second"],
        "controls": ["shuffled", "speaker"],
        "protocol": {"kind": "kfold", "folds": 5},  # the fewest that have intervals
        "store": "gram",
    }


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of this module alone: what other tests extract is of other batches."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def sweep(
    write_spec: Callable[[Values], Path],
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Sweep:
    """Runs spec values into a folder of ``tmp_path``, by default in this process."""
    monkeypatch.setattr("jobs.extraction.extractor.LOT", 7)
    # Float32 rounds otherwise in other batches, and of so few utterances cca makes much of it.
    monkeypatch.setattr("jobs.extraction.forward.EQUAL_BATCH_FRAMES", 1)

    def run(values: Values, out: str = "gram", **options: Any) -> RunResult:
        chosen = RunOptions(**{"where": "inline", "cache": cache, **options}, out=tmp_path / out)
        with EventLog() as events:
            return run_sweep(write_spec(values), chosen, events)

    return run


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of tests that look at the values alone."""
    monkeypatch.setattr("sweep.running.run.build_report", lambda run: None)


INNER = [{"kind": "ridge", "choose": "inner"}, {"kind": "ridge", "name": "validation"}]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"protocol": {"kind": "kfold", "folds": 4}}, id="4 folds"),
        pytest.param({"protocol": {"kind": "splits", "validation": None}}, id="inner folds"),
        pytest.param(
            {"protocol": {"kind": "kfold", "folds": 2}}, id="2 folds", marks=pytest.mark.slow
        ),
        pytest.param(
            {"protocol": {"kind": "kfold", "folds": 3}, "probes": INNER},
            id="inner folds of 3 folds",
            marks=pytest.mark.slow,
        ),
    ],
)
@pytest.mark.usefixtures("no_report")
def test_folds_have_the_scores_of_the_activations(
    sweep: Sweep, values: Values, monkeypatch: pytest.MonkeyPatch, change: Values
) -> None:
    values |= change
    stored = open_run(sweep({**values, "store": "activations"}, "stored").folder.root)
    monkeypatch.setattr(activation_sets, "GRAM_SAVING", 0.5)
    summed = open_run(sweep(values).folder.root)
    assert max(s.n_shards for model in summed.plan.models for s in model.sets if s.gram) > 1
    one, other = (run.metrics.set_index(CELL).sort_index() for run in (stored, summed))
    assert one.index.equals(other.index)
    assert len(one) == (2 + 1) * 2 * 2 * 3 * stored.plan.n_folds
    for name in [*KNOWN, *(NOT_KNOWN if stored.plan.n_folds == 1 else [])]:
        np.testing.assert_allclose(
            one[name].astype(float), other[name].astype(float), rtol=1e-6, atol=1e-6, err_msg=name
        )
    for name in ("n_train", "n_test", "alpha", "components"):
        if name in one:
            pd.testing.assert_series_equal(one[name], other[name], check_exact=False, rtol=1e-12)
    curves, others = stored.layers, summed.layers
    for name in ("r2", "mse", "pearson", "selectivity", "r2_speaker_control", "gain", "n_speakers",
                 *SPEAKER_MEAN_COLUMNS[:-1]):  # fmt: skip
        # Sums over folds keep no spread of predictions, by which correlations are left out.
        shown = curves[name].notna() if name == "pearson" else slice(None)
        np.testing.assert_allclose(
            curves[name][shown], others[name][shown], rtol=1e-6, atol=1e-6, err_msg=name
        )


TEMPO = {"factors": [0.8, 1.25], "utterances": 8, "targets": ["cps"]}


@pytest.mark.parametrize(
    "protocol", [{"kind": "splits"}, {"kind": "kfold", "folds": 3}], ids=lambda one: one["kind"]
)
@pytest.mark.usefixtures("no_report")
def test_stretched_speech_is_told_of_as_with_activations(
    sweep: Sweep, values: Values, protocol: Values
) -> None:
    pytest.importorskip("python_stretch")
    values |= {"protocol": protocol, "tempo": TEMPO, "controls": [], "layers": ["stem"]}
    stored = open_run(sweep({**values, "store": "activations"}, "stored").folder.root)
    summed = open_run(sweep(values).folder.root)
    assert set(summed.table("tempo")["model"]) == {"a", "baseline:fbank"}
    for table in ("tempo", "tempo_changes"):
        one, other = stored.table(table), summed.table(table)
        assert len(one) == len(other) > 0
        # Stored predictions are float32, and differences of them are looked at.
        pd.testing.assert_frame_equal(one, other, rtol=1e-4, atol=1e-5)
    again = sweep(values)
    assert (again.ran_shards, again.ran_cells) == (0, 0)


def test_what_a_run_without_predictions_leaves(
    sweep: Sweep, values: Values, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values["models"] += [{**values["models"][0], "name": "b", "seed": 1}]
    values |= {"targets": ["cps"], "controls": ["shuffled"]}
    result = sweep({**values, "save_probes": True})
    folder, run = result.folder, open_run(result.folder.root)
    assert not list(folder.predictions.glob("*"))
    metrics = pd.read_csv(folder.tables / "metrics.csv")
    assert metrics[NOT_KNOWN].isna().all(axis=None)
    assert metrics[["mse", "r2", "mean_mae"]].notna().all(axis=None)
    layers = pd.read_csv(folder.tables / "layers.csv")
    assert set(layers["interval_over"]) == {"folds"}
    assert ((layers["r2_low"] < layers["r2"]) & (layers["r2"] < layers["r2_high"])).all()
    assert set(layers["n_speakers"]) == {14} and set(layers["n_test"]) == {14 * 5}
    models = pd.read_csv(folder.tables / "models.csv")
    assert models.loc[models["probe"].notna(), "best_r2_honest_low"].notna().all()
    assert len(pd.read_csv(folder.tables / "residuals.csv")) == 0
    differences = pd.read_csv(folder.tables / "differences.csv")
    assert {"layer vs best layer", "model vs model"} <= set(differences["comparison"])
    assert differences[["difference", "low", "high", "p", "p_holm"]].notna().all(axis=None)
    note = "Intervals come from a jackknife over the 5 folds"
    for table in ("models", "layers"):
        assert note in (folder.tables / f"{table}.md").read_text()
        assert "MAE |" not in (folder.tables / f"{table}.md").read_text()
    page, methods = folder.report.read_text(), folder.methods.read_text()
    assert note in page
    assert "resample" not in methods and "Wolter (2007)" in methods
    assert "bootstrap over <em>speakers</em>" not in page
    for ask in (lambda: run.predictions("a", "stem"), lambda: run.activations("a", "stem")):
        with pytest.raises(RunError, match="store: gram with kfold keeps no"):
            ask()
    print_status(run)
    assert "0 failed, 0 to do" in capsys.readouterr().out
    exported = export_run(run, tmp_path / "export", None)
    assert any("store: gram with kfold keeps none" in note for note in exported.notes)
    assert (exported.folder / "a" / "metrics.txt").exists()
    again = sweep({**values, "save_probes": True})
    assert (again.ran_shards, again.ran_cells) == (0, 0)
