"""Nearest neighbours against scikit-learn's."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, GroupKFold, PredefinedSplit
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

from jobs.probes import KnnSettings, knn
from jobs.protocol.folds import Fold


def problem(n_rows=300, width=8, seed=0):
    rng = np.random.default_rng(seed)
    X = (rng.standard_normal((n_rows, width)) * rng.uniform(0.1, 30, width) + 5).astype(np.float32)
    signal = (X - X.mean(axis=0)) / X.std(axis=0)
    Y = 12 + signal[:, :2] + 0.5 * rng.standard_normal((n_rows, 2))
    speaker = np.arange(n_rows) % 15
    parts = [np.flatnonzero(part) for part in (speaker < 10, (speaker // 2) == 5, speaker >= 12)]
    return X, Y, Fold(*parts), np.array([f"s{i:02d}" for i in speaker])


def codes(Y):
    return np.digitize(Y, [11, 12.5]).astype(np.float64)


def sklearn_search(model, X, y, fold, ks, metric, scoring):
    scaler = StandardScaler().fit(X[fold.train].astype(np.float64))
    Z = scaler.transform(X.astype(np.float64))
    rows = np.concatenate([fold.train, fold.validation])
    held_out = PredefinedSplit(np.where(np.isin(rows, fold.validation), 0, -1))
    grid = {"n_neighbors": list(ks)}
    base = model(metric=metric, algorithm="brute")
    search = GridSearchCV(base, grid, cv=held_out, scoring=scoring, refit=False)
    k = search.fit(Z[rows], y[rows]).best_params_["n_neighbors"]
    fitted = model(k, metric=metric, algorithm="brute").fit(Z[fold.train], y[fold.train])
    return k, fitted.predict(Z[fold.test])


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_numbers_are_those_of_sklearn(metric):
    X, Y, fold, groups = problem()
    settings = KnnSettings(metric=metric)
    result = knn.fit_predict(settings, X, Y, fold, groups, [0, 0])
    for k, y in enumerate(Y.T):
        chosen, expected = sklearn_search(
            KNeighborsRegressor, X, y, fold, settings.k, metric, "neg_mean_squared_error"
        )
        assert result.details[k] == {"k": chosen}
        np.testing.assert_allclose(result.predictions[:, k], expected, rtol=1e-12)
    assert result.weights == []


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_classes_are_those_of_sklearn(metric):
    X, Y, fold, groups = problem()
    settings = KnnSettings(metric=metric)
    result = knn.classify(settings, X, codes(Y), fold, groups, [0, 0])
    for k, y in enumerate(codes(Y).T):
        chosen, expected = sklearn_search(
            KNeighborsClassifier, X, y, fold, settings.k, metric, "accuracy"
        )
        assert result.details[k] == {"k": chosen}
        np.testing.assert_array_equal(result.predictions[:, k], expected)


def test_without_a_validation_part_k_is_that_of_grouped_cross_validation():
    X, Y, fold, groups = problem()
    fold = Fold(fold.train, fold.train[:0], fold.test)
    result = knn.fit_predict(KnnSettings(), X, Y, fold, groups, [0, 0])
    for k, y in enumerate(Y.T):
        errors = np.zeros(len(KnnSettings().k))
        for a, b in GroupKFold(5).split(fold.train, groups=groups[fold.train]):
            scaler = StandardScaler().fit(X[fold.train[a]].astype(np.float64))
            seen, asked = (scaler.transform(X[fold.train[part]].astype(float)) for part in (a, b))
            for i, n in enumerate(KnnSettings().k):
                model = KNeighborsRegressor(n).fit(seen, y[fold.train[a]])
                errors[i] += ((model.predict(asked) - y[fold.train[b]]) ** 2).sum()
        assert result.details[k]["k"] == KnnSettings().k[errors.argmin()]


def test_rows_in_blocks_have_the_same_neighbours(monkeypatch):
    X, Y, fold, groups = problem()
    at_once = knn.fit_predict(KnnSettings(), X, Y, fold, groups, [0, 0])
    monkeypatch.setattr(knn, "ROWS", 7)
    in_blocks = knn.fit_predict(KnnSettings(), X, Y, fold, groups, [0, 0])
    np.testing.assert_allclose(in_blocks.predictions, at_once.predictions, rtol=1e-12)


def test_more_neighbours_than_rows_are_not_tried_and_none_at_all_is_refused():
    X, Y, fold, groups = problem()
    few = Fold(fold.train[:4], fold.validation, fold.test)
    assert knn.fit_predict(KnnSettings(k=(3, 100)), X, Y, few, groups, [0, 0]).details[0] == {
        "k": 3
    }
    with pytest.raises(ValueError, match="4 training utterances have no 50 neighbours"):
        knn.fit_predict(KnnSettings(k=(100, 50)), X, Y, few, groups, [0, 0])


def test_activations_that_are_all_constant_have_neighbours_all_the_same():
    _, Y, fold, groups = problem()
    X = np.full((300, 4), 0.1, np.float32)
    for metric in ("euclidean", "cosine"):
        result = knn.fit_predict(KnnSettings(metric=metric), X, Y, fold, groups, [0, 0])
        assert np.isfinite(result.predictions).all()
