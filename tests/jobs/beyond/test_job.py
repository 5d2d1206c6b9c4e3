"""What a layer adds to nuisances, on real shards with activations of known content."""

import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from jobs.activations.store import write_shard
from jobs.beyond.job import BeyondJob, find_added
from jobs.beyond.nuisances import BaselineRows, nuisances_of, speaker_mean_band
from jobs.beyond.results import BeyondError, read_beyond, write_beyond
from jobs.corpus.table import Utterance, make_table, write_table
from jobs.job import Worker
from jobs.protocol.folds import Fold
from jobs.protocol.settings import KFoldProtocol, Protocols, SplitsProtocol

SPEAKERS, EACH = 24, 20
ALPHAS = (1e-3, 1e-1, 10.0, 1e3)


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture
def corpus():
    """480 utterances of 24 speakers, with two nuisances: the fbank's (3) and the energy."""
    rng = np.random.default_rng(0)
    parts = ["train"] * 14 + ["validation"] * 4 + ["test"] * 6
    table = make_table(
        Utterance(
            f"s{speaker:02d}-{i:02d}", "/nowhere", "x", f"s{speaker:02d}", "0", parts[speaker],
            2.0 + i, 32000 + i, "d",
        )
        for speaker in range(SPEAKERS)
        for i in range(EACH)
    )  # fmt: skip
    fbank = rng.standard_normal((len(table), 3))
    return table.assign(energy=rng.standard_normal(len(table))), fbank


def make_job(tmp_path, table, fbank, X, **changes):
    write_table(tmp_path / "table.csv", table)
    names = table["utterance_id"].tolist()
    for folder, layer, values in (("layer", "layer", X), ("fbank", "statistics", fbank)):
        write_shard(tmp_path / folder, 0, {layer: values.astype(np.float32)}, names, [], {})
    job = BeyondJob(
        model="m",
        layer="layer",
        activations=((tmp_path / "layer", 1),),
        table=tmp_path / "table.csv",
        protocols=Protocols(SplitsProtocol()),
        targets=("y",),
        classes={},
        nuisances=("fbank", "energy"),
        baselines={"fbank": BaselineRows("statistics", ((tmp_path / "fbank", 1),))},
        alphas=ALPHAS,
        file=tmp_path / "found.npz",
    )
    return dataclasses.replace(job, **changes)


def r2(fold, predicted):
    error = np.sum((fold.y_true - predicted) ** 2)
    return 1 - error / np.sum((fold.y_true - fold.train_mean) ** 2)


def test_a_layer_adds_what_it_alone_knows_and_nothing_if_it_repeats_the_nuisances(corpus, tmp_path):
    table, fbank = corpus
    rng = np.random.default_rng(1)
    own, noise = rng.standard_normal((2, len(table)))
    table = table.assign(y=10 + fbank[:, 0] + own + noise)
    test = table["split"] == "test"
    mixing = rng.standard_normal((4, 40))
    for name, known, truly in (("new", own, own), ("old", fbank[:, 1], 0 * own)):
        X = np.column_stack([fbank, known]) @ mixing
        (fold,) = find_added(make_job(tmp_path / name, table, fbank, X))["y"]
        best_alone = r2(fold, (10 + fbank[:, 0])[test])
        best_both = r2(fold, (10 + fbank[:, 0] + truly)[test])
        assert r2(fold, fold.nuisances) == pytest.approx(best_alone, abs=0.03)
        assert r2(fold, fold.both) == pytest.approx(best_both, abs=0.03)


def test_without_a_validation_split_alphas_are_chosen_on_inner_folds(corpus, tmp_path):
    table, fbank = corpus
    rng = np.random.default_rng(2)
    X = rng.standard_normal((len(table), 10))
    table = table.assign(y=fbank[:, 0] + 0.3 * X[:, 1] + rng.standard_normal(len(table)))
    job = make_job(
        tmp_path,
        table,
        fbank,
        X,
        protocols=Protocols(SplitsProtocol(validation=None)),
        nuisances=("fbank",),
    )
    (fold,) = find_added(job)["y"]
    train = np.flatnonzero(table["split"] == "train")
    groups = table["speaker_id"].to_numpy()[train]
    y = table["y"].to_numpy()

    def predict(rows, test, alphas):
        scalers = [StandardScaler().fit(band[rows]) for band in (fbank, X)]
        Z = np.concatenate(
            [
                scaler.transform(band.astype(np.float32)) / np.sqrt(alpha)
                for scaler, band, alpha in zip(scalers, (fbank, X), alphas, strict=True)
            ],
            axis=1,
        )
        return Ridge(alpha=len(rows)).fit(Z[rows], y[rows]).predict(Z[test])

    def error(alphas):
        return sum(
            np.sum((y[train[out]] - predict(train[fitted], train[out], alphas)) ** 2)
            for fitted, out in GroupKFold(5).split(train, groups=groups)
        )

    chosen = fold.alphas_both.tolist()
    grid = {(a, b): error((a, b)) for a in ALPHAS for b in ALPHAS}
    assert tuple(chosen) == min(grid, key=grid.get)
    test = np.flatnonzero(table["split"] == "test")
    np.testing.assert_allclose(fold.both, predict(train, test, chosen), rtol=1e-5)


