"""Scores of a tested part by its sums against the same scores of its predictions."""

import numpy as np
import pytest
import torch

from jobs.gram.moments import moments_of_sums
from jobs.gram.scores import score_by_sums, speaker_scores
from jobs.gram.sums import Sums
from jobs.statistics import scoring
from jobs.statistics.speaker_mean import speaker_mean_scores

WIDTH = 6
KNOWN = ("mse", "rmse", "r2", "pearson", "mean_mse", "mean_mae")
NOT_KNOWN = ("mae", "spearman", "within_speaker")


def part(n=200, seed=0):
    rng = np.random.default_rng(seed)
    X = (rng.standard_normal((n, WIDTH)) * 3 + 40).astype(np.float32)
    y = X[:, 0] - X[:, 1] + rng.standard_normal(n) + 12
    return X, y, rng.permutation(np.repeat([f"s{i}" for i in range(10)], n // 10))


def summed(X, y):
    sums = Sums(WIDTH, 1, torch.device("cpu"))
    for start in range(0, len(X), 64):
        sums.add(X[start : start + 64], y[start : start + 64, None])
    return moments_of_sums([sums.packed()], 1)


def both(X, y, groups, weight, bias):
    weights = {"weight": np.asarray(weight, dtype=np.float64), "bias": np.array([bias])}
    predicted = X.astype(np.float64) @ weights["weight"] + bias
    expected = scoring.score_numbers(y, predicted, 11.5, groups)
    return score_by_sums(summed(X, y), 0, weights, y, 11.5), expected


@pytest.mark.parametrize("weight", [[0.9, -1.1, 0.1, 0, 0, 0.05], [1e-4, 0, 0, 0, 0, 0]])
def test_sums_tell_the_scores_of_the_predictions(weight):
    found, expected = both(*part(), weight, 3.0)
    assert found.keys() == expected.keys()
    for name in KNOWN:
        assert found[name] == pytest.approx(expected[name], rel=1e-9), name
    assert [found[name] for name in NOT_KNOWN] == [None] * 3


def test_what_is_constant_has_no_correlation():
    X, y, groups = part()
    for values, weight in ((y, np.zeros(WIDTH)), (np.full(len(y), 12.0), np.ones(WIDTH))):
        found, expected = both(X, values, groups, weight, 12.0)
        assert found["pearson"] is expected["pearson"] is None
    found, expected = both(X, np.full(len(y), 11.5), groups, np.ones(WIDTH), 0.0)
    assert found["r2"] is expected["r2"] is None


def test_a_perfect_prediction_has_no_negative_error():
    X, _, groups = part()
    weight = np.array([1.0, -2, 0.5, 0, 3, 1])
    y = X.astype(np.float64) @ weight + 5
    found, _ = both(X, y, groups, weight, 5.0)
    assert 0 <= found["mse"] < 1e-9
    assert found["pearson"] == pytest.approx(1, abs=1e-9)


def test_the_speaker_mean_is_that_of_the_labels():
    _, y, groups = part()
    found = speaker_scores(y, groups, 11.5, 10)
    expected = speaker_mean_scores([(y, groups, 11.5)], of_classes=False)
    for name in ("speaker_mean_mse", "speaker_mean_mae", "speaker_mean_pearson"):
        assert found[name] == pytest.approx(expected[name], rel=1e-12), name
    assert found["n_speakers"] == 10
