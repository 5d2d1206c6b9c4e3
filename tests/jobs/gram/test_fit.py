"""Probes of statistics against the same probes of the activations: equal to 1e-6 and better."""

import dataclasses

import numpy as np
import pytest
import torch

from jobs.activations.cache_layout import data_path
from jobs.activations.manifest import CorruptShard
from jobs.activations.store import write_shard
from jobs.corpus.table import Utterance, make_table, write_table
from jobs.gram.fit import GramSets, normal_equations
from jobs.gram.labels import label_values, row_sets
from jobs.gram.moments import moments_of_sums
from jobs.gram.settings import GramSettings
from jobs.gram.sums import LayerSums
from jobs.gram.units import make_units
from jobs.probes import CcaSettings, RidgeSettings
from jobs.probes.standardiser import fit_standardiser
from jobs.probing.job import ProbeJob, probe_layer
from jobs.protocol.cells import Cell
from jobs.protocol.predictions import read_predictions
from jobs.protocol.settings import KFoldProtocol, Protocols, SplitsProtocol

PARTS = {"train": 12, "validation": 4, "test": 4}
EACH = 15
TARGETS = ("full", "gaps")
PROTOCOL = SplitsProtocol()


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    speakers = [part for part, count in PARTS.items() for _ in range(count)]
    rows = [
        Utterance(
            f"s{speaker:02d}-{i:02d}", "/nowhere", "x", f"s{speaker:02d}", "0", part,
            seconds=2.0, n_samples=32_000 + i, audio_digest=f"{speaker}/{i}",
        )
        for speaker, part in enumerate(speakers)
        for i in range(EACH)
    ]  # fmt: skip
    table = make_table(rows)
    table["full"] = rng.standard_normal(len(table)) * 2 + 12
    table["gaps"] = rng.standard_normal(len(table)) * 30 + 150
    table.loc[::7, "gaps"] = np.nan
    return table


def activations(table, width, seed=1):
    """Alike as a network's are: some directions, small noise, a mean far from 0, a dead feature."""
    rng = np.random.default_rng(seed)
    known = np.nan_to_num(table[list(TARGETS)].to_numpy(), nan=150.0)
    known = (known - known.mean(axis=0)) / known.std(axis=0)
    directions = np.hstack([known, rng.standard_normal((len(table), 3))])
    X = directions @ rng.standard_normal((5, width)) + 20 * rng.standard_normal(width)
    X += 0.05 * rng.standard_normal(X.shape)
    X[:, 1:][:, -1:] = 3.7  # but the only one
    return X.astype(np.float32)


def cells():
    return tuple(
        Cell(f"{probe} {target} {control}", probe, target, 0, 0, control)
        for probe in ("ridge", "cca", "soft")
        for target in TARGETS
        for control in ("none", "shuffled")
    )


