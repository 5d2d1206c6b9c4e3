"""What one knows who only knows the speaker, against plain loops and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, mean_absolute_error, mean_squared_error

from jobs.statistics.speaker_mean import (
    SPEAKER_MEAN_COLUMNS,
    speaker_majority,
    speaker_mean,
    speaker_mean_scores,
)


def lopsided(seed):
    """Speakers of 1 to 14 utterances in a random order, and what else is to be random."""
    rng = np.random.default_rng(seed)
    return rng.permutation(np.repeat([f"s{i}" for i in range(6)], [1, 2, 5, 9, 3, 14])), rng


def test_every_value_is_predicted_by_the_others_of_its_speaker():
    groups, rng = lopsided(0)
    y = rng.normal(12, 2, len(groups))
    found = speaker_mean(y, groups, 11.5)
    for i, name in enumerate(groups):
        others = [y[j] for j in range(len(y)) if j != i and groups[j] == name]
        assert found[i] == pytest.approx(np.mean(others) if others else 11.5, rel=1e-12)


def test_every_class_is_the_most_frequent_of_the_others_and_of_equals_the_first():
    groups = np.array(["a", "a", "a", "a", "b", "c", "c", "c"])
    y = np.array([2.0, 2.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0])
    found = speaker_majority(y, groups, 7.0)
    assert found.tolist() == [0.0, 0.0, 2.0, 2.0, 7.0, 1.0, 0.0, 0.0]


def test_folds_are_pooled_by_sums_and_correlations_by_size():
    folds = []
    for seed, mean in ((1, 11.0), (2, 12.5)):
        groups, rng = lopsided(seed)
        level = rng.normal(12, 2, 6)[np.unique(groups, return_inverse=True)[1]]
        folds.append((level + rng.normal(0, 1, len(groups)), groups, mean))
    found = speaker_mean_scores(folds, of_classes=False)
    y = np.concatenate([fold[0] for fold in folds])
    predicted = np.concatenate([speaker_mean(*fold) for fold in folds])
    means = np.repeat([fold[2] for fold in folds], [len(fold[0]) for fold in folds])
    assert found["speaker_mean_mse"] == pytest.approx(mean_squared_error(y, predicted), rel=1e-12)
    assert found["speaker_mean_mae"] == pytest.approx(mean_absolute_error(y, predicted), rel=1e-12)
    r2 = 1 - np.sum((y - predicted) ** 2) / np.sum((y - means) ** 2)
    assert found["speaker_mean_r2"] == pytest.approx(r2, rel=1e-12)
    r = [np.corrcoef(fold[0], speaker_mean(*fold))[0, 1] for fold in folds]
    assert found["speaker_mean_pearson"] == pytest.approx(np.mean(r), rel=1e-12)
    codes = [(np.round(y), groups, 12.0) for y, groups, _ in folds]
    accuracy = speaker_mean_scores(codes, of_classes=True)
    guessed = np.concatenate([speaker_majority(*fold) for fold in codes])
    expected = accuracy_score(np.concatenate([fold[0] for fold in codes]), guessed)
    assert accuracy == {"speaker_mean_accuracy": pytest.approx(expected, rel=1e-12)}
    assert {*found, *accuracy} == {*SPEAKER_MEAN_COLUMNS}


def test_a_constant_target_has_no_r2_and_no_correlation():
    found = speaker_mean_scores([(np.ones(4), np.array(list("aabb")), 1.0)], of_classes=False)
    assert np.isnan([found["speaker_mean_r2"], found["speaker_mean_pearson"]]).all()
