"""Multinomial logistic regression against scikit-learn's."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.linalg import cholesky
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

from jobs.probes import LogisticSettings, logistic
from jobs.probes.logistic import PATIENCE, apply, fit_predict
from jobs.probes.logistic_settings import ALPHAS
from jobs.protocol.folds import Fold

WEIGHTS = 1e-3
"""How far weights may be from scikit-learn's, of their norm."""


def problem(n=240, width=30, n_classes=3, noise=6.0, seed=0):
    """X (n, D) of correlated features on scales of their own, codes (n,), groups (n,)."""
    rng = np.random.default_rng(seed)
    codes = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, n - n_classes)])
    centres = rng.standard_normal((n_classes, width))
    mixed = (centres[codes] + noise * rng.standard_normal((n, width))) @ rng.standard_normal(
        (width, width)
    )
    X = (mixed * rng.uniform(0.1, 10, width) + 5).astype(np.float32)
    return X, codes.astype(float), np.array([f"g{i % 12}" for i in range(n)])


def thirds(n):
    train, validation, test = np.split(np.arange(n), [n // 2, 3 * n // 4])
    return Fold(train, validation, test)


def scikit(X, y, alpha):
    """Scikit-learn's pipeline at the penalty ``alpha`` of ``LogisticSettings``."""
    scaler = StandardScaler().fit(X.astype(float))
    n_classes = len(np.unique(y))
    C = (2 if n_classes == 2 else 1) / (alpha * len(y))
    model = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    return scaler, model.fit(scaler.transform(X.astype(float)), y)


def in_raw_units(scaler, model):
    coef, bias = model.coef_, model.intercept_
    if len(coef) == 1:  # of two classes scikit-learn has the difference
        coef, bias = np.concatenate([-coef, coef]) / 2, np.concatenate([-bias, bias]) / 2
    raw = coef / scaler.scale_
    return raw, bias - raw @ scaler.mean_


@pytest.mark.parametrize("n_classes", [2, 3, 7])
@pytest.mark.parametrize("width", [12, 200])
@pytest.mark.parametrize("alpha", [1e-3, 1e-1, 10.0])
def test_weights_and_predictions_are_scikit_learns_at_the_same_penalty(n_classes, width, alpha):
    X, y, groups = problem(width=width, n_classes=n_classes)
    fold = thirds(len(y))
    settings = LogisticSettings(alphas=(alpha,))
    found = fit_predict(settings, X, y[:, None], fold, groups, [0])
    scaler, model = scikit(X[fold.train], y[fold.train], alpha)
    (weights,) = found.weights
    coef, bias = in_raw_units(scaler, model)
    error = np.linalg.norm((weights["weight"] - coef) * scaler.scale_)
    assert error <= WEIGHTS * np.linalg.norm(coef * scaler.scale_)
    logits = X[fold.test] @ weights["weight"].T + weights["bias"]
    expected = X[fold.test] @ coef.T + bias
    spread = expected.std()
    differences = (logits - logits[:, :1]) - (expected - expected[:, :1])
    assert np.abs(differences).max() <= 10 * WEIGHTS * spread
    clear = np.diff(np.sort(expected, axis=1)[:, -2:])[:, 0] > 10 * WEIGHTS * spread
    predicted = model.predict(scaler.transform(X[fold.test].astype(float)))
    np.testing.assert_array_equal(found.predictions[clear, 0], predicted[clear])
    assert clear.mean() > 0.9
    assert found.details[0]["converged"] == 1


def test_the_penalty_has_the_lowest_log_loss_on_the_validation_part():
    X, y, groups = problem(noise=3.0)
    fold = thirds(len(y))
    (details,) = fit_predict(LogisticSettings(), X, y[:, None], fold, groups, [0]).details
    losses = {}
    for alpha in ALPHAS:
        scaler, model = scikit(X[fold.train], y[fold.train], alpha)
        p = model.predict_proba(scaler.transform(X[fold.validation].astype(float)))
        losses[alpha] = log_loss(y[fold.validation], p, labels=model.classes_)
    assert details["alpha"] == min(losses, key=losses.get)
    assert details["alpha_at_edge"] == 0 and details["unconverged"] == 0


def test_without_a_validation_part_inner_folds_of_whole_groups_choose():
    X, y, groups = problem(noise=3.0)
    fold = Fold(np.arange(180), np.empty(0, dtype=int), np.arange(180, 240))
    found = fit_predict(LogisticSettings(), X, y[:, None], fold, groups, [0])
    losses = dict.fromkeys(ALPHAS, 0.0)
    for fitted, held_out in GroupKFold(5).split(fold.train, groups=groups[:180]):
        for alpha in ALPHAS:
            scaler, model = scikit(X[fitted], y[fitted], alpha)
            p = model.predict_proba(scaler.transform(X[held_out].astype(float)))
            losses[alpha] += log_loss(y[held_out], p, labels=model.classes_, normalize=False)
    best = min(losses, key=losses.get)
    assert found.details[0]["alpha"] == best
    scaler, model = scikit(X[:180], y[:180], best)
    coef, _ = in_raw_units(scaler, model)
    error = np.linalg.norm((found.weights[0]["weight"] - coef) * scaler.scale_)
    assert error <= WEIGHTS * np.linalg.norm(coef * scaler.scale_)


def test_noise_takes_a_strong_penalty_and_the_search_ends_early(monkeypatch):
    X, y, groups = problem()
    y = np.random.default_rng(1).permutation(y)
    tried = []

    def counted(*arguments, **options):
        tried.append(None)
        return cholesky(*arguments, **options)

    monkeypatch.setattr(logistic, "cholesky", counted)  # one factorisation a penalty
    found = fit_predict(LogisticSettings(), X, y[:, None], thirds(len(y)), groups, [0])
    position = ALPHAS[::-1].index(found.details[0]["alpha"])
    assert len(tried) == position + 1 + PATIENCE < len(ALPHAS)


def test_weights_alone_give_the_predictions():
    X, y, groups = problem(n_classes=4)
    fold = thirds(len(y))
    found = fit_predict(LogisticSettings(), X, np.stack([y, y % 2], 1), fold, groups, [0, 0])
    for k, weights in enumerate(found.weights):
        np.testing.assert_array_equal(
            apply(LogisticSettings(), weights, X[fold.test]), found.predictions[:, k]
        )
    assert found.weights[0]["weight"].shape == (4, X.shape[1])
    assert found.weights[1]["classes"].tolist() == [0, 1]


def test_codes_need_not_begin_at_0_nor_be_without_gaps():
    X, y, groups = problem(noise=2.0)
    fold = thirds(len(y))
    plain = fit_predict(LogisticSettings(), X, y[:, None], fold, groups, [0])
    moved = fit_predict(LogisticSettings(), X, 3 * y[:, None] + 5, fold, groups, [0])
    np.testing.assert_array_equal(moved.predictions, 3 * plain.predictions + 5)
    assert moved.details == plain.details


def test_a_constant_feature_has_no_weight():
    X, y, groups = problem()
    X[:, 4] = 7.0
    (weights,) = fit_predict(LogisticSettings(), X, y[:, None], thirds(len(y)), groups, [0]).weights
    assert (weights["weight"][:, 4] == 0).all() and np.isfinite(weights["bias"]).all()


def test_a_training_part_of_one_class_predicts_it():
    X, y, groups = problem()
    fold = thirds(len(y))
    y[fold.train] = 1.0
    y[fold.validation[:3]] = 1.0
    found = fit_predict(LogisticSettings(), X, y[:, None], fold, groups, [0])
    assert set(found.predictions[:, 0]) == {1.0}


def test_rows_of_a_class_that_was_not_fitted_do_not_choose():
    X, y, groups = problem(noise=3.0)
    fold = thirds(len(y))
    strange = y.copy()
    strange[fold.validation[::2]] = 9.0
    kept = Fold(fold.train, fold.validation[1::2], fold.test)
    found, expected = (
        fit_predict(LogisticSettings(), X, column[:, None], one, groups, [0]).details
        for column, one in ((strange, fold), (y, kept))
    )
    assert found == expected
    strange[fold.validation] = 9.0
    with pytest.raises(ValueError, match="no held-out utterance has a class that was fitted"):
        fit_predict(LogisticSettings(), X, strange[:, None], fold, groups, [0])


def test_a_solve_that_does_not_converge_says_so(monkeypatch):
    monkeypatch.setattr(logistic, "MAX_ITERATIONS", 2)
    X, y, groups = problem(noise=1.0)
    settings = LogisticSettings(alphas=(1e-4, 1e-3))
    (details,) = fit_predict(settings, X, y[:, None], thirds(len(y)), groups, [0]).details
    assert details["converged"] == 0 and details["unconverged"] == 2
    assert details["iterations"] == 2


def test_penalties_are_positive_and_sorted():
    assert LogisticSettings(alphas=(10.0, 0.1)).alphas == (0.1, 10.0)
    with pytest.raises(ValidationError, match="between 1e-20 and"):
        LogisticSettings(alphas=(0.0, 1.0))