@pytest.fixture
def jobs(table, tmp_path):
    """Makes the job on activations, and the same on statistics; the latter's shards are two."""

    def make(X, lost=(), protocol=PROTOCOL, inner=False):
        write_table(tmp_path / "table.csv", table)
        gram = GramSettings(
            targets=TARGETS,
            row_sets=row_sets(table, TARGETS),
            controls=("none", "shuffled"),
            layers=("layer",),
            protocol=protocol,
            inner=inner,
        )
        labels, units = label_values(gram, table), make_units(gram, table)
        present = ~table["utterance_id"].isin(lost).to_numpy()

        def write(place, chosen, activations=None):
            """One shard of activations, or two of sums."""
            rows = np.flatnonzero(chosen & present)
            names = np.array(table["utterance_id"])
            if activations is not None:
                write_shard(place, 0, {"layer": X[rows]}, list(names[rows]), [], {})
                return place, 1
            for index, some in enumerate(np.array_split(rows, [len(rows) // 3])):
                sums = LayerSums(gram, torch.device("cpu"))
                for block in np.array_split(some, 3):
                    sums.add({"layer": X[block]}, labels[block])
                write_shard(place, index, sums.packed(), list(names[some]), [], {}, sums=True)
            return place, 2

        stored = {
            part: write(tmp_path / part, (table["split"] == part).to_numpy(), X) for part in PARTS
        }
        summed = [
            write(tmp_path / f"unit {unit}", units.of_row == unit) for unit in range(units.n_units)
        ]
        job = ProbeJob(
            model="m",
            layer="layer",
            activations=tuple(stored.values()),
            table=tmp_path / "table.csv",
            # Small alphas only: where sums of too few digits would be seen first.
            probes={
                "ridge": RidgeSettings(),
                "cca": CcaSettings(),
                "soft": RidgeSettings(name="soft", alphas=(1e-4,)),
            },
            protocols=Protocols(protocol),
            cells=cells(),
            predictions=tmp_path / "stored.npz",
        )
        summed = dataclasses.replace(
            job,
            activations=(stored["test"],) if protocol.kind == "splits" else (),
            predictions=tmp_path / "summed.npz",
            sums=GramSets(gram, tuple(summed)),
        )
        return job, summed

    return make


def compare(job, summed):
    """The largest difference of two predictions of an utterance, in SDs of the predictions."""
    worst = 0.0
    for one, other in zip(probe_layer(job), probe_layer(summed), strict=True):
        assert (one.status, other.status) == ("done", "done"), (one.error, other.error)
        assert (one.n_train, one.n_test) == (other.n_train, other.n_test)
        assert one.details.keys() == other.details.keys()
        for name, value in one.details.items():
            assert other.details[name] == pytest.approx(value, rel=1e-9), name
        for name, value in one.scores.items():
            found = other.scores[name]
            assert found is value is None or found == pytest.approx(value, rel=1e-6, abs=1e-6), name
    there = read_predictions(summed.predictions)
    for name, one in read_predictions(job.predictions).items():
        other = there[name]
        np.testing.assert_array_equal(one.utterance_id, other.utterance_id)
        np.testing.assert_array_equal(one.y_true, other.y_true)
        spread = max(float(one.y_pred.std()), 1e-3)
        worst = max(worst, float(np.abs(one.y_pred - other.y_pred).max()) / spread)
    return worst


@pytest.mark.parametrize("width", [1, 24, 300], ids=["one feature", "D < N", "D > N"])
def test_scores_and_predictions_are_those_of_the_activations(jobs, table, width):
    # Predictions are stored in float32: 12 ± 2 is rounded to 5e-7.
    assert compare(*jobs(activations(table, width))) < 2e-6


def test_utterances_that_could_not_be_read_are_left_out_alike(jobs, table):
    lost = table["utterance_id"].iloc[[3, 50, 200, 290]]
    assert compare(*jobs(activations(table, 24), lost)) < 2e-6


@pytest.mark.parametrize("width", [1, 24, 300], ids=["one feature", "D < N", "D > N"])
def test_inner_folds_choose_the_alpha_that_they_choose_of_activations(jobs, table, width):
    job, summed = jobs(activations(table, width), (), SplitsProtocol(validation=None), inner=True)
    assert len(summed.sums.units) > 5  # utterances without a value have folds of their own
    assert compare(job, summed) < 2e-6


@pytest.mark.parametrize(
    ("n_folds", "choose"), [(2, "auto"), (3, "inner"), (5, "auto")], ids=["2", "3 inner", "5"]
)
@pytest.mark.parametrize("width", [24, 300], ids=["D < N", "D > N"])
def test_folds_have_the_scores_of_the_activations(jobs, table, width, n_folds, choose):
    X, protocol = activations(table, width), KFoldProtocol(folds=n_folds)
    both = jobs(X, table["utterance_id"].iloc[[3, 50]] if n_folds == 5 else (), protocol,
                inner=n_folds < 5)  # fmt: skip
    job, summed = (
        dataclasses.replace(
            one,
            probes={"ridge": RidgeSettings(choose=choose), "cca": CcaSettings()},
            cells=tuple(
                dataclasses.replace(cell, fold=fold, cell_id=f"{cell.cell_id} {fold}")
                for cell in cells()
                if cell.probe != "soft"
                for fold in range(n_folds)
            ),
        )
        for one in both
    )
    for one, other in zip(probe_layer(job), probe_layer(summed), strict=True):
        assert (one.status, other.status) == ("done", "done"), (one.error, other.error)
        assert (one.n_train, one.n_test) == (other.n_train, other.n_test)
        assert one.details == pytest.approx(other.details, rel=1e-9)
        for name, value in one.scores.items():
            if name in ("mae", "spearman", "within_speaker"):
                assert other.scores[name] is None
            else:
                found = other.scores[name]
                same = found is value is None or found == pytest.approx(value, rel=1e-6, abs=1e-6)
                assert same, (name, found, value)
        assert other.scores["n_speakers"] == 20
    assert not summed.predictions.exists()


def test_the_standardiser_is_that_of_the_rows(table):
    X = activations(table, 24)
    gram = GramSettings(
        targets=("full",), row_sets=(0,), controls=("none",), layers=("x",), protocol=PROTOCOL
    )
    sums = LayerSums(gram, torch.device("cpu"))
    sums.add({"x": X}, table[["full"]].to_numpy())
    moments = moments_of_sums(sums.packed()["x"], 1)
    found, equations = normal_equations(moments, np.array([0]))
    expected = fit_standardiser(X)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-12)
    np.testing.assert_allclose(found.scale, expected.scale, rtol=1e-10)
    assert np.isinf(found.scale[-1])
    Z = expected(X)
    np.testing.assert_allclose(equations.matrix, Z.T @ Z, rtol=0, atol=1e-9 * len(X))


def test_activations_that_are_not_finite_fail_every_cell_of_the_layer(jobs, table):
    X = activations(table, 24)
    X[np.flatnonzero(table["split"] == "train")[5], 2] = np.nan
    _, summed = jobs(X)
    results = probe_layer(summed)
    assert {result.status for result in results} == {"failed"}
    assert "not finite" in results[0].error


def test_damaged_statistics_are_to_be_extracted_again(jobs, table):
    _, summed = jobs(activations(table, 24))
    path = data_path(summed.sums.units[0][0], 1)
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptShard) as found:
        probe_layer(summed)
    assert (found.value.folder, found.value.index) == (summed.sums.units[0][0], 1)


def test_ridge_without_validation_utterances_fails_with_the_reason(jobs, table):
    lost = table["utterance_id"][table["split"] == "validation"]
    _, summed = jobs(activations(table, 24), lost)
    by_probe = {result.cell_id: result for result in probe_layer(summed)}
    assert "validation" in by_probe["ridge full none"].error
    assert by_probe["cca full none"].status == "done"
