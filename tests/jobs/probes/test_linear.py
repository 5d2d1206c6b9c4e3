"""The linear layer against a plain ``nn.Linear`` loop, and against ridge that it approaches."""

import numpy as np
import pytest
import torch
from torch import nn

from jobs.probes import LinearSettings, RidgeSettings, linear, ridge
from jobs.protocol.folds import Fold


def problem(n_rows=150, width=12, seed=0):
    rng = np.random.default_rng(seed)
    X = (rng.standard_normal((n_rows, width)) * 3 + 1).astype(np.float32)
    Y = 12 + X[:, :2] + 0.5 * rng.standard_normal((n_rows, 2))
    speaker = np.arange(n_rows) % 15
    parts = [np.flatnonzero(part) for part in (speaker < 8, (speaker // 4) == 2, speaker >= 12)]
    return X, Y, Fold(*parts), np.array([f"s{i:02d}" for i in speaker])


@pytest.fixture(autouse=True)
def one_thread():
    """As a probe task runs."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("standardised", [True, False])
def test_it_is_a_linear_module_trained_by_adam_in_float64(standardised):
    X, Y, fold, groups = problem()
    settings = LinearSettings(
        standardise=standardised, early_stopping=False, epochs=5, weight_decay=0.01
    )
    result = linear.fit_predict(settings, X, Y, fold, groups, [0, 7], dtype=torch.float64)
    for k, seed in enumerate([0, 7]):
        features, y = torch.tensor(X, dtype=torch.float64), torch.tensor(Y[:, k])
        mean, scale = torch.tensor(0.0), torch.tensor(1.0)
        if standardised:
            on = features[fold.train]
            features = (features - on.mean(dim=0)) / on.std(dim=0, correction=0)
            mean, scale = y[fold.train].mean(), y[fold.train].std(correction=0)
        torch.manual_seed(seed)
        layer = nn.Linear(X.shape[1], 1).double()
        adam = torch.optim.Adam(layer.parameters(), lr=1e-3, weight_decay=0.01)
        for _ in range(5):
            for rows in torch.randperm(len(fold.train)).split(32):
                adam.zero_grad()
                missed = layer(features[fold.train][rows])[:, 0]
                missed = missed - (y[fold.train][rows] - mean) / scale
                missed.square().mean().backward()
                adam.step()
        with torch.no_grad():
            expected = layer(features[fold.test])[:, 0] * scale + mean
        np.testing.assert_allclose(result.predictions[:, k], expected.numpy(), rtol=1e-12)


def test_after_many_steps_it_is_ridge_without_a_penalty():
    X, Y, fold, groups = problem()
    long = LinearSettings(epochs=400, learning_rate=0.01, batch_size=80, early_stopping=False)
    found = linear.fit_predict(long, X, Y, fold, groups, [0, 0]).predictions
    exact = ridge.fit_predict(RidgeSettings(alphas=(1e-9,)), X, Y, fold, groups, [0, 0]).predictions
    np.testing.assert_allclose(found, exact, atol=0.02)


def test_the_weights_are_of_raw_activations_and_predict_the_same():
    X, Y, fold, groups = problem()
    X[:, 3] = 0.1  # constant
    settings = LinearSettings()
    result = linear.fit_predict(settings, X, Y, fold, groups, [0, 1])
    for k, weights in enumerate(result.weights):
        assert {name: w.shape for name, w in weights.items()} == {"weight": (12,), "bias": (1,)}
        alone = linear.apply(settings, weights, X[fold.test])
        np.testing.assert_array_equal(alone, result.predictions[:, k])
    assert {"epochs", "best_epoch"} == set(result.details[0])


def test_a_layer_that_diverges_predicts_no_number():
    X, Y, fold, groups = problem()
    settings = LinearSettings(standardise=False, epochs=3, learning_rate=1e3)
    result = linear.fit_predict(settings, X * np.float32(1e30), Y, fold, groups, [0, 0])
    assert not np.isfinite(result.predictions).any()


def test_the_study_preset_is_the_one_of_the_perceptron():
    study = LinearSettings(preset="study")
    assert (study.learning_rate, study.epochs, study.batch_size) == (3e-4, 3, 32)
    assert not study.standardise and not study.early_stopping
    assert study.identity() == LinearSettings(preset="study", seeds=9, name="x").identity()
    assert study.identity() != LinearSettings().identity()
