"""What layers add to nuisances, in a run from the spec to the report."""

import numpy as np
import pandas as pd
import pytest
import yaml

from jobs.beyond.results import read_beyond
from jobs.statistics.differences import between_chosen, holm
from sweep.errors import SpecError
from sweep.prepare.prepare import load_and_prepare
from tests.support.tiny_run import SPEC, tiny_run

BEYOND = {
    "targets": ["energy"],
    "baselines": ["mean", "duration", "fbank"],
    "beyond": {"nuisances": ["fbank", "duration", "energy", "speaker_mean"], "alphas": [0.1, 10]},
}


def write_spec(tiny, **changes):
    (tiny.home / "spec.yaml").write_text(yaml.safe_dump(SPEC | changes, sort_keys=False))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run without the analysis, which the same spec with it follows."""
    with tiny_run(tmp_path_factory.mktemp("beyond")) as tiny:
        write_spec(tiny, baselines=["mean", "duration", "fbank"])
        assert tiny.run().exit_code == 0
        before = tiny.tables()
        write_spec(tiny, **BEYOND)
        result = tiny.run()
        assert result.exit_code == 0, result.output
        yield tiny, before


def files(tiny):
    return sorted(tiny.folder.predictions.glob("*--beyond-*.npz"))


def test_it_adds_a_table_and_columns_and_changes_no_score(finished):
    tiny, before = finished
    tables = tiny.tables()
    assert tables["metrics.csv"] == before["metrics.csv"]
    table = pd.read_csv(tiny.folder.tables / "beyond.csv")
    assert table["layer"].tolist() == ["0", "1"] or table["layer"].tolist() == [0, 1]
    assert set(table["nuisances"]) == {"fbank + duration + speaker_mean"}  # energy is the target
    layers = pd.read_csv(tiny.folder.tables / "layers.csv")
    of_model = layers[layers["model"] == "b"]
    np.testing.assert_array_equal(of_model["beyond"], table["beyond"])
    assert layers.loc[layers["model"] != "b", "beyond"].isna().all()
    assert "beyond" not in str(before["layers.csv"]).split("\\n")[0]


def test_the_table_is_a_paired_comparison_over_speakers(finished):
    tiny, _ = finished
    table = pd.read_csv(tiny.folder.tables / "beyond.csv")
    speakers = pd.read_csv(tiny.folder.utterances).set_index("utterance_id")["speaker_id"]
    p = []
    for row, path in zip(table.to_dict("records"), files(tiny), strict=True):
        (fold,) = read_beyond(path)["energy"]
        of_row = speakers[fold.utterance_id.tolist()].to_numpy()
        reference = (fold.y_true - fold.train_mean) ** 2
        scores, errors = [], []
        for predicted in (fold.both, fold.nuisances):
            loss = (fold.y_true - predicted) ** 2
            scores.append(1 - loss.sum() / reference.sum())
            sums = pd.DataFrame({"n": 1.0, "loss": loss, "ref": reference, "nothing": reference})
            errors.append(sums.groupby(of_row).sum().to_numpy()[None])
        expected = between_chosen(*errors)
        assert row["beyond"] == pytest.approx(scores[0] - scores[1])
        assert row["beyond_low"] == pytest.approx(expected.low[0], nan_ok=True)
        p.append(row["p"])
    np.testing.assert_allclose(table["p_holm"], holm(np.array(p)))


def test_a_lost_file_is_made_again_and_no_other(finished):
    tiny, _ = finished
    table = (tiny.folder.tables / "beyond.csv").read_bytes()
    lost, kept = files(tiny)
    modified = kept.stat().st_mtime_ns
    lost.unlink()
    assert "1 to do" in tiny.sweep("plan", "spec.yaml", "--out", "run", "--cache", "cache").output
    assert tiny.run().exit_code == 0
    assert (tiny.folder.tables / "beyond.csv").read_bytes() == table
    assert files(tiny) == [lost, kept] and kept.stat().st_mtime_ns == modified


def test_the_report_explains_it(finished):
    tiny, _ = finished
    page = tiny.folder.report.read_text()
    assert "Beyond the input" in page and "The gain of a layer over" in page
    assert (tiny.folder.plots / "beyond_r2.png").exists()
    methods = tiny.folder.methods.read_text()
    assert "banded ridge regression (Nunez-Elizalde, Huth & Gallant 2019)" in methods
    assert "Voxelwise encoding" in methods


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"baselines": ["mean"]}, "fbank is the baseline of that name: add it to baselines"),
        ({"store": "gram"}, "beyond needs the activations of all utterances"),
        ({"beyond": {"nuisances": ["fbank", "fbank"]}}, "expected different ones"),
        ({"beyond": {"nuisances": []}}, "at least 1"),
    ],
)
def test_nuisances_that_the_run_does_not_have_are_refused(tmp_path, changes, message):
    with tiny_run(tmp_path) as tiny:
        write_spec(tiny, **(BEYOND | changes))
        with pytest.raises(SpecError, match=message):
            load_and_prepare(tiny.home / "spec.yaml", [], tiny.cache)


def test_measured_nuisances_become_columns_of_the_utterance_table(tmp_path):
    with tiny_run(tmp_path) as tiny:
        write_spec(tiny, **(BEYOND | {"targets": ["duration"], "save_probes": False}))
        prepared = load_and_prepare(tiny.home / "spec.yaml", [], tiny.cache)
    assert prepared.table["energy"].notna().all()
    assert list(prepared.plan.targets) == ["duration"]
    assert list(prepared.plan.beyond.columns) == ["energy"]
