"""Scores of classes against scikit-learn, and their intervals against plain loops."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from jobs.statistics.classification import class_sums, majority_class, pool
from jobs.statistics.points import pooled_class_scores
from jobs.statistics.scores import class_scores
from jobs.statistics.scoring import score_classes
from jobs.statistics.speaker_intervals import class_intervals
from tests.support.by_hand import t_interval


def lopsided(seed=0, n=300, n_classes=4, n_speakers=9, right=0.6):
    """(true codes, predicted codes, speakers), classes and speakers of very unequal sizes."""
    rng = np.random.default_rng(seed)
    shares = np.arange(1, n_classes + 1) ** 2.0
    y = rng.choice(n_classes, n, p=shares / shares.sum()).astype(float)
    y_pred = np.where(rng.random(n) < right, y, rng.integers(0, n_classes, n)).astype(float)
    sizes = np.arange(1, n_speakers + 1) / np.arange(1, n_speakers + 1).sum()
    return y, y_pred, rng.choice([f"s{i}" for i in range(n_speakers)], n, p=sizes).astype(np.str_)


def sklearn_scores(y, y_pred):
    present = np.unique(y)
    return {
        "accuracy": accuracy_score(y, y_pred),
        "balanced_accuracy": np.mean([np.mean(y_pred[y == c] == c) for c in present]),
        "macro_f1": f1_score(y, y_pred, labels=present, average="macro", zero_division=0.0),
    }


@pytest.mark.parametrize("n_classes", [2, 4, 30])
def test_scores_are_scikit_learns(n_classes):
    y, y_pred, _ = lopsided(n_classes=n_classes)
    y_pred = np.where(np.isin(y_pred, y), y_pred, y[0])
    found = score_classes(y, y_pred, majority=3.0)
    assert found["accuracy"] == pytest.approx(accuracy_score(y, y_pred), rel=1e-12)
    balanced = balanced_accuracy_score(y, y_pred)
    assert found["balanced_accuracy"] == pytest.approx(balanced, rel=1e-12)
    assert found["macro_f1"] == pytest.approx(f1_score(y, y_pred, average="macro"), rel=1e-12)
    always = np.full_like(y, 3.0)
    assert found["majority_accuracy"] == pytest.approx(accuracy_score(y, always), rel=1e-12)


def test_a_class_that_never_occurs_counts_only_through_what_was_lost_to_it():
    y, y_pred = np.array([0.0, 0, 1, 1]), np.array([0.0, 7, 1, 1])
    found = score_classes(y, y_pred, majority=7.0)
    assert found == {
        "accuracy": 0.75,
        "balanced_accuracy": 0.75,
        "macro_f1": pytest.approx((2 / 3 + 1) / 2),
        "majority_accuracy": 0.0,
    }


def test_one_class_alone_is_scored():
    found = score_classes(np.ones(3), np.array([1.0, 1, 0]), majority=1.0)
    assert found["accuracy"] == found["balanced_accuracy"] == pytest.approx(2 / 3)
    assert found["majority_accuracy"] == 1.0


def test_the_majority_is_the_most_frequent_and_of_equals_the_first():
    assert majority_class(np.array([2.0, 2, 1])) == 2
    assert majority_class(np.array([2.0, 2, 1, 1])) == 1


def test_counts_are_pooled_over_folds_and_scores_averaged_over_seeds():
    runs, expected = [], []
    for seed in (1, 2):
        y, y_pred, groups = lopsided(seed, n_classes=3 + seed)
        cuts = [slice(0, 100), slice(100, 130), slice(130, None)]
        runs.append([class_sums(y[cut], y_pred[cut], groups[cut]) for cut in cuts])
        expected.append(sklearn_scores(y, y_pred))
    found = pooled_class_scores(runs)
    for name in [row.name for row in class_scores()]:
        mean = np.mean([scores[name] for scores in expected])
        assert found[name] == pytest.approx(mean, rel=1e-12)


def test_pooling_is_the_same_as_counting_all_at_once():
    y, y_pred, groups = lopsided()
    parts = [class_sums(y[rows], y_pred[rows], groups[rows]) for rows in (y < 2, y >= 2)]
    whole, pooled = class_sums(y, y_pred, groups), pool(parts)
    assert (pooled.speakers, pooled.classes) == (whole.speakers, whole.classes)
    np.testing.assert_array_equal(pooled.values, whole.values)


def test_intervals_are_those_of_a_plain_loop_over_left_out_speakers():
    data = [lopsided(seed) for seed in (3, 4)]
    runs = [[class_sums(*lopsided(seed))] for seed in (3, 4)]
    found = class_intervals(runs)
    speakers = np.unique(np.concatenate([groups for *_, groups in data]))
    value = scores_by_hand(data, speakers)
    left_out = [scores_by_hand(data, speakers[speakers != name]) for name in speakers]
    y, _, groups = data[0]
    of_speaker = [y[groups == name] for name in speakers]
    sizes = [len(own) for own in of_speaker]
    # In a macro score an utterance counts by how rare its class is.
    shares = [sum(1 / np.sum(y == code) for code in own) for own in of_speaker]
    for name in [row.name for row in class_scores()]:
        without = [scores[name] for scores in left_out]
        counted = sizes if name == "accuracy" else shares
        expected = t_interval(value[name], without, counted, "share")
        assert found[name] == pytest.approx(expected, rel=1e-9)


def scores_by_hand(data, kept):
    """Of the rows of the speakers ``kept``, averaged over seeds."""
    per_seed = []
    for y, y_pred, groups in data:
        rows = np.flatnonzero(np.isin(groups, kept))
        per_seed.append(sklearn_scores(y[rows], y_pred[rows]))
    return {
        name: np.mean([one[name] for one in per_seed])
        for name in [row.name for row in class_scores()]
    }


def test_where_classes_are_speakers_one_that_is_left_out_does_not_count_as_missed():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(12.0), 10)
    y_pred = np.where(rng.random(120) < 0.7, y, rng.integers(0, 12, 120))
    runs = [[class_sums(y, y_pred, y.astype(int).astype(np.str_))]]
    point, (low, high) = pooled_class_scores(runs), class_intervals(runs)["macro_f1"]
    assert low < point["macro_f1"] < high


def test_one_speaker_has_no_interval():
    y, y_pred, groups = lopsided(n_speakers=1)
    found = class_intervals([[class_sums(y, y_pred, groups)]])
    assert np.isnan([end for ends in found.values() for end in ends]).all()
