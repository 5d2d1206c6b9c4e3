"""The online code against what is known of it: entropy, chance, and a plain second writing."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from jobs.probes import MdlSettings, mdl
from jobs.probes.mdl import CLASS_ALPHAS, PORTIONS, online_portions
from jobs.probes.ridge_settings import ALPHAS
from jobs.protocol.folds import Fold


def problem(r2, n_rows=1500, width=8, seed=0):
    """A target that a linear function of the activations explains to ``r2``."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, width)).astype(np.float32)
    signal = X.sum(axis=1) / np.sqrt(width)
    y = 12 + 3 * (np.sqrt(r2) * signal + np.sqrt(1 - r2) * rng.standard_normal(n_rows))
    rows = np.arange(n_rows)
    fold = Fold(rows[: n_rows - 100], rows[:0], rows[n_rows - 100 :])
    return X, y[:, None], fold, np.array([f"s{i % 50:02d}" for i in rows])


def test_portions_are_whole_speakers_up_to_the_shares():
    groups = np.repeat([f"s{i:02d}" for i in range(40)], np.arange(1, 41))
    portions = online_portions(groups, seed=3)
    assert sorted(np.concatenate(portions).tolist()) == list(range(len(groups)))
    speakers = [set(groups[rows]) for rows in portions]
    assert sum(map(len, speakers)) == 40  # none in two
    ends = np.cumsum([len(rows) for rows in portions]) / len(groups)
    for share in PORTIONS:  # the first end that reaches a share is at most a speaker beyond it
        assert 0 <= ends[np.searchsorted(ends, share - 1e-9)] - share <= 40 / len(groups)
    again, other = online_portions(groups, seed=3), online_portions(groups, seed=4)
    assert [list(rows) for rows in portions] == [list(rows) for rows in again]
    assert set(groups[portions[0]]) != set(groups[other[0]])


def plain_code(X, y, groups, seed, precision):
    """The same code for numbers, written down once more: (bits, bits of the marginal code)."""
    y = (y - y.mean()) / y.std()
    half = precision / 2

    def bits(y, mean, sd):
        return -np.log2(norm.cdf((y + half - mean) / sd) - norm.cdf((y - half - mean) / sd))

    portions = online_portions(groups, seed)
    total = bits(y[portions[0]], 0, 1).sum()
    used, squared, n = np.zeros(len(ALPHAS)), np.ones(len(ALPHAS)), 1
    for i in range(1, len(portions)):
        seen, following = np.concatenate(portions[:i]), portions[i]
        scaler = StandardScaler().fit(X[seen].astype(float))
        taken = np.empty(len(ALPHAS))
        missed = np.empty(len(ALPHAS))
        for a, alpha in enumerate(ALPHAS):
            model = Ridge(alpha * len(seen)).fit(scaler.transform(X[seen].astype(float)), y[seen])
            mean = model.predict(scaler.transform(X[following].astype(float)))
            taken[a] = bits(y[following], mean, np.sqrt(squared[a] / n)).sum()
            missed[a] = ((y[following] - mean) ** 2).sum()
        total += taken[len(ALPHAS) - 1 - used[::-1].argmin()]
        used, squared, n = used + taken, squared + missed, n + len(following)
    return total, bits(y, 0, 1).sum()


@pytest.mark.parametrize("width", [8, 400])
def test_numbers_take_the_bits_of_a_plain_online_code(width):
    X, y, fold, groups = problem(0.6, n_rows=400, width=width)
    result = mdl.fit_predict(MdlSettings(), X, y, fold, groups, [5])
    expected, marginal = plain_code(X[fold.train], y[fold.train, 0], groups[fold.train], 5, 0.01)
    found = result.details[0]
    assert found["codelength_bits"] == pytest.approx(expected, rel=1e-7)
    assert found["marginal_bits"] == pytest.approx(marginal, rel=1e-9)
    assert found["compression"] == pytest.approx(marginal / expected, rel=1e-7)
    assert found["bits_saved"] == pytest.approx((marginal - expected) / 300, rel=1e-6)


@pytest.mark.parametrize("r2", [0.3, 0.9])
def test_what_is_saved_approaches_the_information_that_the_layer_has(r2):
    X, y, fold, groups = problem(r2, n_rows=20_100)
    saved = mdl.fit_predict(MdlSettings(), X, y, fold, groups, [0]).details[0]["bits_saved"]
    information = -0.5 * np.log2(1 - r2)  # of two normal variables with this R²
    assert information * 0.9 < saved < information * 1.03


def test_noise_saves_nothing():
    X, y, fold, groups = problem(0)
    Y = np.concatenate([y, (y > 12).astype(float)], axis=1)
    numbers = mdl.fit_predict(MdlSettings(), X, Y[:, :1], fold, groups, [0])
    classes = mdl.classify(MdlSettings(), X, Y[:, 1:], fold, groups, [0])
    for found in (*numbers.details, *classes.details):
        assert -0.03 < found["bits_saved"] < 0.005
        assert 0.95 < found["compression"] < 1.002


