"""Types of utterances, and the control that gives each a random value."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from jobs.probing.utterance_types import MOST_TYPES, UNKNOWN, UtteranceTypes, find_types
from jobs.protocol.cells import Cell
from jobs.protocol.controls import control_target
from jobs.protocol.folds import Fold

N, TRAIN = 400, 300
FOLD = Fold(np.arange(TRAIN), np.arange(0), np.arange(TRAIN, N))


def sounds(n_kinds, seed=0):
    """(N,) kinds and (N, 12) statistics in which the kinds are far apart."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, n_kinds, N)
    return kind, 20 * rng.standard_normal((n_kinds, 12))[kind] + rng.standard_normal((N, 12))


def test_kinds_of_sound_that_are_far_apart_are_never_in_one_type_with_another():
    kind, statistics = sounds(6)
    types = find_types(statistics, FOLD.train)
    assert 6 <= len(set(types)) <= MOST_TYPES
    assert all(len(set(kind[types == name])) == 1 for name in set(types))
    assert set(types[FOLD.test]) <= set(types[FOLD.train])


def test_types_do_not_depend_on_test_utterances():
    _, statistics = sounds(6)
    other = statistics.copy()
    other[FOLD.test[1:]] = 100.0
    found = [find_types(values, FOLD.train)[: TRAIN + 1] for values in (statistics, other)]
    np.testing.assert_array_equal(*found)


def test_utterances_without_statistics_are_a_type_of_their_own_and_few_make_few_types():
    _, statistics = sounds(6)
    statistics[[3, TRAIN]] = np.nan
    types = find_types(statistics, FOLD.train)
    assert np.flatnonzero(types == UNKNOWN).tolist() == [3, TRAIN]
    assert set(find_types(statistics, np.arange(10, 34))) == {UNKNOWN, 0, 1}
    assert set(find_types(statistics, np.arange(10, 14))) == {UNKNOWN, 0}


def cell(control="type", seed=0, target="y"):
    return Cell("", "ridge", target, seed, 0, control)


@pytest.fixture
def types():
    return UtteranceTypes(sounds(6)[1]).of(FOLD)


def test_every_type_has_one_value_of_a_training_utterance(types):
    y = np.random.default_rng(1).standard_normal(N)
    y[7] = np.nan
    speakers = np.full(N, "s")
    found = control_target(y, FOLD, cell(), speakers, types)
    assert np.flatnonzero(np.isnan(found)).tolist() == [7]
    assert set(found[np.isfinite(found)]) <= set(y[FOLD.train])
    for name in set(types):
        assert len(set(found[(types == name) & np.isfinite(found)])) == 1
    assert len(set(found[np.isfinite(found)])) > 3
    again = control_target(y, FOLD, cell(), speakers, types)
    np.testing.assert_array_equal(found, again)
    for other in (cell(seed=1), cell(target="z")):
        assert (control_target(y, FOLD, other, speakers, types) != found).mean() > 0.5


def test_a_probe_scores_on_the_control_if_its_layer_tells_sounds_apart_and_not_on_shuffles(types):
    y = np.random.default_rng(2).standard_normal(N)
    X = np.eye(types.max() + 1)[types] + 0.03 * np.random.default_rng(3).standard_normal(
        (N, types.max() + 1)
    )
    noise = np.random.default_rng(4).standard_normal((N, 40))

    def r2(X, control):
        target = control_target(y, FOLD, cell(control), np.full(N, "s"), types)
        fitted = Ridge(0.1).fit(X[FOLD.train], target[FOLD.train])
        error = target[FOLD.test] - fitted.predict(X[FOLD.test])
        from_mean = target[FOLD.test] - target[FOLD.train].mean()
        return 1 - (error**2).sum() / (from_mean**2).sum()

    assert r2(X, "type") > 0.8
    assert r2(noise, "type") < 0.1 and r2(X, "shuffled") < 0.1


def test_without_types_the_control_says_what_is_missing():
    with pytest.raises(ValueError, match="statistics of baseline:fbank"):
        control_target(np.zeros(N), FOLD, cell(), np.full(N, "s"))
