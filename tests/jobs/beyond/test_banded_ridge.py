"""Banded ridge regression against himalaya and scikit-learn at the same penalties."""

import itertools

import numpy as np
import pytest
from himalaya.ridge import solve_group_ridge_random_search
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from jobs.beyond.banded_ridge import BandedRidge, Trial, WideBand, choose_alphas

ALPHAS = (1e-3, 1e-1, 10.0, 1e3)
TOLERANCE = 1e-8


def problem(n_rows, width, seed=0):
    """Two narrow bands, a layer that overlaps with the second, and two targets; 60 rows more."""
    rng = np.random.default_rng(seed)
    total = n_rows + 60
    layer = rng.standard_normal((total, width)) * rng.uniform(0.1, 5, width) + 3
    first = rng.standard_normal((total, 7))
    second = layer[:, :2] + rng.standard_normal((total, 2))
    noise = rng.standard_normal((total, 2))
    Y = 5 + np.stack([layer[:, 0] + first[:, 0], second[:, 1] + 2 * first[:, 3]], axis=1) + noise
    bands = [band.astype(np.float32) for band in (first, second, layer)]
    return bands, Y, slice(0, n_rows), slice(n_rows, total)


def fitted(bands, Y, train, held):
    *narrow, layer = bands
    fit = BandedRidge([band[train] for band in narrow], WideBand(layer[train]), Y[train])
    return fit, fit.hold([band[held] for band in narrow], layer[held])


def standardised(bands, train):
    scalers = [StandardScaler().fit(band[train].astype(np.float64)) for band in bands]
    return [
        scaler.transform(band.astype(np.float64))
        for scaler, band in zip(scalers, bands, strict=True)
    ]


@pytest.mark.parametrize(("n_rows", "width"), [(300, 40), (120, 400)])
@pytest.mark.parametrize("alphas", [(1.0, 0.01, 10.0), (1e-4, 1e5, 1e-2), (1.0, 1.0, 1e5)])
def test_predictions_are_those_of_ridge_on_bands_scaled_by_their_penalties(n_rows, width, alphas):
    bands, Y, train, held = problem(n_rows, width)
    fit, rows = fitted(bands, Y, train, held)
    Z = np.concatenate(
        [Z / np.sqrt(a) for Z, a in zip(standardised(bands, train), alphas, strict=True)], axis=1
    )
    expected = Ridge(alpha=n_rows).fit(Z[train], Y[train]).predict(Z[held])
    np.testing.assert_allclose(fit.predict(alphas, rows), expected, rtol=TOLERANCE)


@pytest.mark.parametrize(("n_rows", "width"), [(200, 30), (80, 150)])
def test_predictions_are_those_of_himalaya(n_rows, width):
    bands, Y, train, held = problem(n_rows, width, seed=1)
    alphas = np.array([0.3, 0.02, 4.0])
    fit, rows = fitted(bands, Y, train, held)
    Z = standardised(bands, train)
    # himalaya scales band b by √γ_b, with γ summing to 1, and has one penalty for all.
    gammas = (1 / alphas) / np.sum(1 / alphas)
    _, weights, _ = solve_group_ridge_random_search(
        [band[train] for band in Z],
        Y[train] - Y[train].mean(axis=0),
        n_iter=gammas[None],
        alphas=np.array([n_rows / np.sum(1 / alphas)]),
        cv=2,
        return_weights=True,
        progress_bar=False,
        warn=False,
    )
    expected = np.concatenate([band[held] for band in Z], axis=1) @ weights + Y[train].mean(axis=0)
    np.testing.assert_allclose(fit.predict(alphas, rows), expected, rtol=TOLERANCE)


def test_without_a_layer_it_is_ridge_on_the_nuisances_alone():
    bands, Y, train, held = problem(100, 5)
    narrow = bands[:2]
    fit = BandedRidge([band[train] for band in narrow], None, Y[train])
    rows = fit.hold([band[held] for band in narrow], bands[2][held])
    Z = np.concatenate(standardised(narrow, train), axis=1)
    expected = Ridge(alpha=0.5 * 100).fit(Z[train], Y[train]).predict(Z[held])
    np.testing.assert_allclose(fit.predict((0.5, 0.5), rows), expected, rtol=TOLERANCE)


def test_a_constant_nuisance_changes_nothing():
    bands, Y, train, held = problem(100, 20)
    constant = np.full((160, 3), 7, dtype=np.float32)
    fit, rows = fitted(bands, Y, train, held)
    more, more_rows = fitted([constant, *bands], Y, train, held)
    expected = fit.predict((0.1, 1.0, 2.0), rows)
    np.testing.assert_allclose(more.predict((1e-4, 0.1, 1.0, 2.0), more_rows), expected, rtol=1e-10)


def test_no_single_band_has_a_better_alpha_than_the_one_chosen():
    bands, Y, train, held = problem(100, 150)
    for start in ((0, 0, 0), (3, 1, 2)):
        trial = Trial(*fitted(bands, Y[:, :1], train, held), Y[held, :1])
        chosen = choose_alphas([trial], ALPHAS, start)
        best = trial.error([ALPHAS[position] for position in chosen])
        for band, position in itertools.product(range(3), range(len(ALPHAS))):
            other = [*chosen[:band], position, *chosen[band + 1 :]]
            assert trial.error([ALPHAS[place] for place in other]) >= best * (1 - 1e-9)


def test_the_alphas_of_two_bands_are_those_of_the_whole_grid():
    bands, Y, train, held = problem(100, 30)
    first, layer = bands[0], bands[2]
    fit = BandedRidge([first[train]], WideBand(layer[train]), Y[train, :1])
    trial = Trial(fit, fit.hold([first[held]], layer[held]), Y[held, :1])
    grid = list(itertools.product(range(len(ALPHAS)), repeat=2))
    errors = [trial.error([ALPHAS[position] for position in place]) for place in grid]
    assert choose_alphas([trial], ALPHAS, (2, 3)) == grid[int(np.argmin(errors))]
