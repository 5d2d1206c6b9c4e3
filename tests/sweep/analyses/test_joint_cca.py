"""Several targets of a layer together: the file, the table, what is left to do in a run."""

import numpy as np
import pandas as pd
import pytest

from jobs.probes import CcaSettings
from jobs.probes.cca import fit_jointly
from jobs.probing.joint_cca import (
    CanonicalError,
    FoldComponents,
    JointCca,
    fit_targets_jointly,
    read_components,
    write_components,
)
from jobs.probing.layer_data import LayerData
from jobs.protocol.folds import Fold
from jobs.protocol.settings import KFoldProtocol, Protocols
from jobs.protocol.target_folds import TargetFolds
from jobs.statistics.regression import pearson
from sweep.analyses.joint_cca_table import COLUMNS, mean_loadings
from sweep.errors import SpecError
from sweep.prepare.prepare import load_and_prepare
from sweep.report.sections.joint_cca import write_canonical
from sweep.running.options import RunOptions
from sweep.running.run import run_sweep
from sweep.state.events import EventLog
from tests.support.no_figures import draw_nothing
from tests.support.report_data import make_layers

TARGETS = ("cps", "energy")
PROBE = CcaSettings(components=2)


def layer(n=80, width=6, seed=0):
    """Two targets that a layer knows, one of them for all utterances but the first three."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, width))
    Y = X[:, :2] + 0.5 * rng.standard_normal((n, 2))
    Y[:3, 1] = np.nan
    table = pd.DataFrame(
        {
            "utterance_id": [f"u{i:02d}" for i in range(n)],
            "speaker_id": [f"s{i % 10}" for i in range(n)],
            "split": "all",
            "half": ["a" if i < 40 else "b" for i in range(n)],
        }
    ).assign(cps=Y[:, 0], energy=Y[:, 1])
    rows = np.arange(n)
    halves = KFoldProtocol(folds=2, group="half", allow_speaker_overlap=True)
    folds = TargetFolds(Protocols(halves), table)
    present = np.ones(n, dtype=bool)
    return LayerData(table, {}, X.astype(np.float32), present, folds, rows)


def joint(tmp_path, **probes):
    return JointCca(probes or {"cca": PROBE}, TARGETS, tmp_path / "found.npz")


def test_every_fold_is_fitted_to_the_utterances_that_have_all_targets(tmp_path):
    data = layer()
    (first, second) = fit_targets_jointly(joint(tmp_path), data)["cca"]
    assert (first.n_train, len(first.utterance_id)) == (37, 40)
    assert (second.n_train, len(second.utterance_id)) == (40, 37)
    Y = data.table[list(TARGETS)].to_numpy()
    whole = data.folds.of("cps")[0]
    fold = Fold(whole.train[3:], whole.validation, whole.test)
    expected = fit_jointly(PROBE, data.X, Y, fold)
    np.testing.assert_array_equal(first.found.activations, expected.activations)


def test_what_is_written_is_read_again_and_damage_is_named(tmp_path):
    asked = joint(tmp_path, cca=PROBE, all=CcaSettings(components=2, variance=1.0))
    found = fit_targets_jointly(asked, layer())
    write_components(asked.file, found)
    again = read_components(asked.file)
    assert list(again) == ["cca", "all"]
    for name, folds in found.items():
        for one, other in zip(folds, again[name], strict=True):
            assert (one.n_train, one.found.saturated) == (other.n_train, other.found.saturated)
            assert one.utterance_id.tolist() == other.utterance_id.tolist()
            np.testing.assert_array_equal(one.found.in_sample, other.found.in_sample)
            np.testing.assert_allclose(one.found.targets, other.found.targets, rtol=1e-6)
    asked.file.write_bytes(asked.file.read_bytes()[:-50])
    with pytest.raises(CanonicalError, match="delete it and run again"):
        read_components(asked.file)


def test_a_fold_without_utterances_that_have_all_targets_is_told(tmp_path):
    data = layer()
    data.table.loc[:38, "energy"] = np.nan
    with pytest.raises(ValueError, match="fold 0 has 1 training and 40 test utterances"):
        fit_targets_jointly(joint(tmp_path), data)


@pytest.fixture
def values(spec_values):
    return {
        **spec_values,
        "corpus": {
            "kind": "espeak",
            "speakers": {"train": 4, "validation": 2, "test": 3},
            "utterances_per_speaker": 5,
        },
        "targets": ["cps", "energy", "sex"],
        "layers": ["stem", "embedding"],
        "models": spec_values["models"][:1],
        "probes": [{"kind": "cca", "components": 2}, {"kind": "logistic"}],
        "baselines": ["mean", "fbank"],
    }


@pytest.fixture
def sweep(tmp_path, write_spec, values, monkeypatch):
    draw_nothing(monkeypatch)

    def run(**changes):
        options = RunOptions(where="inline", out=tmp_path / "run", cache=tmp_path / "cache")
        with EventLog([]) as events:
            return run_sweep(write_spec({**values, **changes}), options, events)

    return run


def test_a_run_has_the_table_and_a_figure_and_does_no_more_than_is_new(sweep, values, tmp_path):
    done = sweep()
    assert done.status == "done"
    table, folder = done.run.table("canonical"), done.folder
    assert list(table.columns) == list(COLUMNS)
    assert table[["layer", "component"]].to_numpy().tolist() == [
        ["stem", 1], ["stem", 2], ["embedding", 1], ["embedding", 2],
        ["statistics", 1], ["statistics", 2],
    ]  # fmt: skip
    assert set(table["targets"]) == {"cps + energy"}
    assert table["loadings"].str.fullmatch(r"cps -?\d\.\d\d, energy -?\d\.\d\d").all()
    assert (table["n_train"] == 20).all() and (table["n_speakers"] == 3).all()
    assert (folder.tables / "canonical.csv").exists()
    assert (folder.plots / "canonical_cca.png").exists()
    assert "Joint CCA of all targets" in folder.report.read_text()
    assert "up to 2 components fitted jointly to all numeric targets" in folder.methods.read_text()
    assert sweep().ran_cells == 0
    # Other components, or the file lost: a cell of each layer runs again; one alone: none does.
    one = [{"kind": "cca"}, {"kind": "logistic"}]
    alone = sweep(probes=one)
    assert alone.ran_cells == 0 and alone.run.table("canonical").empty
    assert not (folder.tables / "canonical.csv").exists()
    for path in folder.predictions.glob("*canonical*"):
        path.unlink()
    assert sweep().ran_cells == 3
    pd.testing.assert_frame_equal(sweep().run.table("canonical"), table)


def test_the_table_has_the_held_out_correlation_and_no_interval_of_three_speakers(sweep):
    done = sweep()
    row = done.run.table("canonical").iloc[0]
    path = next(done.folder.predictions.glob("*stem--canonical-*.npz"))
    fold: FoldComponents = read_components(path)["cca"][0]
    u, v = fold.found.activations[:, 0], fold.found.targets[:, 0]
    assert row["correlation"] == pytest.approx(pearson(v, u), abs=1e-12)
    assert np.isnan([row["correlation_low"], row["correlation_high"]]).all()


def test_the_sign_that_a_component_has_in_a_fold_is_nothing(tmp_path):
    data = layer()
    folds = fit_targets_jointly(joint(tmp_path), data)["cca"]
    table = data.table.set_index("utterance_id")[list(TARGETS)]
    targets = [table.loc[fold.utterance_id].to_numpy() for fold in folds]
    for component in (0, 1):
        first, second = (fold.found.targets[:, component] for fold in folds)
        found = mean_loadings([first, second], targets)
        assert np.abs(found).max() > 0.5
        assert mean_loadings([first, -second], targets) == pytest.approx(found)
        assert mean_loadings([-first, second], targets) == pytest.approx(np.negative(found))
        of_first, of_second = (mean_loadings([v], [Y]) for v, Y in
                               zip((first, second), targets, strict=True))  # fmt: skip
        assert np.dot(of_first, of_second) > 0
        sizes = [len(first), len(second)]
        assert found == pytest.approx(np.average([of_first, of_second], axis=0, weights=sizes))


def test_what_cannot_be_fitted_together_fails_the_cells_with_the_reason(sweep, monkeypatch):
    def refuse(*anything):
        raise ValueError("no luck")

    monkeypatch.setattr("jobs.probing.joint_cca.fit_targets_jointly", refuse)
    done = sweep()
    assert done.status == "failed"
    failed = [record for record in done.run.records.values() if record.status == "failed"]
    assert {record.probe for record in failed} == {"cca"} and len(failed) == 6
    assert "several targets together: ValueError: no luck" in failed[0].error
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "3 components need as many targets that are numbers, found 2 (cps, energy)"),
        ({"targets": ["sex"]}, "3 components need as many targets that are numbers, found 0 (none"),
        (
            {"store": "gram", "targets": ["cps", "energy", "duration"]},
            "several targets together need `store: activations`",
        ),
    ],
)
def test_components_that_cannot_be_had_are_a_problem_at_their_place(
    write_spec, values, tmp_path, changes, said
):
    probes = [{"kind": "cca", "components": 3}]
    probes += [{"kind": "logistic"}] if "sex" in changes.get("targets", ["sex"]) else []
    path = write_spec({**values, "probes": probes, **changes})
    with pytest.raises(SpecError) as caught:
        load_and_prepare(path, [], tmp_path)
    assert any(said in problem.message for problem in caught.value.problems)
    line = path.read_text().splitlines().index("  components: 3") + 1
    assert any(problem.line == line for problem in caught.value.problems)


def test_the_table_leaves_out_loadings_that_are_not_defined(tmp_path):
    layers = make_layers(models=(("a", 3),), probes=("cca",), baselines=False)
    rows = layers[["model", "layer", "layer_index", "probe"]].astype({"model": str, "probe": str})
    rows = rows.assign(component=1, correlation=[0.1, 0.5, 0.2], in_sample=0.9, flagged=True)
    rows = rows.assign(correlation_low=0.0, correlation_high=0.6)
    rows["loadings"] = "cps 0.88, const nan, energy -0.10"
    _, (table,) = write_canonical(tmp_path / "plots", rows, layers)
    assert table.rows[0][table.header.index("Loadings")].text == "cps 0.88, energy -0.10; flagged"
