"""Learning curves, in a run from the spec to the report."""

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

import sweep
from jobs.probes import RidgeSettings
from jobs.probing.learning import learning_key
from jobs.protocol.predictions import read_predictions
from jobs.protocol.training_fractions import DRAWS, fewer_rows
from jobs.statistics.regression import HeldOut, r2_of
from sweep.errors import SpecError
from sweep.plan.plan import layer_tasks
from sweep.prepare.prepare import load_and_prepare
from tests.support.tiny_run import SPEC, tiny_run

FRACTIONS = {"train_fractions": [0.5, 0.75], "save_probes": False, "baselines": ["mean"]}


def write_spec(tiny, **changes):
    (tiny.home / "spec.yaml").write_text(yaml.safe_dump(SPEC | changes, sort_keys=False))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    with tiny_run(tmp_path_factory.mktemp("learning")) as tiny:
        write_spec(tiny, **FRACTIONS)
        result = tiny.run()
        assert result.exit_code == 0, result.output
        yield tiny


def learning(tiny):
    return pd.read_csv(tiny.folder.tables / "learning.csv", dtype={"layer": str})


def files(tiny):
    return sorted(tiny.folder.predictions.glob("*--learning-*.npz"))


def test_fraction_1_has_the_scores_of_the_cells(finished):
    table = learning(finished)
    assert table["fraction"].tolist() == [0.5, 0.75, 1] * 2
    assert table["n_train_speakers"].tolist() == [2, 3, 4] * 2  # 4 speakers with 3 utterances each
    assert table["n_train"].tolist() == [6, 9, 12] * 2
    whole = table[table["fraction"] == 1]
    layers = pd.read_csv(finished.folder.tables / "layers.csv")
    for end in ("", "_low", "_high"):
        np.testing.assert_allclose(whole[f"value{end}"], layers[f"r2{end}"], rtol=1e-5, atol=1e-6)


def test_the_predictions_are_those_of_ridge_on_the_speakers_that_were_drawn(finished):
    run = sweep.open_run(finished.home / "run")
    utterances = run.utterances
    train = np.flatnonzero(utterances["split"] == "train")
    test = np.flatnonzero(utterances["split"] == "test")
    validation = np.flatnonzero(utterances["split"] == "validation")
    speakers = utterances["speaker_id"].to_numpy(dtype=str)
    y = utterances["energy"].to_numpy()
    task = next(iter(layer_tasks(run.plan)))
    found = read_predictions(files(finished)[0])
    names, X = run.activations("b", task.layer.name)
    X = pd.DataFrame(X, index=names).loc[utterances["utterance_id"]].to_numpy(dtype=np.float64)
    (cell,) = task.cells
    scores = []
    for draw in range(DRAWS):
        rows = fewer_rows(train, speakers, 0.5, draw)
        assert len(set(speakers[rows])) == 2

        def predict(alpha, chosen, rows=rows):
            scaler = StandardScaler().fit(X[rows])
            model = Ridge(alpha=alpha * len(rows)).fit(scaler.transform(X[rows]), y[rows])
            return model.predict(scaler.transform(X[chosen]))

        errors = {
            alpha: np.sum((y[validation] - predict(alpha, validation)) ** 2)
            for alpha in RidgeSettings().alphas
        }
        expected = predict(min(errors, key=errors.get), test)
        one = found[learning_key(cell.cell_id, 0.5, draw)]
        assert one.utterance_id.tolist() == utterances["utterance_id"].iloc[test].tolist()
        np.testing.assert_allclose(one.y_pred, expected, rtol=1e-3)
        scores.append(r2_of(HeldOut(y[test], expected, y[train].mean(), speakers[test])))
    row = learning(finished).iloc[0]
    assert row["value"] == pytest.approx(np.mean(scores), abs=1e-3)
    assert row["value_smallest"] == pytest.approx(min(scores), abs=1e-3)
    assert row["value_largest"] == pytest.approx(max(scores), abs=1e-3)


def test_a_lost_file_is_made_again_and_no_cell(finished):
    table, ledger = learning(finished), finished.folder.ledger.read_bytes()
    files(finished)[0].unlink()
    plan = finished.sweep("plan", "spec.yaml", "--out", "run", "--cache", "cache").output
    assert "learning curves at 0.5, 0.75 of the training speakers, 3 draws each" in plan
    assert "1 to do" in plan
    assert finished.run().exit_code == 0
    pd.testing.assert_frame_equal(learning(finished), table)
    assert finished.folder.ledger.read_bytes() == ledger


def test_the_report_shows_the_curves_and_says_how_they_were_made(finished):
    assert "Learning curves" in finished.folder.report.read_text()
    assert (finished.folder.plots / "learning_energy.png").exists()
    methods = finished.folder.methods.read_text()
    assert "fitted to 0.5 and 0.75 of the training speakers (at least 2)" in methods


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"store": "gram"}, "train_fractions needs the activations of all utterances"),
        ({"train_fractions": [0.5, 0.5]}, "expected different ones"),
        ({"train_fractions": [0.0, 0.5]}, "greater than 0"),
    ],
)
def test_fractions_that_cannot_be_are_refused(tmp_path, changes, message):
    with tiny_run(tmp_path) as tiny:
        write_spec(tiny, **(FRACTIONS | changes))
        with pytest.raises(SpecError, match=message):
            load_and_prepare(tiny.home / "spec.yaml", [], tiny.cache)
