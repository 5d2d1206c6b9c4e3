"""Known answers: layers that encode a target to a chosen degree, probed and scored as in a run.

Speakers have levels of their own (40 % of the variance lies between them, of the signal and of what
no layer encodes) and talk unequally much.
"""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from jobs.probes import RidgeSettings
from jobs.probes.ridge import fit_predict
from jobs.protocol.cells import Cell
from jobs.protocol.controls import control_target
from jobs.protocol.folds import Fold, make_folds
from jobs.protocol.settings import KFoldProtocol
from jobs.statistics.classification import class_sums
from jobs.statistics.regression import speaker_sums
from jobs.statistics.scores import regression_scores
from jobs.statistics.scoring import score_numbers
from jobs.statistics.speaker_intervals import class_intervals, regression_intervals
from jobs.statistics.speaker_mean import speaker_mean

N_SPEAKERS = 40
N_TRAIN = 20
BETWEEN = 0.4
LEVELS = (0.0, 0.3, 0.9)


def possible(low, high, n, doubt=0.001):
    """Counts out of ``n`` that a probability within [low, high] gives, but for such a doubt."""
    return stats.binom(n, low).ppf(doubt), stats.binom(n, high).ppf(1 - doubt)


def speakers(rng, n, first=0):
    """(U,) speaker of every utterance, of ``n`` with 10 to 109 utterances each."""
    return np.repeat(np.arange(first, first + n), rng.integers(10, 110, n))


def noise(rng, own):
    """(U,) of variance 1, of which ``BETWEEN`` lies between the speakers ``own`` (U,)."""
    level = rng.standard_normal(own.max() + 1)[own]
    return BETWEEN**0.5 * level + (1 - BETWEEN) ** 0.5 * rng.standard_normal(len(own))


def fold_of(own, parts):
    """The fold whose parts are the speakers below, between and above the two of ``parts``."""
    return Fold(*(np.flatnonzero(np.digitize(own, parts) == part) for part in range(3)))


def corpus(rng):
    own = np.concatenate([speakers(rng, N_TRAIN), speakers(rng, 10, N_TRAIN)])
    own = np.concatenate([own, speakers(rng, N_SPEAKERS, N_TRAIN + 10)])
    return own, fold_of(own, (N_TRAIN, N_TRAIN + 10))


def fitted(X, y, fold, own, alphas=(1.0, 100.0, 10_000.0)):
    settings = RidgeSettings(alphas=alphas)
    outcome = fit_predict(
        settings, X.astype(np.float32), y[:, None], fold, own.astype(np.str_), [0]
    )
    return outcome.predictions[:, 0]


def experiment(rng, level):
    """Whether the interval of a fitted probe's R² holds what it is on all speakers there could be.

    The layer is the signal beside three directions that tell nothing. The probe is linear, so its
    R² in the population follows from its slopes, which its predictions tell exactly.
    """
    own, fold = corpus(rng)
    signal, others = noise(rng, own), [noise(rng, own) for _ in range(3)]
    y = level**0.5 * signal + (1 - level) ** 0.5 * noise(rng, own)
    X = np.stack([signal, *others], axis=1)
    predicted = fitted(X, y, fold, own)
    terms = np.column_stack([X[fold.test].astype(np.float32), np.ones(len(fold.test))])
    *slopes, constant = np.linalg.lstsq(terms, predicted, rcond=None)[0]
    mean = y[fold.train].mean()
    wrong = (level**0.5 - slopes[0]) ** 2 + np.sum(np.square(slopes[1:])) + constant**2
    truth = 1 - (wrong + 1 - level) / (1 + mean**2)
    sums = speaker_sums(y[fold.test], predicted, mean, own[fold.test].astype(np.str_))
    return holds(regression_intervals([[sums]])["r2"], truth)


def covered(level, n):
    rng = np.random.default_rng(round(100 * level))
    return sum(experiment(rng, level) for _ in range(n))


def holds(interval, truth):
    return interval[0] <= truth <= interval[1]


@pytest.mark.parametrize("level", LEVELS)
def test_intervals_hold_the_truth_as_often_as_they_say(level):
    low, high = possible(0.93, 0.97, 120)
    assert low <= covered(level, 120) <= high


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_intervals_hold_the_truth_in_93_to_97_percent(level):
    assert 0.93 <= covered(level, 3000) / 3000 <= 0.97


def intervals():
    """Names of the scores of numbers that have intervals."""
    return [row.name for row in regression_scores() if row.scale]


