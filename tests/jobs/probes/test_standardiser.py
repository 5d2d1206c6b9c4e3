"""Standardised features against scikit-learn's."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from jobs.probes import standardiser
from jobs.probes.standardiser import apply_linear, fit_standardiser, no_standardiser


def activations(n_rows=50, width=6):
    rng = np.random.default_rng(0)
    return (rng.standard_normal((n_rows, width)) * [0.01, 1, 100, 1, 1, 1] + 7).astype(np.float32)


@pytest.mark.parametrize("block", [1, 8, 2048])
def test_features_are_standardised_as_sklearn_does_whatever_the_blocks(block, monkeypatch):
    monkeypatch.setattr(standardiser, "BLOCK", block)
    X = activations()
    standardise = fit_standardiser(X[:30])
    expected = StandardScaler().fit(X[:30].astype(np.float64)).transform(X.astype(np.float64))
    np.testing.assert_allclose(standardise(X), expected, rtol=1e-9, atol=1e-12)
    joined = np.concatenate([rows for _, rows in standardise.blocks(X)])
    np.testing.assert_array_equal(joined, standardise(X))


def test_a_feature_that_is_constant_but_for_rounding_becomes_nothing():
    X = activations()
    X[:, 2] = 0.1
    X[::2, 2] = np.nextafter(np.float32(0.1), np.float32(1))
    X[:, 3] = 0
    standardised = fit_standardiser(X)(X)
    assert not standardised[:, [2, 3]].any()
    assert np.isfinite(standardised).all()


def test_a_linear_function_is_the_same_in_raw_units():
    X = activations()
    X[:, 4] = 3.0
    standardise = fit_standardiser(X)
    weight = np.arange(6.0)
    raw = standardise.in_raw_units(weight, 2.5)
    assert raw["weight"][4] == 0
    expected = standardise(X) @ weight + 2.5
    np.testing.assert_allclose(apply_linear(None, raw, X), expected, rtol=1e-9, atol=1e-9)


def test_no_standardiser_changes_nothing():
    X = activations()
    np.testing.assert_array_equal(no_standardiser(6)(X), X.astype(np.float64))
