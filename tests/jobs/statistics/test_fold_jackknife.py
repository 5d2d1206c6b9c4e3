"""Scores of folds: their jackknife against scipy, and how often its intervals hold the truth."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.model_selection import GroupKFold

from jobs.statistics.fold_jackknife import (
    against_the_best_by_fold,
    between_models_by_fold,
    fold_errors,
    fold_intervals,
    score_on_other_folds,
    speaker_mean_of_folds,
)
from tests.jobs.statistics.test_known_answers import noise, possible, speakers
from tests.support.by_hand import t_interval

N_FOLDS = 5


def cells(mse, n=100, reference=2.0, r=0.5):
    """Rows of metrics.csv, one a fold."""
    folds = {"mse": mse, "mae": np.nan, "n_test": n, "mean_mse": reference, "pearson": r}
    return pd.DataFrame(folds | {"fold": range(len(mse))}).astype({"n_test": float})


def test_intervals_are_students_about_the_jackknife_of_whole_folds():
    r, mse = np.array([0.5, 0.6, 0.4, 0.45, 0.5]), np.array([1.0, 1.2, 0.9, 1.1, 1.3])
    n = np.array([90.0, 100.0, 110.0, 95.0, 105.0])
    found = fold_intervals(cells(mse, n=n, r=r))
    for values, name, scale in (
        (r, "pearson", "correlation"),
        (mse, "mse", "error"),
        (1 - mse / 2, "r2", "rest"),
    ):
        without = [np.delete(values, f) @ np.delete(n, f) / np.delete(n, f).sum() for f in range(5)]
        expected = t_interval(values @ n / n.sum(), without, n, scale)
        np.testing.assert_allclose(found[name], expected, rtol=1e-9)
    np.testing.assert_allclose(np.square(found["rmse"]), found["mse"], rtol=1e-12)


def test_folds_count_by_their_utterances():
    one = cells(np.array([1.0, 3.0]), n=np.array([300, 100]), r=np.array([0.2, np.nan]))
    other = cells(np.array([1.0, 1.0, 1.0, 3.0]))
    for frame in (one, other):
        values = fold_errors(frame).values
        assert 1 - values[:, 1].sum() / values[:, 2].sum() == pytest.approx(1 - 1.5 / 2)
    assert np.isnan(fold_intervals(one)["pearson"]).all()  # one fold has none
    assert np.isnan(list(fold_intervals(cells(np.array([1.0]))).values())).all()


def test_one_layer_has_the_interval_of_its_curve():
    frame = cells(np.array([1.0, 1.2, 0.9, 1.5, 1.1]))
    found = score_on_other_folds([fold_errors(frame)])
    assert found.value == pytest.approx(1 - frame["mse"].mean() / 2)
    assert (found.low, found.high) == pytest.approx(fold_intervals(frame)["r2"])


def test_fewer_than_five_folds_have_scores_and_differences_without_intervals_or_p_values():
    frames = [cells(np.array(mse)) for mse in ([1.0, 1.2, 0.9, 1.5], [1.1, 1.3, 0.8, 1.9])]
    found = score_on_other_folds([fold_errors(frame) for frame in frames])
    assert np.isfinite(found.value) and np.isnan([found.low, found.high]).all()
    assert np.isnan(list(fold_intervals(frames[0]).values())).all()
    errors = [fold_errors(frame).values[None] for frame in frames]
    for compared in (
        between_models_by_fold(*errors),
        against_the_best_by_fold(np.concatenate(errors)),
    ):
        assert np.isfinite(compared.value).all()
        assert np.isnan([compared.low, compared.high, compared.p]).all()


def test_every_fold_is_scored_with_the_layer_that_the_others_choose():
    lucky = np.array([0.1, 2.0, 2.0])  # the best on all, for its first fold alone
    steady = np.array([1.4, 1.4, 1.4])
    found = score_on_other_folds([fold_errors(cells(mse)) for mse in (lucky, steady)])
    assert found.value == pytest.approx(1 - np.mean([1.4, 2.0, 2.0]) / 2)


def test_models_are_compared_as_by_a_paired_t_test():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0.5, 1.5, (2, 6))
    errors = [fold_errors(cells(mse)).values[None] for mse in (a, b)]
    found = between_models_by_fold(*errors)
    expected = stats.ttest_rel(1 - a / 2, 1 - b / 2)
    assert found.value[0] == pytest.approx((b - a).mean() / 2)
    assert found.p[0] == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval()
    assert (found.low[0], found.high[0]) == pytest.approx((interval.low, interval.high))
    assert between_models_by_fold(errors[0], errors[0]).p[0] == 1


def test_layers_are_held_against_the_best_with_bonferronis_correction():
    rng = np.random.default_rng(1)
    mse = np.array([0.5, 0.52, 1.5])[:, None] + 0.1 * rng.standard_normal((3, 6))
    found = against_the_best_by_fold(np.stack([fold_errors(cells(one)).values for one in mse]))
    assert (found.value[0], found.p[0]) == (0, 1)
    for layer in (1, 2):
        expected = stats.ttest_rel(mse[layer], mse[0], alternative="greater").pvalue
        assert found.p[layer] == pytest.approx(min(2 * expected, 1))
    assert found.p[2] < 0.01 < found.p[1]


def test_the_speaker_mean_is_pooled_over_folds():
    frame = cells(np.ones(2), n=np.array([300.0, 100.0])).assign(
        speaker_mean_mse=[1.0, 3.0],
        speaker_mean_mae=[0.5, 0.9],
        speaker_mean_pearson=[np.nan, 0.4],
        n_speakers=12.0,
    )
    found = speaker_mean_of_folds(frame)
    assert found["speaker_mean_mse"] == pytest.approx(1.5)
    assert found["speaker_mean_mae"] == pytest.approx(0.6)
    assert found["speaker_mean_r2"] == pytest.approx(1 - 1.5 / 2)
    assert found["speaker_mean_pearson"] == pytest.approx(0.4)
    assert found["n_speakers"] == 12


def experiment(rng, level):
    """Whether the interval of R² holds what it is on all speakers there could be, for the probes
    that were fitted; and whether it is above 0. Least squares, as in
    `tests.jobs.statistics.test_known_answers`."""
    own = speakers(rng, 40)
    X = np.stack([noise(rng, own) for _ in range(4)], axis=1)
    y = level**0.5 * X[:, 0] + (1 - level) ** 0.5 * noise(rng, own)
    terms = np.column_stack([X, np.ones(len(y))])
    rows = []
    for train, test in GroupKFold(N_FOLDS).split(X, groups=own):
        slopes = np.linalg.lstsq(terms[train], y[train], rcond=None)[0]
        mean = y[train].mean()
        wrong = np.sum((slopes - [level**0.5, 0, 0, 0, 0]) ** 2) + 1 - level
        rows.append(
            {
                "fold": len(rows),
                "n_test": len(test),
                "mse": np.mean((y[test] - terms[test] @ slopes) ** 2),
                "mae": np.nan,
                "mean_mse": np.mean((y[test] - mean) ** 2),
                "pearson": np.nan,
                "truth": (wrong, 1 + mean**2),
            }
        )
    frame = pd.DataFrame(rows)
    loss, reference = (np.array(list(frame["truth"])) * frame[["n_test"]].to_numpy()).sum(axis=0)
    low, high = fold_intervals(frame)["r2"]
    return low <= 1 - loss / reference <= high, low > 0


def shares(level, n):
    rng = np.random.default_rng(round(100 * level))
    return np.sum([experiment(rng, level) for _ in range(n)], axis=0)


@pytest.mark.parametrize("level", [0.0, 0.3, 0.9])
def test_intervals_over_folds_hold_the_truth_about_as_often_as_they_say(level):
    held, above = shares(level, 150)
    least, most = possible(0.91, 0.97, 150)
    assert least <= held <= most
    assert level or above <= possible(0, 0.025, 150)[1]


@pytest.mark.slow
@pytest.mark.parametrize(("level", "least"), [(0.0, 0.91), (0.3, 0.93), (0.9, 0.93)])
def test_intervals_over_folds_hold_the_truth_in_so_many_percent(level, least):
    held, above = shares(level, 3000) / 3000
    assert least <= held <= 0.97
    assert level or above <= 0.01