UNLIKE = (0.0, 0.3)
"""SD of the logarithm of a speaker's error SD: with 0.3, the best heard of 40 speakers has a fifth
to a tenth of the squared error of the worst."""


def of_unlike_speakers(rng, spread, n_speakers=N_SPEAKERS):
    """Which of a prediction's intervals hold what is true of all speakers there could be.

    Speakers are misheard by a bias of their own, which is skewed once squared, and to different
    degrees.
    """
    own = speakers(rng, n_speakers)
    predicted = 0.3**0.5 * noise(rng, own)
    degree = np.exp(spread * rng.standard_normal(n_speakers))[own]
    y = predicted + 0.7**0.5 * degree * noise(rng, own)
    mse = 0.7 * np.exp(2 * spread**2)  # moments of the log-normal distribution
    truth = {
        "r2": 1 - mse / (0.3 + mse),
        "mse": mse,
        "rmse": mse**0.5,
        "mae": (0.7 * 2 / np.pi) ** 0.5 * np.exp(spread**2 / 2),
        "pearson": (0.3 / (0.3 + mse)) ** 0.5,
    }
    found = regression_intervals([[speaker_sums(y, predicted, 0.0, own.astype(np.str_))]])
    return {name: holds(found[name], truth[name]) for name in intervals()}


def covered_errors(spread, n):
    rng = np.random.default_rng(round(10 * spread))
    held = [of_unlike_speakers(rng, spread) for _ in range(n)]
    return {name: sum(one[name] for one in held) for name in intervals()}


@pytest.mark.parametrize("spread", UNLIKE)
def test_intervals_of_errors_and_correlations_hold_the_truth_where_speakers_differ(spread):
    low, high = possible(0.93, 0.97, 150)
    for name, count in covered_errors(spread, 150).items():
        assert low <= count <= high, name


@pytest.mark.slow
@pytest.mark.parametrize("spread", UNLIKE)
def test_intervals_of_errors_and_correlations_hold_the_truth_in_93_to_97_percent(spread):
    for name, count in covered_errors(spread, 4000).items():
        assert 0.93 <= count / 4000 <= 0.97, name


ACCURACIES = ((0.6, 0.2), (0.8, 0.6), (0.95, 0.1), (0.95, 0.5), (0.98, 0.7))
"""(mean, correlation within speakers) of right answers."""


def covered_accuracies(mean, alike, n, n_speakers=N_SPEAKERS):
    """How often the interval holds the mean; how often all tested answers were right; how often the
    interval was too high."""
    rng = np.random.default_rng(round(1000 * mean))
    held = perfect = above = 0
    for _ in range(n):
        own = speakers(rng, n_speakers)
        share = rng.beta(mean * (1 / alike - 1), (1 - mean) * (1 / alike - 1), n_speakers)
        wrong = (rng.random(len(own)) > share[own]).astype(float)
        sums = class_sums(np.zeros(len(own)), wrong, own.astype(np.str_))
        low, high = class_intervals([[sums]])["accuracy"]
        held += low <= mean <= high
        above += low > mean
        perfect += not wrong.any()
    return held, perfect, above


@pytest.mark.parametrize(("mean", "alike"), ACCURACIES[:4])
def test_intervals_of_accuracies_hold_the_truth_as_often_as_they_say(mean, alike):
    low, high = possible(0.93, 0.97, 120)
    assert low <= covered_accuracies(mean, alike, 120)[0] <= high


@pytest.mark.slow
@pytest.mark.parametrize(("mean", "alike"), ACCURACIES)
def test_intervals_of_accuracies_hold_the_truth_in_93_to_97_percent(mean, alike):
    held, *_ = covered_accuracies(mean, alike, 3000)
    assert 0.93 <= held / 3000 <= 0.97


def test_intervals_of_balanced_accuracies_rest_on_the_speakers_of_the_rarer_class():
    """8 of 40 speakers have the class that is found less often."""
    rng = np.random.default_rng(4)
    own, n, held = np.arange(40).repeat(20), 300, 0
    y = (own >= 32).astype(float)
    for _ in range(n):
        share = np.concatenate([rng.beta(2.7, 0.3, 32), rng.beta(2.1, 0.9, 8)])
        predicted = np.where(rng.random(len(own)) < share[own], y, 1 - y)
        sums = class_sums(y, predicted, own.astype(np.str_))
        held += holds(class_intervals([[sums]])["balanced_accuracy"], (0.9 + 0.7) / 2)
    low, high = possible(0.93, 0.97, n)
    assert low <= held <= high
    sums = class_sums(y, y, own.astype(np.str_))
    perfect = class_intervals([[sums]])
    assert perfect["accuracy"][0] > perfect["balanced_accuracy"][0]