def test_half_the_precision_is_a_bit_an_utterance_more_and_saves_as_much():
    X, y, fold, groups = problem(0.6)
    coarse, fine = (
        mdl.fit_predict(MdlSettings(precision=p), X, y, fold, groups, [0]).details[0]
        for p in (0.02, 0.01)
    )
    more = fine["codelength_bits"] - coarse["codelength_bits"]
    assert more / len(fold.train) == pytest.approx(1, abs=1e-3)
    assert fine["bits_saved"] == pytest.approx(coarse["bits_saved"], abs=1e-3)


def test_a_layer_that_holds_the_target_itself_never_takes_negative_bits():
    X, y, fold, groups = problem(0.5)
    X[:, 0] = y[:, 0]
    found = mdl.fit_predict(MdlSettings(precision=0.5), X, y, fold, groups, [0]).details[0]
    assert 0 < found["codelength_bits"] < 0.2 * found["marginal_bits"]


def test_classes_take_the_bits_of_a_plain_online_code():
    X, y, fold, groups = problem(0.8, n_rows=400)
    codes = np.digitize(y, [10, 13, 19]).astype(float)
    result = mdl.classify(MdlSettings(), X, codes, fold, groups, [2])
    X, y, groups = X[fold.train].astype(float), codes[fold.train, 0], groups[fold.train]
    portions = online_portions(groups, 2)
    classes, counts = np.unique(y, return_counts=True)
    marginal = -np.log2(counts / len(y))[np.searchsorted(classes, y)]
    total, used = marginal[portions[0]].sum(), np.zeros(len(CLASS_ALPHAS))
    for i in range(1, len(portions)):
        seen, following = np.concatenate(portions[:i]), portions[i]
        scaler = StandardScaler().fit(X[seen])
        taken = np.empty(len(CLASS_ALPHAS))
        known = np.unique(y[seen])
        assert len(known) >= 2
        for a, alpha in enumerate(CLASS_ALPHAS):
            strength = (1 if len(known) > 2 else 2) / (alpha * len(seen))
            model = LogisticRegression(C=strength, tol=1e-8, max_iter=10_000)
            model.fit(scaler.transform(X[seen]), y[seen])
            p = np.zeros((len(following), len(classes)))
            p[:, np.isin(classes, known)] = model.predict_proba(scaler.transform(X[following]))
            p = (len(seen) * p + 1 / len(classes)) / (len(seen) + 1)
            at = np.searchsorted(classes, y[following])
            taken[a] = -np.log2(p[np.arange(len(at)), at]).sum()
        total += taken[len(CLASS_ALPHAS) - 1 - used[::-1].argmin()]
        used += taken
    found = result.details[0]
    assert found["codelength_bits"] == pytest.approx(total, rel=1e-4)
    assert found["marginal_bits"] == pytest.approx(marginal.sum(), rel=1e-12)
    assert found["alpha"] == CLASS_ALPHAS[len(CLASS_ALPHAS) - 1 - used[::-1].argmin()]


def test_predictions_are_those_of_the_last_model():
    X, y, fold, groups = problem(0.6)
    result = mdl.fit_predict(MdlSettings(), X, y, fold, groups, [0])
    scaler = StandardScaler().fit(X[fold.train].astype(float))
    model = Ridge(result.details[0]["alpha"] * len(fold.train))
    model.fit(scaler.transform(X[fold.train].astype(float)), y[fold.train, 0])
    expected = model.predict(scaler.transform(X[fold.test].astype(float)))
    np.testing.assert_allclose(result.predictions[:, 0], expected, rtol=1e-8)
    assert result.weights == []


def test_seeds_differ_in_the_order_of_speakers_and_a_column_keeps_to_its_own():
    X, y, fold, groups = problem(0.6, n_rows=400)
    both = mdl.fit_predict(MdlSettings(), X, y[:, [0, 0]], fold, groups, [0, 1]).details
    assert both[0]["codelength_bits"] != both[1]["codelength_bits"]
    assert mdl.fit_predict(MdlSettings(), X, y, fold, groups, [1]).details == [both[1]]


def test_a_constant_target_has_no_bits():
    X, _, fold, groups = problem(0, n_rows=300)
    same = np.full((300, 1), 2.0)
    for fit in (mdl.fit_predict, mdl.classify):
        result = fit(MdlSettings(), X, same, fold, groups, [0])
        np.testing.assert_allclose(result.predictions, 2.0)
        assert set(result.details[0]) == {"portions", "alpha"}


def test_a_single_speaker_is_refused():
    X, y, fold, _ = problem(0, n_rows=300)
    with pytest.raises(ValueError, match="at least 2 training speakers, found 1"):
        mdl.fit_predict(MdlSettings(), X, y, fold, np.array(["s"] * 300), [0])
