"""Ridge against scikit-learn on the same folds."""

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    LeaveOneOut,
    PredefinedSplit,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from jobs.probes import RidgeSettings, ridge
from jobs.probes.factorisations import Spectrum
from jobs.probes.normal_equations import TrainingPart
from jobs.protocol.folds import Fold

TOLERANCE = 1e-8


def problem(n_rows, width, n_targets=3, seed=0):
    """Activations of unequal scale, targets at several noise levels, and 20 speakers in turn."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, width)) * rng.uniform(0.1, 30, width) + 5
    signal = (X @ rng.standard_normal((width, n_targets))) / np.sqrt(width)
    Y = 12 + signal / signal.std(axis=0) + rng.standard_normal((n_rows, n_targets)) * [0.1, 1, 10]
    groups = np.array([f"s{i % 20:02d}" for i in range(n_rows)])
    return X.astype(np.float32), Y, groups


def split(groups, with_validation=True):
    speaker = np.array([int(name[1:]) for name in groups])
    train = np.flatnonzero(speaker < (10 if with_validation else 15))
    validation = np.flatnonzero((speaker >= 10) & (speaker < 15) & with_validation)
    return Fold(train, validation, np.flatnonzero(speaker >= 15))


def sklearn_ridge(X, y, train, test, alpha):
    model = make_pipeline(StandardScaler(), Ridge(alpha=alpha * len(train)))
    return model.fit(X[train].astype(np.float64), y[train]).predict(X[test].astype(np.float64))


@pytest.mark.parametrize(("n_rows", "width"), [(200, 30), (120, 60), (100, 400)])
def test_alpha_and_predictions_are_those_of_sklearns_grid_search(n_rows, width):
    X, Y, groups = problem(n_rows, width)
    fold = split(groups)
    settings = RidgeSettings()
    result = ridge.fit_predict(settings, X, Y, fold, groups, [0, 0, 0])
    rows = np.concatenate([fold.train, fold.validation])
    held_out = np.where(np.isin(rows, fold.validation), 0, -1)
    for k, y in enumerate(Y.T):
        search = GridSearchCV(
            make_pipeline(StandardScaler(), Ridge()),
            {"ridge__alpha": [alpha * len(fold.train) for alpha in settings.alphas]},
            cv=PredefinedSplit(held_out),
            scoring="neg_mean_squared_error",
            refit=False,
        ).fit(X[rows].astype(np.float64), y[rows])
        alpha = search.best_params_["ridge__alpha"] / len(fold.train)
        assert result.details[k]["alpha"] == pytest.approx(alpha, rel=1e-12)
        expected = sklearn_ridge(X, y, fold.train, fold.test, alpha)
        np.testing.assert_allclose(result.predictions[:, k], expected, rtol=TOLERANCE)


@pytest.mark.parametrize("width", [40, 400])  # 400: more features than training rows
def test_without_a_validation_part_alpha_is_that_of_grouped_cross_validation(width):
    X, Y, groups = problem(200, width)
    fold = split(groups, with_validation=False)  # 15 speakers of 10: inner folds of equal size
    settings = RidgeSettings()
    result = ridge.fit_predict(settings, X, Y, fold, groups, [0, 0, 0])
    n_inner = len(fold.train) * 4 // 5
    scaled = StandardScaler().fit_transform(X[fold.train].astype(np.float64))
    for k, y in enumerate(Y.T):
        search = GridSearchCV(
            Ridge(),
            {"alpha": [alpha * n_inner for alpha in settings.alphas]},
            cv=GroupKFold(5),
            scoring="neg_mean_squared_error",
            refit=False,
        ).fit(scaled, y[fold.train], groups=groups[fold.train])
        alpha = search.best_params_["alpha"] / n_inner
        assert result.details[k]["alpha"] == pytest.approx(alpha, rel=1e-12)
        expected = sklearn_ridge(X, y, fold.train, fold.test, alpha)
        np.testing.assert_allclose(result.predictions[:, k], expected, rtol=TOLERANCE)


def test_inner_folds_are_taken_though_there_is_a_validation_part_if_they_are_asked_for():
    X, Y, groups = problem(200, 30)
    fold = split(groups)
    without = Fold(fold.train, fold.train[:0], fold.test)
    inner = RidgeSettings(choose="inner")
    asked = ridge.fit_predict(inner, X, Y, fold, groups, [0] * 3)
    needed = ridge.fit_predict(RidgeSettings(), X, Y, without, groups, [0] * 3)
    assert asked.details == needed.details
    np.testing.assert_array_equal(asked.predictions, needed.predictions)


@pytest.mark.parametrize("width", [1, 40, 400])
def test_leave_one_out_is_that_of_rows_left_out_one_by_one(width):
    X, Y, groups = problem(60, width)
    train = split(groups).train
    alphas = np.array([1e-3, 0.1, 10.0])
    scaled = StandardScaler().fit_transform(X[train].astype(np.float64))
    for k, y in enumerate(Y[train].T):
        errors = [
            -cross_val_score(
                Ridge(alpha=alpha * (len(train) - 1)),
                scaled,
                y,
                cv=LeaveOneOut(),
                scoring="neg_mean_squared_error",
            ).sum()
            for alpha in alphas
        ]
        part = TrainingPart(X[train], Y[train][:, [k]])
        found = ridge.leave_one_out_errors(part, Spectrum(part.equations().matrix), alphas)
        np.testing.assert_allclose(found[0], errors, rtol=TOLERANCE)


@pytest.mark.parametrize("width", [40, 400])
def test_leave_one_out_chooses_as_sklearns_ridge_does(width):
    X, Y, groups = problem(200, width)
    fold = split(groups)
    settings = RidgeSettings(choose="loo")
    result = ridge.fit_predict(settings, X, Y, fold, groups, [0, 0, 0])
    scaled = StandardScaler().fit_transform(X[fold.train].astype(np.float64))
    n = len(fold.train)
    penalties = [alpha * (n - 1) for alpha in settings.alphas]
    oracle = RidgeCV(penalties, alpha_per_target=True).fit(scaled, Y[fold.train])
    for k, y in enumerate(Y.T):
        alpha = oracle.alpha_[k] / (n - 1)
        assert result.details[k]["alpha"] == pytest.approx(alpha, rel=1e-12)
        expected = sklearn_ridge(X, y, fold.train, fold.test, alpha)
        np.testing.assert_allclose(result.predictions[:, k], expected, rtol=TOLERANCE)


@pytest.mark.parametrize("width", [30, 400])
@pytest.mark.parametrize("choose", ["auto", "inner", "loo"])
def test_weights_alone_predict_the_same(width, choose):
    X, Y, groups = problem(200, width)
    fold, settings = split(groups), RidgeSettings(choose=choose)
    result = ridge.fit_predict(settings, X, Y, fold, groups, [0] * 3)
    for k, weights in enumerate(result.weights):
        assert {name: w.shape for name, w in weights.items()} == {"weight": (width,), "bias": (1,)}
        alone = ridge.apply(settings, weights, X[fold.test])
        np.testing.assert_array_equal(alone, result.predictions[:, k])


def test_choosing_on_a_validation_part_that_is_not_there_is_refused():
    X, Y, groups = problem(200, 5)
    fold = split(groups, with_validation=False)
    with pytest.raises(ValueError, match="the protocol has no validation split"):
        ridge.fit_predict(RidgeSettings(choose="validation"), X, Y, fold, groups, [0] * 3)


def test_alpha_at_the_end_of_the_grid_is_flagged():
    X, Y, groups = problem(200, 30, seed=1)
    fold = split(groups)
    reversed_on_validation = Y[:, 1].copy()
    reversed_on_validation[fold.validation] *= -1
    reversed_on_validation[fold.validation] += 2 * Y[:, 1].mean()
    both = np.stack([Y[:, 1], reversed_on_validation], axis=1)
    chosen = ridge.fit_predict(RidgeSettings(), X, both, fold, groups, [0, 0]).details
    assert chosen[0]["alpha_at_edge"] == 0
    assert chosen[1] == {"alpha": 1e5, "alpha_at_edge": 1}


def test_validation_rows_choose_alpha_but_never_fit():
    X, Y, groups = problem(200, 30)
    fold = split(groups)
    disturbed_X, disturbed_Y = X.copy(), Y.copy()
    disturbed_X[fold.validation] += 100
    disturbed_Y[fold.validation] *= -3
    one_alpha = RidgeSettings(alphas=(0.1,))
    before = ridge.fit_predict(one_alpha, X, Y, fold, groups, [0] * 3)
    after = ridge.fit_predict(one_alpha, disturbed_X, disturbed_Y, fold, groups, [0] * 3)
    np.testing.assert_array_equal(before.predictions, after.predictions)


@pytest.mark.parametrize("width", [20, 300])
def test_constant_features_change_nothing(width):
    X, Y, groups = problem(200, width)
    fold = split(groups)
    padded = np.concatenate([X, np.full((200, 4), 0.1, np.float32)], axis=1)
    without = ridge.fit_predict(RidgeSettings(), X, Y, fold, groups, [0] * 3)
    with_constants = ridge.fit_predict(RidgeSettings(), padded, Y, fold, groups, [0] * 3)
    np.testing.assert_allclose(with_constants.predictions, without.predictions, rtol=TOLERANCE)


def test_activations_that_are_all_constant_predict_the_training_mean():
    _, Y, groups = problem(200, 5)
    fold = split(groups)
    X = np.full((200, 5), 0.1, np.float32)
    result = ridge.fit_predict(RidgeSettings(), X, Y, fold, groups, [0] * 3)
    expected = np.broadcast_to(Y[fold.train].mean(axis=0), result.predictions.shape)
    np.testing.assert_allclose(result.predictions, expected, rtol=1e-14)


def test_the_penalty_means_the_same_at_any_number_of_utterances():
    X, Y, groups = problem(200, 30)
    fold = split(groups)
    twice = Fold(np.repeat(fold.train, 2), fold.validation, fold.test)
    once = ridge.fit_predict(RidgeSettings(), X, Y, fold, groups, [0] * 3)
    doubled = ridge.fit_predict(RidgeSettings(), X, Y, twice, groups, [0] * 3)
    np.testing.assert_allclose(doubled.predictions, once.predictions, rtol=TOLERANCE)


def test_one_training_speaker_and_no_validation_part_is_refused():
    X, Y, _ = problem(20, 3)
    fold = Fold(np.arange(10), np.arange(0), np.arange(10, 20))
    with pytest.raises(ValueError, match="at least 2 training speakers, found 1"):
        ridge.fit_predict(RidgeSettings(), X, Y, fold, np.array(["a"] * 20), [0] * 3)


def test_alphas_are_sorted_and_must_be_positive():
    assert RidgeSettings(alphas=(10, 1)).alphas == (1, 10)
    with pytest.raises(ValidationError, match="between 1e-20 and"):
        RidgeSettings(alphas=(0.0, 1.0))