def test_answers_that_are_all_right_do_not_promise_that_all_will_be():
    """14 speakers, of whom all answers are right in half of the experiments."""
    held, perfect, above = covered_accuracies(0.98, 0.7, 300, n_speakers=14)
    assert 100 < perfect < 200
    assert above <= possible(0, 0.025, 300)[1]
    assert held >= possible(0.95, 1, 300)[0]
    groups = np.arange(14).repeat(6)
    sums = class_sums(np.zeros(84), np.zeros(84), groups.astype(np.str_))
    for low, high in class_intervals([[sums]]).values():
        assert (low, high) == pytest.approx((stats.beta(14, 1).ppf(0.025), 1.0), rel=1e-12)


def test_the_shuffled_control_is_not_above_zero_more_often_than_its_interval_says():
    rng = np.random.default_rng(1)
    n, above, scores = 60, 0, []
    for seed in range(n):
        own, fold = corpus(rng)
        signal = noise(rng, own)
        cell = Cell("", "ridge", "cps", seed, 0, "shuffled")
        y = control_target(signal, fold, cell, own.astype(np.str_))
        predicted = fitted(signal[:, None], y, fold, own)
        test = y[fold.test], predicted, y[fold.train].mean(), own[fold.test].astype(np.str_)
        scores.append(score_numbers(*test)["r2"])
        above += regression_intervals([[speaker_sums(*test)]])["r2"][0] > 0
    assert above <= possible(0, 0.025, n)[1]
    assert np.mean(scores) == pytest.approx(0, abs=0.01)


def test_what_is_chosen_on_validation_is_not_scored_there():
    """Of 20 layers that know nothing, the luckiest on validation is no good on the test part."""
    rng = np.random.default_rng(2)
    chosen_there, chosen_here = [], []
    for _ in range(12):
        own, fold = corpus(rng)
        y = noise(rng, own)
        swapped = Fold(fold.train, fold.test, fold.validation)
        there, here = [], []
        for _ in range(20):
            X = np.stack([noise(rng, own) for _ in range(4)], axis=1)
            for parts, found in ((swapped, there), (fold, here)):
                predicted = fitted(X, y, parts, own, alphas=(1.0,))
                mean, groups = y[fold.train].mean(), own[parts.test].astype(np.str_)
                found.append(score_numbers(y[parts.test], predicted, mean, groups)["r2"])
        best = int(np.argmax(there))
        chosen_there.append(there[best])
        chosen_here.append(here[best])
    assert np.mean(chosen_there) > 0
    assert np.mean(chosen_here) < 0


def test_a_layer_that_only_knows_the_speaker_is_unmasked_by_the_speaker_split():
    rng = np.random.default_rng(3)
    own = np.repeat(np.arange(30), rng.integers(10, 40, 30))
    y = noise(rng, own)
    X, groups = rng.standard_normal((30, 64))[own], own.astype(np.str_)
    table = pd.DataFrame(
        {
            "utterance_id": [f"u{i:04d}" for i in range(len(own))],
            "speaker_id": own.astype(str),
            "split": "all",
        }
    )

    def r2(protocol, y):
        loss = reference = 0.0
        for fold in make_folds(protocol, table):
            predicted = fitted(X, y, fold, own, alphas=(0.01, 1.0, 100.0))
            loss += ((y[fold.test] - predicted) ** 2).sum()
            reference += ((y[fold.test] - y[fold.train].mean()) ** 2).sum()
        return 1 - loss / reference

    random, apart = (
        KFoldProtocol(folds=5, group="utterance_id", allow_speaker_overlap=True),
        KFoldProtocol(folds=5),
    )
    mean = speaker_mean(y, groups, y.mean())
    by_speaker = 1 - np.sum((y - mean) ** 2) / np.sum((y - y.mean()) ** 2)
    assert r2(random, y) == pytest.approx(by_speaker, abs=0.06)
    assert r2(apart, y) < 0.05
    # What a probe can memorise of speakers, whatever the target.
    controls = [
        control_target(y, make_folds(apart, table)[0], Cell("", "", "", seed, 0, "speaker"), groups)
        for seed in range(10)
    ]
    assert min(r2(random, values) for values in controls) > 0.9
    assert np.mean([r2(apart, values) for values in controls]) < 0.05
