"""The probe job on real shards and tables, with activations of known content."""

import dataclasses

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from threadpoolctl import threadpool_limits

from jobs.activations.cache_layout import data_path
from jobs.activations.manifest import CorruptShard
from jobs.activations.store import write_shard
from jobs.corpus.table import Utterance, make_table, write_table
from jobs.probes import (
    PROBES,
    REGRESSION,
    CcaSettings,
    LogisticSettings,
    MlpSettings,
    Probe,
    ProbeSettings,
    RidgeSettings,
    probe_name,
    seed_count,
)
from jobs.probes.result import ProbeResult
from jobs.probing.job import ProbeJob, probe_layer
from jobs.protocol.cells import Cell
from jobs.protocol.controls import control_target
from jobs.protocol.folds import make_folds
from jobs.protocol.predictions import read_predictions
from jobs.protocol.settings import KFoldProtocol, Protocols, SplitsProtocol
from jobs.statistics import scoring
from jobs.statistics.scores import VALIDATION_LOSS

SPEAKERS, EACH, WIDTH = 24, 20, 32
MLP = MlpSettings(epochs=30)


@pytest.fixture(autouse=True)
def one_thread():
    """As a probe task runs; products this small only lose by more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
    torch.set_num_threads(before)


@pytest.fixture
def corpus():
    """480 utterances of 24 speakers; the target has a speaker effect."""
    rng = np.random.default_rng(0)
    parts = ["train"] * 14 + ["validation"] * 4 + ["test"] * 6
    table = make_table(
        Utterance(
            utterance_id=f"s{speaker:02d}-{i:02d}",
            audio_path="/nowhere",
            text="x",
            speaker_id=f"s{speaker:02d}",
            chapter_id="0",
            split=parts[speaker],
            seconds=2.0 + i,
            n_samples=32000 + i,
            audio_digest="d",
        )
        for speaker in range(SPEAKERS)
        for i in range(EACH)
    )
    level = rng.standard_normal(SPEAKERS)[[int(name[1:]) for name in table["speaker_id"]]]
    table["cps"] = 12 + level + rng.standard_normal(len(table))
    return table


def activations(table, r2, seed=0):
    """(U, D): one direction carries the target at the given R², the rest is noise.

    r2 = 1 / (1 + noise variance) for a signal of unit variance.
    """
    rng = np.random.default_rng(seed)
    X = 0.05 * rng.standard_normal((len(table), WIDTH))
    if r2:
        y = (table["cps"] - table["cps"].mean()) / table["cps"].std()
        seen = y + np.sqrt(1 / r2 - 1) * rng.standard_normal(len(table))
        X += np.outer(seen, rng.standard_normal(WIDTH))
    return X.astype(np.float32)


def all_cells(folds=1, targets=("cps",), controls=("none", "shuffled"), mlp_seeds=2):
    seeds = {"ridge": 1, "cca": 1, "mlp": mlp_seeds}
    return tuple(
        Cell(f"{name}-{target}-{control}-{seed}-{fold}", name, target, seed, fold, control)
        for fold in range(folds)
        for name, n in seeds.items()
        for target in targets
        for control in controls
        for seed in range(n)
    )


def job(tmp_path, table, X, keep=None, **changes):
    """A job on two activation sets, of which one has two shards and an order of its own."""
    write_table(tmp_path / "table.csv", table)
    rows = np.arange(len(table)) if keep is None else np.flatnonzero(keep)
    names = table["utterance_id"].to_numpy()
    half, order = len(rows) // 2, np.random.default_rng(9).permutation(rows)
    sets = [("a", 0, order[: half // 2]), ("a", 1, order[half // 2 : half]), ("b", 0, order[half:])]
    for folder, index, part in sets:
        layers = {"other": np.zeros((len(part), 2), np.float32), "layer": X[part]}
        write_shard(tmp_path / folder, index, layers, names[part].tolist(), [], {})
    given = ProbeJob(
        model="m",
        layer="layer",
        activations=((tmp_path / "a", 2), (tmp_path / "b", 1)),
        table=tmp_path / "table.csv",
        probes={"ridge": RidgeSettings(), "mlp": MLP, "cca": CcaSettings()},
        protocols=Protocols(SplitsProtocol()),
        cells=all_cells(),
        predictions=tmp_path / "predictions.npz",
    )
    return dataclasses.replace(given, **changes)


def by_id(results):
    return {result.cell_id: result for result in results}


def test_a_layer_that_encodes_the_target_scores_r2_09_and_its_control_near_zero(tmp_path, corpus):
    results = probe_layer(job(tmp_path, corpus, activations(corpus, 0.9)))
    assert [result.status for result in results] == ["done"] * 8
    for result in results:
        r2 = result.scores["r2"]
        if "none" in result.cell_id:
            # Four validation speakers stop a network at a somewhat arbitrary epoch.
            assert r2 == pytest.approx(0.9, abs=0.1 if "mlp" in result.cell_id else 0.03)
            assert result.scores["pearson"] == pytest.approx(np.sqrt(0.9), abs=0.03)
        else:
            assert -0.35 < r2 < 0.05  # unregularised or noisy probes fall below the mean predictor
        assert (result.n_train, result.n_test) == (14 * EACH, 6 * EACH)
    assert by_id(results)["ridge-cps-shuffled-0-0"].scores["r2"] == pytest.approx(0, abs=0.05)


def test_a_layer_of_noise_scores_no_better_than_the_mean(tmp_path, corpus):
    for result in probe_layer(job(tmp_path, corpus, activations(corpus, 0))):
        assert result.scores["r2"] < 0.05
        assert result.scores["mse"] >= 0.95 * result.scores["mean_mse"]


def test_results_are_in_cell_order_with_the_details_of_their_probe(tmp_path, corpus):
    cells = all_cells()[::-1]
    results = probe_layer(job(tmp_path, corpus, activations(corpus, 0.5), cells=cells))
    assert [result.cell_id for result in results] == [cell.cell_id for cell in cells]
    found = by_id(results)
    assert set(found["ridge-cps-none-0-0"].details) == {"alpha", "alpha_at_edge"}
    assert set(found["mlp-cps-none-1-0"].details) == {"epochs", "best_epoch"}
    assert found["mlp-cps-none-0-0"].scores != found["mlp-cps-none-1-0"].scores


def test_predictions_on_disk_give_the_scores(tmp_path, corpus):
    given = job(tmp_path, corpus, activations(corpus, 0.5))
    results = probe_layer(given)
    stored = read_predictions(given.predictions)
    speaker = corpus.set_index("utterance_id")["speaker_id"]
    truth = corpus.set_index("utterance_id")["cps"]
    for result in results:
        cell = stored[result.cell_id]
        groups = speaker[cell.utterance_id].to_numpy(dtype=np.str_)
        y, y_pred = cell.y_true.astype(float), cell.y_pred.astype(float)
        again = scoring.score_numbers(y, y_pred, cell.train_mean, groups)
        tested = {k: v for k, v in result.scores.items() if k not in VALIDATION_LOSS.values()}
        assert again.keys() == tested.keys()
        for name, value in tested.items():
            expected = value if value is None else pytest.approx(value, rel=1e-4, abs=1e-6)
            assert again[name] == expected, name
        own = truth[cell.utterance_id].to_numpy()
        if "none" in result.cell_id:
            np.testing.assert_array_equal(cell.y_true, own.astype(np.float32))
        else:
            assert not np.array_equal(cell.y_true, own.astype(np.float32))
            np.testing.assert_array_equal(np.sort(cell.y_true), np.sort(own.astype(np.float32)))


def test_permuting_the_validation_split_does_not_raise_test_scores(tmp_path, corpus):
    """What the validation part says may only choose; it cannot leak into the test scores."""
    X = activations(corpus, 0.5)
    (fold,) = make_folds(SplitsProtocol(), corpus)
    permuted = corpus.copy()
    mixed = np.random.default_rng(1).permutation(fold.validation)
    permuted.loc[fold.validation, "cps"] = corpus["cps"].to_numpy()[mixed]
    honest = by_id(probe_layer(job(tmp_path / "1", corpus, X)))
    disturbed = by_id(probe_layer(job(tmp_path / "2", permuted, X)))
    for cell_id in (cell.cell_id for cell in all_cells(controls=("none",))):
        before, after = honest[cell_id].scores["r2"], disturbed[cell_id].scores["r2"]
        assert after <= before + (0.05 if cell_id.startswith("mlp") else 0.01)
        if cell_id.startswith("cca"):  # which uses no validation part
            assert after == before


def test_kfold_tests_every_utterance_once_and_no_speaker_twice(tmp_path, corpus):
    protocol = KFoldProtocol(folds=4)
    given = job(
        tmp_path,
        corpus,
        activations(corpus, 0.9),
        protocols=Protocols(protocol),
        cells=all_cells(folds=4),
    )
    results = probe_layer(given)
    assert all(result.status == "done" and result.scores["r2"] < 1 for result in results)
    stored = read_predictions(given.predictions)
    tested = [stored[f"ridge-cps-none-0-{fold}"].utterance_id for fold in range(4)]
    assert sorted(np.concatenate(tested)) == sorted(corpus["utterance_id"])
    speakers = [{name[:3] for name in names} for names in tested]
    assert sum(map(len, speakers)) == len(set.union(*speakers)) == SPEAKERS


def test_skipped_utterances_are_left_out_without_affecting_others(tmp_path, corpus):
    X = activations(corpus, 0.5)
    keep = np.arange(len(corpus)) % 10 != 0
    results = by_id(probe_layer(job(tmp_path, corpus, X, keep=keep)))
    (fold,) = make_folds(SplitsProtocol(), corpus)
    result = results["ridge-cps-none-0-0"]
    assert (result.n_train, result.n_test) == (keep[fold.train].sum(), keep[fold.test].sum())
    stored = read_predictions(tmp_path / "predictions.npz")["ridge-cps-shuffled-0-0"]
    rows = fold.test[keep[fold.test]]
    assert stored.utterance_id.tolist() == corpus["utterance_id"].iloc[rows].tolist()
    cell = Cell("", "ridge", "cps", 0, 0, "shuffled")
    control = control_target(corpus["cps"].to_numpy(), fold, cell, speakers_of(corpus))
    np.testing.assert_array_equal(stored.y_true, control[rows].astype(np.float32))


def speakers_of(corpus):
    return corpus["speaker_id"].to_numpy(dtype=np.str_)


def test_the_speaker_control_draws_one_value_per_speaker_seed_and_target(corpus):
    values, speakers = corpus["cps"].to_numpy(copy=True), speakers_of(corpus)
    values[np.random.default_rng(0).random(len(values)) < 0.2] = np.nan
    (fold,) = make_folds(SplitsProtocol(), corpus)
    cell = Cell("id", "ridge", "cps", 0, 0, "speaker")
    drawn = control_target(values, fold, cell, speakers)
    np.testing.assert_array_equal(np.isnan(drawn), np.isnan(values))
    by_speaker = [np.unique(drawn[(speakers == s) & ~np.isnan(drawn)]) for s in set(speakers)]
    assert all(len(found) == 1 and found[0] in values for found in by_speaker)
    assert len({found[0] for found in by_speaker}) > len(by_speaker) / 2
    same = dataclasses.replace(cell, cell_id="other", probe="mlp", fold=1)
    np.testing.assert_array_equal(control_target(values, fold, same, speakers), drawn)
    for change in ({"seed": 1}, {"target": "pitch"}):
        other = control_target(values, fold, dataclasses.replace(cell, **change), speakers)
        assert not np.array_equal(other, drawn, equal_nan=True)
    backwards = control_target(values[::-1], fold, cell, speakers[::-1])
    np.testing.assert_array_equal(backwards[::-1], drawn)


def test_the_shuffled_control_permutes_within_splits_by_seed_target_and_fold(corpus):
    values, speakers = corpus["cps"].to_numpy(), speakers_of(corpus)
    (fold,) = make_folds(SplitsProtocol(), corpus)
    cell = Cell("id", "ridge", "cps", 0, 0, "shuffled")
    shuffled = control_target(values, fold, cell, speakers)
    for rows in (fold.train, fold.validation, fold.test):
        assert not np.array_equal(shuffled[rows], values[rows])
        np.testing.assert_array_equal(np.sort(shuffled[rows]), np.sort(values[rows]))
    same = dataclasses.replace(cell, cell_id="other", probe="mlp")
    np.testing.assert_array_equal(control_target(values, fold, same, speakers), shuffled)
    for change in ({"seed": 1}, {"target": "pitch"}, {"fold": 1}):
        other = control_target(values, fold, dataclasses.replace(cell, **change), speakers)
        assert not np.array_equal(other, shuffled)
    np.testing.assert_array_equal(control_target(values, fold, cell, speakers), shuffled)
    with pytest.raises(ValueError, match="unknown control 'permuted'"):
        control_target(values, fold, dataclasses.replace(cell, control="permuted"), speakers)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_non_finite_activations_fail_every_cell_and_name_the_utterances(tmp_path, corpus, value):
    X = activations(corpus, 0.5)
    X[[3, 7], 5] = value
    X[7, 6] = value
    given = job(tmp_path, corpus, X)
    results = probe_layer(given)
    assert {result.status for result in results} == {"failed"}
    expected = f"3 values in 2 of {len(corpus)} utterances are not finite"
    named = ", ".join(corpus["utterance_id"].iloc[[3, 7]])
    assert expected in results[0].error and named in results[0].error
    assert results[0].scores == {} and not given.predictions.exists()


def test_a_probe_that_raises_fails_its_own_cells_with_the_reason(tmp_path, corpus, monkeypatch):
    def broken(*_):
        raise FloatingPointError("no luck\nat all")

    monkeypatch.setitem(PROBES, "cca", Probe(PROBES["cca"].settings, broken, predicts=REGRESSION))
    results = probe_layer(job(tmp_path, corpus, activations(corpus, 0.5)))
    for result in results:
        assert result.status == ("failed" if result.cell_id.startswith("cca") else "done")
    error = by_id(results)["cca-cps-none-0-0"].error
    assert error.startswith("FloatingPointError: no luck at all (test_job.py:")
    assert error.endswith("in broken)")
    assert "cca-cps-none-0-0" not in read_predictions(tmp_path / "predictions.npz")


def test_a_non_finite_prediction_fails_only_its_cell(tmp_path, corpus, monkeypatch):
    def half_broken(settings, X, Y, fold, groups, seeds):
        predictions = np.zeros((len(fold.test), Y.shape[1]))
        predictions[0, 0], predictions[0, 1] = np.nan, 1e39
        return ProbeResult(predictions, [{}] * Y.shape[1])

    monkeypatch.setitem(
        PROBES, "mlp", Probe(PROBES["mlp"].settings, half_broken, predicts=REGRESSION)
    )
    results = by_id(probe_layer(job(tmp_path, corpus, activations(corpus, 0.5))))
    for cell_id in ("mlp-cps-none-0-0", "mlp-cps-none-1-0"):
        assert results[cell_id].status == "failed"
        assert "1 of 120 predictions are not finite" in results[cell_id].error
    assert results["mlp-cps-shuffled-0-0"].status == "done"


def test_a_missing_target_fails_only_its_cells(tmp_path, corpus):
    cells = all_cells(targets=("cps", "loudness"))
    results = probe_layer(job(tmp_path, corpus, activations(corpus, 0.5), cells=cells))
    for cell, result in zip(cells, results, strict=True):
        assert result.status == ("done" if cell.target == "cps" else "failed")
        if cell.target == "loudness":
            assert result.error == "the utterance table has no target 'loudness'"


def test_missing_values_of_a_target_do_not_affect_other_targets(tmp_path, corpus):
    X = activations(corpus, 0.5)
    gaps = np.random.default_rng(2).random(len(corpus)) < 0.2
    corpus["jitter"] = corpus["cps"].where(~gaps)
    corpus.loc[np.flatnonzero(gaps)[0], "jitter"] = np.inf
    cells = all_cells(targets=("cps", "jitter"))
    both = by_id(probe_layer(job(tmp_path / "both", corpus, X, cells=cells)))
    alone = by_id(probe_layer(job(tmp_path / "cps", corpus, X)))
    whole = corpus[~gaps].reset_index(drop=True)
    cells = all_cells(targets=("jitter",))
    rest = by_id(probe_layer(job(tmp_path / "jitter", whole, X[~gaps], cells=cells)))
    assert both.keys() == alone.keys() | rest.keys()
    for cell_id, result in both.items():
        assert result.status == "done"
        expected = (alone | rest)[cell_id]
        assert dataclasses.replace(result, seconds=0) == dataclasses.replace(expected, seconds=0)
    stored = read_predictions(tmp_path / "both" / "predictions.npz")
    assert not set(stored["ridge-jitter-none-0-0"].utterance_id) & set(
        corpus.loc[gaps, "utterance_id"]
    )


def test_folds_of_a_target_with_missing_values_are_those_of_the_whole_table(tmp_path, corpus):
    """Cut anew, they could put a speaker on two sides for two targets."""
    protocol = KFoldProtocol(folds=4)
    gaps = (corpus["speaker_id"] < "s09").to_numpy() & (np.arange(len(corpus)) % 4 != 0)
    corpus["jitter"] = corpus["cps"].where(~gaps)
    cells = [c for c in all_cells(4, ("jitter",), ("none",)) if c.probe == "ridge"]
    X = activations(corpus, 0.5)
    given = job(tmp_path, corpus, X, protocols=Protocols(protocol), cells=tuple(cells))
    assert {result.status for result in probe_layer(given)} == {"done"}
    stored = read_predictions(given.predictions)
    for number, fold in enumerate(make_folds(protocol, corpus)):
        rows = fold.test[~gaps[fold.test]]
        expected = corpus["utterance_id"].iloc[rows].tolist()
        assert stored[f"ridge-jitter-none-0-{number}"].utterance_id.tolist() == expected


def test_a_fold_without_test_activations_fails_with_a_message(tmp_path, corpus):
    given = job(tmp_path, corpus, activations(corpus, 0.5), keep=corpus["split"] != "test")
    results = probe_layer(given)
    assert {result.status for result in results} == {"failed"}
    assert "fold 0 has 280 training and 0 test utterances" in results[0].error


def test_a_corrupt_shard_is_raised_to_the_caller(tmp_path, corpus):
    given = job(tmp_path, corpus, activations(corpus, 0.5))
    path = data_path(tmp_path / "a", 1)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1  # most bytes are of this layer
    path.write_bytes(data)
    with pytest.raises(CorruptShard):
        probe_layer(given)


def test_inconsistent_activations_are_rejected(tmp_path, corpus):
    given = job(tmp_path, corpus, activations(corpus, 0.5))
    twice = dataclasses.replace(given, activations=given.activations * 2)
    with pytest.raises(ValueError, match="a second time"):
        probe_layer(twice)
    narrow = {"layer": np.zeros((1, 3), np.float32)}
    write_shard(tmp_path / "c", 0, narrow, ["s00-00"], [], {})
    with pytest.raises(ValueError, match="not of one model"):
        probe_layer(
            dataclasses.replace(given, activations=(*given.activations, (tmp_path / "c", 1)))
        )
    with pytest.raises(ValueError, match="no utterance"):
        probe_layer(dataclasses.replace(given, activations=()))


def test_cells_computed_one_by_one_equal_cells_computed_together(tmp_path, corpus):
    X = activations(corpus, 0.5)
    cells = all_cells()
    together = probe_layer(job(tmp_path / "together", corpus, X))
    for cell, expected in zip(cells, together, strict=True):
        given = job(tmp_path / "alone", corpus, X, cells=(cell,))
        (alone,) = probe_layer(given)
        assert dataclasses.replace(alone, seconds=0) == dataclasses.replace(expected, seconds=0)
        assert read_predictions(given.predictions).keys() == {cell.cell_id}


KINDS = [(name, kind) for name, one in PROBES.items() for kind in sorted(one.predicts)]


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_results_are_bit_identical_whatever_shares_the_batch(name, kind, corpus):
    settings = TypeAdapter(ProbeSettings).validate_python({"kind": name})
    X, rng = activations(corpus, 0.5), np.random.default_rng(0)
    (fold,) = make_folds(SplitsProtocol(), corpus)
    y = corpus["cps"].to_numpy()
    Y = np.stack([y, y, rng.permutation(y), rng.standard_normal(len(y)), 3 * y], axis=1)
    if kind == "classification":
        Y = np.digitize(Y, [0, 12, 13]).astype(float)
    groups, seeds = corpus["speaker_id"].to_numpy(dtype=np.str_), [0, 1, 0, 0, 2]
    fit = PROBES[name].fit(kind)
    together = fit(settings, X, Y, fold, groups, seeds)
    for columns in ([0], [3], [1, 4], [2, 0, 3]):
        some = fit(settings, X, Y[:, columns], fold, groups, [seeds[k] for k in columns])
        np.testing.assert_array_equal(some.predictions, together.predictions[:, columns])
        assert some.details == [together.details[k] for k in columns]


SEX = {"sex": ("f", "m")}


def with_classes(corpus):
    """``corpus`` with two classes that the activations know by way of ``cps``, and a gap."""
    corpus["sex"] = np.where(corpus["cps"] > corpus["cps"].median(), "m", "f")
    corpus.loc[5, "sex"] = ""
    corpus["reader"] = corpus["speaker_id"].str.replace("s", "00")
    return corpus


def class_job(tmp_path, corpus, X, targets=("sex",), **changes):
    cells = tuple(
        Cell(f"logistic-{target}-{control}", "logistic", target, 0, 0, control)
        for target in targets
        for control in ("none", "shuffled")
    )
    given = {"probes": {"logistic": LogisticSettings()}, "cells": cells, "classes": SEX}
    return job(tmp_path, corpus, X, **(given | changes))


def test_classes_are_predicted_and_shuffled_classes_are_not(tmp_path, corpus):
    corpus = with_classes(corpus)
    given = class_job(tmp_path, corpus, activations(corpus, 0.9))
    real, control = probe_layer(given)
    assert (real.status, control.status) == ("done", "done")
    assert real.scores["accuracy"] > 0.85
    assert control.scores["accuracy"] == pytest.approx(0.5, abs=0.1)
    assert real.scores["majority_accuracy"] == control.scores["majority_accuracy"]
    assert {"alpha", "converged"} <= real.details.keys() and "r2" not in real.scores
    assert real.n_train + real.n_test == 20 * EACH - (corpus["split"][5] != "validation")
    cell = read_predictions(given.predictions)["logistic-sex-none"]
    truth = corpus.set_index("utterance_id")["sex"][list(cell.utterance_id)]
    assert [SEX["sex"][int(code)] for code in cell.y_true] == list(truth)
    found = [SEX["sex"][int(code)] for code in cell.y_pred]
    assert np.mean(np.array(found) == truth) == real.scores["accuracy"]
    train = corpus[(corpus["split"] == "train") & (corpus["sex"] != "")]["sex"]
    assert SEX["sex"][int(cell.train_mean)] == train.mode()[0]


def test_classes_that_look_like_numbers_are_classes(tmp_path, corpus):
    corpus = with_classes(corpus)
    names = tuple(sorted(corpus["reader"].unique()))
    protocol = KFoldProtocol(folds=3, group="utterance_id", allow_speaker_overlap=True)
    given = class_job(
        tmp_path, corpus, activations(corpus, 0.9), ("reader",), classes={"reader": names},
        protocols=Protocols(protocol),
    )  # fmt: skip
    real, _ = probe_layer(given)
    assert real.status == "done", real.error
    cell = read_predictions(given.predictions)["logistic-reader-none"]
    truth = corpus.set_index("utterance_id")["reader"][list(cell.utterance_id)]
    assert [names[int(code)] for code in cell.y_true] == list(truth)


def test_numbers_and_classes_are_never_fitted_together(tmp_path, corpus, monkeypatch):
    corpus, calls = with_classes(corpus), []
    corpus["sex"] = corpus["sex"].replace("", "f")  # the same rows have values of both

    def told(kind):
        def fit(settings, X, Y, fold, groups, seeds):
            calls.append((kind, Y.shape[1]))
            return ProbeResult(Y[fold.test], [{}] * Y.shape[1])

        return fit

    both = Probe(
        PROBES["logistic"].settings,
        told("number"),
        predicts=REGRESSION | {"classification"},
        classify=told("class"),
    )
    monkeypatch.setitem(PROBES, "logistic", both)
    given = class_job(tmp_path, corpus, activations(corpus, 0.5), ("sex", "cps"))
    results = by_id(probe_layer(given))
    assert sorted(calls) == [("class", 2), ("number", 2)]
    assert results["logistic-sex-none"].scores["accuracy"] == 1
    assert results["logistic-cps-none"].scores["r2"] == pytest.approx(1)


def test_an_unplanned_class_is_rejected(tmp_path, corpus):
    corpus = with_classes(corpus)
    given = class_job(tmp_path, corpus, activations(corpus, 0.5), classes={"sex": ("f",)})
    with pytest.raises(ValueError, match="classes of sex that were not planned \\(first: 'm'\\)"):
        probe_layer(given)


def test_a_probe_is_named_by_name_or_kind_and_repeated_per_seed():
    assert probe_name(RidgeSettings()) == "ridge"
    assert probe_name(MlpSettings(name="study-mlp", preset="study")) == "study-mlp"
    assert [seed_count(s) for s in (RidgeSettings(), CcaSettings(), MlpSettings(seeds=4))] == [
        1,
        1,
        4,
    ]
