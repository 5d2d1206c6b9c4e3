"""Both factorisations against plain solves."""

import numpy as np
import pytest

from jobs.probes.factorisations import Spectrum, Tridiagonal

PENALTIES = np.array([1e-3, 1.0, 100.0])


def gram(size, n_rows, seed=0):
    A = np.random.default_rng(seed).standard_normal((size, n_rows))
    return A @ A.T


@pytest.mark.parametrize("factorise", [Tridiagonal, Spectrum])
@pytest.mark.parametrize(
    ("size", "n_rows"), [(1, 3), (2, 3), (3, 3), (70, 100), (70, 9)]
)  # 9: of lower rank
def test_solutions_are_those_of_a_solve_for_every_penalty(factorise, size, n_rows):
    G = gram(size, n_rows)
    side = np.random.default_rng(1).standard_normal(size)
    before = G.copy()
    found = factorise(G).solve(side, PENALTIES)
    np.testing.assert_array_equal(G, before)
    for column, penalty in zip(found.T, PENALTIES, strict=True):
        expected = np.linalg.solve(G + penalty * np.eye(size), side)
        np.testing.assert_allclose(column, expected, atol=1e-9 * np.abs(expected).max())


def test_quadratic_forms_are_those_of_the_inverse():
    G, rows = gram(40, 60), np.random.default_rng(1).standard_normal((7, 40))
    spectrum = Spectrum(G)
    found = spectrum.quadratic(rows @ spectrum.vectors, PENALTIES)
    diagonal = spectrum.quadratic(spectrum.vectors, PENALTIES)
    for a, penalty in enumerate(PENALTIES):
        inverse = np.linalg.inv(G + penalty * np.eye(40))
        np.testing.assert_allclose(found[:, a], np.diag(rows @ inverse @ rows.T), rtol=1e-9)
        np.testing.assert_allclose(diagonal[:, a], np.diag(inverse), rtol=1e-9)


def test_a_penalty_that_rounding_swallows_is_refused():
    G = gram(50, 5) * 1e12
    with pytest.raises(ValueError, match=r"1e-30 vanishes beside rounding.*choose larger alphas"):
        Tridiagonal(G).solve(np.ones(50), np.array([1e-30]))


@pytest.mark.parametrize(("variance", "expected"), [(0.5, 1), (0.85, 2), (0.97, 3), (1, 3)])
def test_leading_directions_carry_the_variance_and_none_is_rounding(variance, expected):
    V = np.linalg.qr(np.random.default_rng(0).standard_normal((5, 5)))[0]
    G = V @ np.diag([6.0, 3.0, 1.0, 1e-18, 0.0]) @ V.T
    spectrum = Spectrum(G)
    assert spectrum.leading(variance, 5) == expected
    side, leading = np.arange(1.0, 6.0), V[:, :expected]
    within = leading @ ((leading.T @ side) / [6.0, 3.0, 1.0][:expected])
    np.testing.assert_allclose(spectrum.solve_within(side, expected), within, rtol=1e-9)


@pytest.mark.parametrize("smallest", [1e-3, 1e-12])  # relative to the largest eigenvalue
def test_within_all_directions_is_a_plain_solve(smallest):
    V = np.linalg.qr(np.random.default_rng(0).standard_normal((9, 9)))[0]
    eigenvalues, side = np.geomspace(smallest, 1, 9), np.arange(1.0, 10.0)
    found = Spectrum(V @ np.diag(eigenvalues) @ V.T).solve_within(side, 9)
    expected = V @ ((V.T @ side) / eigenvalues)
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert error < 1e-14 / smallest  # rounding of G, as large as the condition makes it
