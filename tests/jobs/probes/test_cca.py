"""CCA against scikit-learn on the same training data."""

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.cross_decomposition import CCA

from jobs.probes import CcaSettings, cca
from jobs.protocol.folds import Fold
from jobs.statistics.scoring import score_numbers


def problem(n_rows, width, n_targets=2, seed=0):
    rng = np.random.default_rng(seed)
    latent = rng.standard_normal((n_rows, 12))
    X = latent @ rng.standard_normal((12, width)) + 0.3 * rng.standard_normal((n_rows, width))
    Y = 12 + latent[:, :n_targets] * 2 + rng.standard_normal((n_rows, n_targets))
    order = np.arange(n_rows)
    fold = Fold(order[: n_rows // 2], order[:0], order[n_rows // 2 :])
    return X.astype(np.float32), Y, fold


def reduced(X, fold, variance):
    """Standardised on the training part and projected on its SVD directions, by plain SVD."""
    train = X[fold.train].astype(np.float64)
    Z = (X.astype(np.float64) - train.mean(axis=0)) / train.std(axis=0)
    _, s, Vt = np.linalg.svd(Z[fold.train], full_matrices=False)
    components = int(np.searchsorted(np.cumsum(s**2) / np.sum(s**2), variance)) + 1
    return Z @ Vt[:components].T


@pytest.mark.parametrize("width", [20, 60, 300])  # 300: more features than training rows
def test_held_out_and_in_sample_correlation_are_those_of_sklearn(width):
    X, Y, fold = problem(200, width)
    result = cca.fit_predict(CcaSettings(), X, Y, fold, np.array(["s"] * 200), [0, 0])
    Z = reduced(X, fold, 0.99)
    for k, y in enumerate(Y.T):
        oracle = CCA(n_components=1, max_iter=500).fit(Z[fold.train], y[fold.train, None])
        on_test = oracle.transform(Z[fold.test])[:, 0]
        on_train = oracle.transform(Z[fold.train])[:, 0]
        sign = np.sign(pearsonr(on_train, y[fold.train])[0])
        held_out = sign * pearsonr(on_test, y[fold.test])[0]
        in_sample = sign * pearsonr(on_train, y[fold.train])[0]
        found = pearsonr(result.predictions[:, k], y[fold.test])[0]
        assert found == pytest.approx(held_out, abs=1e-9)
        assert result.details[k]["in_sample"] == pytest.approx(in_sample, abs=1e-9)
        assert result.details[k]["components"] == Z.shape[1]
        assert result.details[k]["saturated"] == 0


@pytest.mark.parametrize(("width", "expected"), [(256, 0.32), (1024, 0.61), (5120, 1.0)])
def test_noise_correlates_in_sample_as_the_study_would_have_read_it_but_not_held_out(
    width, expected
):
    n_train = 2703 if width < 5120 else 270  # for more features than rows, any number will do
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_train + 1000, width)).astype(np.float32)
    y = rng.standard_normal((n_train + 1000, 1))
    rows = np.arange(n_train + 1000)
    fold = Fold(rows[:n_train], rows[:0], rows[n_train:])
    result = cca.fit_predict(CcaSettings(variance=1), X, y, fold, np.array(["s"] * len(X)), [0])
    assert result.details[0]["in_sample"] == pytest.approx(expected, abs=0.03)
    assert result.details[0]["saturated"] == (width == 5120)
    assert abs(pearsonr(result.predictions[:, 0], y[fold.test, 0])[0]) < 0.1


def test_all_directions_give_ordinary_least_squares():
    X, Y, fold = problem(200, 20)
    result = cca.fit_predict(CcaSettings(variance=1), X, Y, fold, np.array(["s"] * 200), [0, 0])
    design = np.column_stack([np.ones(200), X.astype(np.float64)])
    weights = np.linalg.lstsq(design[fold.train], Y[fold.train], rcond=None)[0]
    np.testing.assert_allclose(result.predictions, design[fold.test] @ weights, rtol=1e-9)


def test_constant_activations_have_no_correlation():
    _, Y, fold = problem(200, 20)
    X = np.full((200, 20), 0.1, np.float32)
    result = cca.fit_predict(CcaSettings(), X, Y, fold, np.array(["s"] * 200), [0, 0])
    assert result.details == [{"components": 0, "saturated": 0}] * 2
    groups = np.array(["s"] * len(fold.test))
    scores = score_numbers(
        Y[fold.test, 0], result.predictions[:, 0], Y[fold.train, 0].mean(), groups
    )
    assert scores["pearson"] is None


@pytest.mark.parametrize("width", [20, 300])
def test_weights_alone_predict_the_same(width):
    X, Y, fold = problem(200, width)
    result = cca.fit_predict(CcaSettings(), X, Y, fold, np.array(["s"] * 200), [0, 0])
    for k, weights in enumerate(result.weights):
        alone = cca.apply(CcaSettings(), weights, X[fold.test])
        np.testing.assert_array_equal(alone, result.predictions[:, k])


