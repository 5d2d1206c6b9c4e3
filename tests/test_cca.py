"""CCA against scikit-learn on the same training data."""

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.cross_decomposition import CCA

from jobs.metrics import score
from jobs.probes import cca
from jobs.probes.cca import CcaSettings
from jobs.protocol import Fold


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
    scores = score(Y[fold.test, 0], result.predictions[:, 0], Y[fold.train, 0].mean(), groups)
    assert scores["pearson"] is None


@pytest.mark.parametrize("width", [20, 300])
def test_weights_alone_predict_the_same(width):
    X, Y, fold = problem(200, width)
    result = cca.fit_predict(CcaSettings(), X, Y, fold, np.array(["s"] * 200), [0, 0])
    for k, weights in enumerate(result.weights):
        alone = cca.apply(CcaSettings(), weights, X[fold.test])
        np.testing.assert_array_equal(alone, result.predictions[:, k])