def test_folds_are_each_tested_once_and_rows_without_a_nuisance_are_left_out(corpus, tmp_path):
    table, fbank = corpus
    fbank[5] = np.nan
    table = table.assign(y=fbank[:, 0])
    table.loc[7, "energy"] = np.nan
    table.loc[9, "y"] = np.nan
    X = np.random.default_rng(3).standard_normal((len(table), 4))
    folds = find_added(
        make_job(tmp_path, table, fbank, X, protocols=Protocols(KFoldProtocol(folds=3)))
    )["y"]
    names = np.concatenate([fold.utterance_id for fold in folds])
    assert len(set(names)) == len(names) == len(table) - 3
    assert not set(table["utterance_id"].iloc[[5, 7, 9]]) & set(names)


def test_classes_are_predicted_by_the_largest_of_their_columns(corpus, tmp_path):
    table, fbank = corpus
    X = np.random.default_rng(4).standard_normal((len(table), 4))
    of_layer, of_nuisance = X[:, 0] > 0, fbank[:, 0] > 0
    table = table.assign(y=np.where(of_layer, "a", np.where(of_nuisance, "b", "c")))
    job = make_job(
        tmp_path, table, fbank, X, classes={"y": ("a", "b", "c")},
        nuisances=("fbank", "energy", "speaker_mean"),
    )  # fmt: skip
    (fold,) = find_added(job)["y"]
    assert set(fold.y_true) == {0, 1, 2} and fold.train_mean == 0  # half of them are a
    alone, both = (np.mean(fold.y_true == p) for p in (fold.nuisances, fold.both))
    assert alone < 0.6 and both > 0.75
    assert len(fold.alphas_nuisances) == 2  # a speaker has no mean class


def test_the_speaker_mean_is_of_the_other_utterances_in_the_same_split():
    y = np.array([1.0, 3.0, 8.0, 4.0, 5.0, 9.0])
    speakers = np.array(["a", "a", "b", "c", "c", "c"])
    fold = Fold(np.array([0, 1, 2]), np.array([], dtype=np.int64), np.array([3, 4]))
    band = speaker_mean_band(y, speakers, fold)
    assert band[:5, 0].tolist() == [3, 1, 4, 5, 4]  # the only utterance of b has the training mean
    assert np.isnan(band[5, 0])


@pytest.mark.parametrize(
    ("target", "kind", "expected"),
    [
        ("cps", "regression", ("fbank", "duration", "energy", "f0", "speaker_mean")),
        ("energy", "regression", ("fbank", "duration", "f0", "speaker_mean")),
        ("f0_mean", "regression", ("fbank", "duration", "energy", "speaker_mean")),
        ("duration", "regression", ("fbank", "energy", "f0", "speaker_mean")),
        ("sex", "classification", ("fbank", "duration", "energy", "f0")),
    ],
)
def test_a_nuisance_that_would_give_the_target_away_is_left_out(target, kind, expected):
    asked = ("fbank", "duration", "energy", "f0", "speaker_mean")
    assert nuisances_of(asked, target, kind) == expected


def test_what_is_written_is_read_again_and_damage_is_named(corpus, tmp_path):
    table, fbank = corpus
    X = np.random.default_rng(5).standard_normal((len(table), 4))
    job = make_job(tmp_path, table.assign(y=X[:, 0]), fbank, X)
    assert job.run(Worker()).seconds > 0
    (fold,) = read_beyond(job.file)["y"]
    (expected,) = find_added(job)["y"]
    for field in dataclasses.fields(fold):
        np.testing.assert_array_equal(getattr(fold, field.name), getattr(expected, field.name))
    write_beyond(job.file, {"y": [fold]})
    job.file.write_bytes(job.file.read_bytes()[:-40])
    with pytest.raises(BeyondError, match="delete it and run again"):
        read_beyond(job.file)


def test_too_few_utterances_with_nuisances_are_an_error_that_names_them(corpus, tmp_path):
    table, fbank = corpus
    X = np.random.default_rng(6).standard_normal((len(table), 4))
    job = make_job(tmp_path, table.assign(y=X[:, 0], energy=np.nan), fbank, X)
    with pytest.raises(ValueError, match=r"y: fold 0 has 0 training .* values of y, fbank, energy"):
        find_added(job)