def joint_oracle(X, Y, fold, variance=0.99):
    """Held-out and in-sample correlations of all components by scikit-learn's iterations, which
    stop when the squares of the weights' changes sum to ``tol``."""
    Z, k = reduced(X, fold, variance), Y.shape[1]
    oracle = CCA(n_components=k, max_iter=20000, tol=1e-26).fit(Z[fold.train], Y[fold.train])
    return [
        [pearsonr(a, b)[0] for a, b in zip(*(one.T for one in pair), strict=True)]
        for pair in (
            oracle.transform(Z[fold.test], Y[fold.test]),
            oracle.transform(Z[fold.train], Y[fold.train]),
        )
    ]


def jointly(X, Y, fold, **settings):
    found = cca.fit_jointly(CcaSettings(**settings), X, Y, fold)
    pairs = zip(found.activations.T, found.targets.T, strict=True)
    return found, [pearsonr(u, v)[0] for u, v in pairs]


@pytest.mark.parametrize("width", [20, 60, 300])
def test_components_with_several_targets_are_those_of_sklearn(width):
    X, Y, fold = problem(200, width, n_targets=3)
    Y += np.random.default_rng(1).standard_normal(Y.shape) * [0, 3, 9]  # correlations apart
    Y = Y * [1.0, 40.0, 1e-3] + [0, 1000, 0]
    found, held_out = jointly(X, Y, fold, components=3)
    expected, in_sample = joint_oracle(X, Y, fold)
    assert held_out == pytest.approx(expected, abs=1e-9)
    assert found.in_sample == pytest.approx(in_sample, abs=1e-9)
    assert not found.saturated


def test_in_sample_correlations_are_those_of_statsmodels():
    from statsmodels.multivariate.cancorr import CanCorr

    X, Y, fold = problem(300, 30, n_targets=4)
    found, _ = jointly(X, Y, fold, components=4, variance=1)
    expected = CanCorr(Y[fold.train], X[fold.train].astype(np.float64)).cancorr
    assert found.in_sample == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("width", [20, 300])
def test_variates_are_standardised_and_uncorrelated_on_the_training_part(width):
    X, Y, fold = problem(200, width, n_targets=3)
    found, _ = jointly(X, Y, Fold(fold.train, fold.validation, fold.train), components=3)
    for variates in (found.activations, found.targets):
        np.testing.assert_allclose(variates.mean(axis=0), 0, atol=1e-9)
        np.testing.assert_allclose(variates.T @ variates / len(fold.train), np.eye(3), atol=1e-8)
    between = found.activations.T @ found.targets / len(fold.train)
    np.testing.assert_allclose(between, np.diag(found.in_sample), atol=1e-8)


def test_with_one_target_the_component_is_that_of_the_target_alone():
    X, Y, fold = problem(200, 60, n_targets=1)
    found, held_out = jointly(X, Y, fold)
    alone = cca.fit_predict(CcaSettings(), X, Y, fold, np.array(["s"] * 200), [0])
    assert held_out == pytest.approx([pearsonr(alone.predictions[:, 0], Y[fold.test, 0])[0]])
    assert found.in_sample == pytest.approx([alone.details[0]["in_sample"]], abs=1e-12)


def test_fewer_components_are_the_first_of_more():
    X, Y, fold = problem(200, 60, n_targets=3)
    two, three = (jointly(X, Y, fold, components=k)[0] for k in (2, 3))
    np.testing.assert_array_equal(two.activations, three.activations[:, :2])
    np.testing.assert_array_equal(two.targets, three.targets[:, :2])


def test_targets_that_are_constant_or_say_the_same_add_no_component():
    X, Y, fold = problem(200, 60, n_targets=2)
    Y = np.column_stack([Y, 3 * Y[:, 0] - Y[:, 1], np.full(200, 7.0)])
    _, held_out = jointly(X, Y, fold, components=4)
    _, expected = jointly(X, Y[:, :2], fold, components=2)
    assert held_out == pytest.approx(expected, abs=1e-9)
    constant, none = jointly(X, Y[:, 3:], fold, components=1)
    assert none == [] and constant.in_sample.size == 0


def test_a_component_goes_up_with_the_target_that_it_is_about_whatever_the_units():
    """A target in small units that the layer does not know has the largest weight, by chance."""
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((400, 3))
    X = latent[:, :2] @ rng.standard_normal((2, 6)) + 0.5 * rng.standard_normal((400, 6))
    order = np.arange(400)
    for units in ([1, 1, 1], [2, 40, 0.05], [1e4, 1, 1e-4]):
        for tested in np.array_split(order, 5):
            fold = Fold(np.setdiff1d(order, tested), order[:0], tested)
            found, _ = jointly(X.astype(np.float32), latent * units, fold, components=2)
            for variate in found.targets.T:
                r = [pearsonr(variate, target)[0] for target in latent[tested].T]
                assert max(r) > 0.5 and max(r) == max(np.abs(r))


def test_more_directions_than_rows_are_flagged():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((140, 120)).astype(np.float32), rng.standard_normal((140, 3))
    rows = np.arange(140)
    fold = Fold(rows[:40], rows[:0], rows[40:])
    found, held_out = jointly(X, Y, fold, components=3, variance=1)
    assert found.saturated
    assert found.in_sample == pytest.approx([1, 1, 1], abs=1e-9)
    assert np.abs(held_out).max() < 0.3


def test_the_number_of_components_is_no_part_of_the_identity():
    assert CcaSettings(components=3).identity() == {"kind": "cca", "variance": 0.99}
