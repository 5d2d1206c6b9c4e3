"""Differences against scipy, statsmodels and plain loops; how often they claim what is not so."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from jobs.statistics.attainable import within_reach
from jobs.statistics.best_layer import best_layer
from jobs.statistics.differences import (
    above_nothing,
    against_the_best,
    between_chosen,
    between_layers,
    between_models,
    holm,
)
from jobs.statistics.fold_jackknife import against_the_best_by_fold
from jobs.statistics.intervals import resample_weights, speaker_interval
from tests.support.by_hand import t_interval

ALIKE = 0.4


def make_errors(rng, r2, n_speakers=24, shared=0.8, equal=False):
    """(L, S, 4) of layers whose R² is ``r2`` (L,) and whose errors are correlated."""
    sizes = np.full(n_speakers, 12) if equal else rng.integers(5, 40, n_speakers)
    own = np.repeat(np.arange(n_speakers), sizes)

    def noise():
        level = rng.standard_normal(n_speakers)[own]
        return ALIKE**0.5 * level + (1 - ALIKE) ** 0.5 * rng.standard_normal(len(own))

    def by_speaker(values):
        return np.bincount(own, values, n_speakers)

    y, common = noise(), noise()
    errors = np.zeros((len(r2), n_speakers, 4))
    for layer, known in enumerate(r2):
        off = (1 - known) ** 0.5 * (shared**0.5 * common + (1 - shared) ** 0.5 * noise())
        total = by_speaker(y**2)
        errors[layer] = np.stack([sizes, by_speaker(off**2), total, total], axis=1)
    return errors


def class_errors(rng, right, sizes):
    """(1, S, 4) of a layer that finds a share ``right`` of the classes."""
    wrong = rng.binomial(sizes, 1 - right)
    return np.stack([sizes, wrong, sizes, sizes // 2], axis=1)[None].astype(float)


def possible(probability, n, doubt=0.001):
    """Counts out of ``n`` that have a chance of at least ``doubt`` on either side."""
    return stats.binom(n, probability).ppf([doubt, 1 - doubt])


def test_with_equal_speakers_accuracies_differ_as_scipys_paired_t_test_says():
    rng = np.random.default_rng(0)
    sizes = np.full(15, 20)
    a, b = class_errors(rng, 0.8, sizes), class_errors(rng, 0.7, sizes)
    found = between_layers(a, b)
    expected = stats.ttest_rel(1 - a[0, :, 1] / 20, 1 - b[0, :, 1] / 20)
    interval = expected.confidence_interval(0.95)
    assert found.p[0] == pytest.approx(expected.pvalue, rel=1e-9)
    assert [found.low[0], found.high[0]] == pytest.approx([interval.low, interval.high], rel=1e-9)


def test_the_standard_error_is_a_jackknife_over_unequal_speakers():
    errors = make_errors(np.random.default_rng(1), [0.3, 0.5])
    found = between_layers(errors[:1], errors[1:])

    def difference(kept):
        first, second = (1 - e[kept, 1].sum() / e[kept, 2].sum() for e in errors)
        return first - second

    s = errors.shape[1]
    left_out = [difference(np.arange(s) != speaker) for speaker in range(s)]
    error = np.sqrt((s - 1) / s * np.sum((left_out - np.mean(left_out)) ** 2))
    n = errors[0, :, 0]
    reach = stats.t(n.sum() ** 2 / (n**2).sum() - 1).ppf(0.975) * error
    value = difference(np.ones(s, dtype=bool))
    assert found.value[0] == pytest.approx(value, rel=1e-9)
    assert [found.low[0], found.high[0]] == pytest.approx([value - reach, value + reach], rel=1e-9)


def test_above_nothing_is_the_score_itself_of_r2_and_what_it_adds_to_the_majority_of_classes():
    rng = np.random.default_rng(2)
    errors = make_errors(rng, [0.3])
    expected = 1 - errors[0, :, 1].sum() / errors[0, :, 2].sum()
    assert above_nothing(errors, of_classes=False).value[0] == pytest.approx(expected, rel=1e-12)
    classes = class_errors(rng, 0.8, np.full(9, 20))
    gain = (classes[0, :, 3].sum() - classes[0, :, 1].sum()) / 180
    assert above_nothing(classes, of_classes=True).value[0] == pytest.approx(gain, rel=1e-12)


def unlike_speakers(rng, n_speakers, r2=0.0):
    """(1, S, 4) of a layer whose speakers are misheard to different degrees."""
    own = np.arange(n_speakers).repeat(10)
    degree = np.exp(0.3 * rng.standard_normal(n_speakers))[own]
    y = rng.standard_normal(len(own))
    spread = ((0.75 - r2) / np.exp(2 * 0.3**2)) ** 0.5  # second moment of the log-normal
    off = 0.5 * y + spread * degree * rng.standard_normal(len(own))
    columns = np.ones(len(own)), off**2, y**2, y**2
    return np.stack([np.bincount(own, column) for column in columns], axis=1)[None]


@pytest.mark.parametrize("n_speakers", [5, 14])
def test_a_score_is_above_nothing_at_p_where_its_interval_is_and_as_rarely_as_p_says(n_speakers):
    rng = np.random.default_rng(n_speakers)
    called = 0
    for _ in range(400):
        errors = unlike_speakers(rng, n_speakers)
        found = above_nothing(errors, of_classes=False)
        assert (found.p[0] < 0.05) == (found.low[0] > 0 or found.high[0] < 0)
        called += found.p[0] < 0.05
    assert called <= possible(0.06, 400)[1]
    n, loss, reference, _ = errors[0].T
    left_out = [1 - np.delete(loss, s).sum() / np.delete(reference, s).sum()
                for s in range(n_speakers)]  # fmt: skip
    expected = t_interval(1 - loss.sum() / reference.sum(), left_out, n, "rest")
    assert [found.low[0], found.high[0]] == pytest.approx(list(expected), rel=1e-9)


@pytest.mark.parametrize("n", [5, 6, 9, 14])
def test_what_is_the_same_for_every_speaker_is_no_surer_than_an_exact_binomial(n):
    sizes = np.full(n, 10)
    right, half, wrong = (
        np.stack([sizes, sizes * share, sizes, sizes // 2], axis=1)[None].astype(float)
        for share in (0, 0.5, 1)
    )
    all_of_it = between_layers(right, wrong)
    assert all_of_it.p[0] == pytest.approx(stats.binomtest(n, n).pvalue, rel=1e-12)
    assert all_of_it.high[0] == 1 and -1 < all_of_it.low[0] < 1
    for found in (above_nothing(right, of_classes=True), between_layers(half, right)):
        assert found.p[0] > all_of_it.p[0]
        assert (found.p[0] < 0.05) == (found.low[0] > 0 or found.high[0] < 0)
        assert -1 < found.low[0] < found.value[0] < found.high[0] < 1
    layers = np.concatenate([right, half, half])
    for found in (against_the_best(layers, 100, 0), against_the_best_by_fold(layers)):
        assert found.low[1] < found.value[1] < found.high[1] and found.p[0] == 1
        assert (found.p[1] < 0.05) == (n > 9)


def test_fewer_than_five_speakers_have_differences_without_intervals_or_p_values():
    errors = make_errors(np.random.default_rng(11), [0.3, 0.5], n_speakers=4)
    first, second = errors[:1], errors[1:]
    for found in (
        between_layers(first, second),
        between_models(errors, second, 50, 0),
        between_chosen(first, second),
        above_nothing(errors, of_classes=False),
        against_the_best(errors, 50, 0),
    ):
        assert np.isfinite(found.value).all()
        assert np.isnan([found.low, found.high, found.p]).all()


def test_layers_chosen_elsewhere_are_called_different_as_rarely_as_p_says():
    """Of 12 equal layers of either model, those that are luckiest on validation."""
    rng = np.random.default_rng(12)
    called, n = 0, 400
    for _ in range(n):
        validation, test = (make_errors(rng, [0.4] * 24, n_speakers=size) for size in (10, 14))
        first, second = best_layer(validation[:12]), 12 + best_layer(validation[12:])
        found = between_chosen(test[[first]], test[[second]])
        assert (found.p[0] < 0.05) == (found.low[0] > 0 or found.high[0] < 0)
        called += found.p[0] < 0.05
    low, high = possible(0.03, n)[0], possible(0.07, n)[1]
    assert low <= called <= high


@pytest.mark.parametrize("scale", ["rest", "share"])
def test_no_interval_of_a_difference_is_beyond_what_the_scores_can_reach(scale):
    sizes = np.full(6, 10.0)
    a, b = (
        np.stack([sizes, wrong, sizes, sizes], axis=1)[None]
        for wrong in (np.array([0.0, 0, 10, 0, 0, 0]), np.full(6, 9.0))
    )
    free = between_layers(a, b)
    found = within_reach(free, a, b, scale)
    of_b = speaker_interval(0.1, np.full(6, 0.1), sizes, scale)
    assert free.high[0] > 1 - of_b[0]
    assert found.high[0] == pytest.approx(1 - of_b[0], rel=1e-12)
    assert found.low[0] == free.low[0] and found.p[0] == free.p[0]
    mirrored = within_reach(between_layers(b, a), b, a, scale)
    assert mirrored.low[0] == pytest.approx(-found.high[0], rel=1e-12)


def test_models_of_one_layer_differ_as_their_layers_do():
    errors = make_errors(np.random.default_rng(3), [0.3, 0.5])
    found = between_models(errors[:1], errors[1:], 300, 0)
    expected = between_layers(errors[:1], errors[1:])
    for name in ("value", "low", "high", "p"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-9), name


def test_equal_layers_are_called_different_as_rarely_as_p_says():
    rng = np.random.default_rng(4)
    n = 400
    called = 0
    for _ in range(n):
        a, b = make_errors(rng, [0.4, 0.4])
        called += between_layers(a[None], b[None]).p[0] < 0.05
    low, high = possible(0.05, n)
    assert low <= called <= high


def test_models_at_their_best_are_called_different_no_more_often_than_p_says():
    rng = np.random.default_rng(5)
    called = 0
    for _ in range(100):
        errors = make_errors(rng, [0.4] * 12)
        # One model has more layers to be lucky with.
        called += between_models(errors[:2], errors[2:], 100, 0).p[0] < 0.05
    assert called <= possible(0.05, 100)[1]


def test_a_layer_as_good_as_any_is_called_worse_than_the_best_no_more_often_than_p_says():
    rng = np.random.default_rng(6)
    n = 500
    naive = called = 0
    for _ in range(n):
        errors = make_errors(rng, [0.4] * 20)
        called += against_the_best(errors, 200, 0).p[0] < 0.05
        best = int(np.argmin(errors[:, :, 1].sum(axis=1)))
        naive += between_layers(errors[:1], errors[[best]]).p[0] < 0.05
    assert called <= possible(0.05, n)[1] < naive


def test_layers_that_are_worse_are_told_from_the_best():
    errors = make_errors(np.random.default_rng(7), [0.1, 0.5, 0.52, 0.7], n_speakers=60)
    found = against_the_best(errors, 500, 0)
    assert list(found.p < 0.05) == [True, True, True, False]
    assert found.p[3] == 1 and found.value[3] == 0
    assert (found.high[:3] < 0).all() and found.p[0] == pytest.approx(1 / 501)


def test_the_reference_of_the_best_is_that_of_a_plain_loop():
    errors = make_errors(np.random.default_rng(8), [0.4, 0.45, 0.5], n_speakers=12)
    weights = resample_weights(12, 100, 3)

    def score(layer, weight):
        return 1 - weight @ errors[layer, :, 1] / (weight @ errors[layer, :, 2])

    drawn = np.array([[score(layer, weight) for layer in range(3)] for weight in weights])
    without = np.array([[score(layer, w) for layer in range(3)] for w in 1 - np.eye(12)])
    sizes = errors[0, :, 0]
    freedom = sizes.sum() ** 2 / (sizes**2).sum() - 1
    heavier = stats.t(freedom).ppf(0.975) / stats.norm.ppf(0.975)
    largest = []
    for row in drawn:
        distances = []
        for other in (1, 2):
            difference = drawn[:, other] - drawn[:, 0]
            value = row[other] - row[0]
            distances.append((value - difference.mean()) / difference.std())
        largest.append(heavier * max(distances))
    everyone = np.ones(12)
    best = int(np.argmax([score(layer, everyone) for layer in range(3)]))
    away = without[:, best] - without[:, 0]
    error = np.sqrt(11 / 12 * np.sum((away - away.mean()) ** 2))
    distance = (score(best, everyone) - score(0, everyone)) / error
    found = against_the_best(errors, 100, 3)
    assert found.p[0] == (1 + np.sum(np.array(largest) >= distance)) / 101


def test_holm_is_that_of_statsmodels_and_leaves_out_what_is_not_known():
    rng = np.random.default_rng(9)
    for size in (1, 2, 17, 150):
        p = rng.random(size) ** 3
        p[: size // 3] = p[0]  # ties
        np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], rtol=1e-12)
    found = holm(np.array([0.02, np.nan, 0.01]))
    assert found[[0, 2]] == pytest.approx([0.02, 0.02]) and np.isnan(found[1])


def test_layers_that_predict_alike_do_not_differ_and_a_constant_target_has_no_difference():
    errors = make_errors(np.random.default_rng(10), [0.4])
    same = np.concatenate([errors, errors])
    assert between_layers(errors, errors).p[0] == 1
    assert list(against_the_best(same, 50, 0).p) == [1, 1]
    same[:, :, 2] = 0
    for found in (against_the_best(same, 50, 0), between_models(same, same, 50, 0)):
        assert np.isnan(found.p).all() and np.isnan(found.value).all()
