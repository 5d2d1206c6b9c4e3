"""The measures against explicit formulas in float64, and on data whose answer is known."""

import numpy as np
import pytest
from scipy.linalg import subspace_angles

from jobs.similarity.measures import (
    Subspace,
    chance_pwcca,
    gram_vector,
    is_forced,
    leading_subspace,
    pwcca,
)
from tests.support.cka import plain_cka, unbiased_cka

FLOAT32 = 2e-5
"""What float32 sketches may cost a value."""


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def layers(rng, n, width_a, width_b, shared=5):
    """Two layers that share some directions, with means that are not 0."""
    common = rng.standard_normal((n, shared))
    make = lambda width: (  # noqa: E731
        common @ rng.standard_normal((shared, width)) + rng.standard_normal((n, width)) + 3
    )
    return make(width_a), make(width_b)


def orthogonal(rng, width):
    return np.linalg.qr(rng.standard_normal((width, width)))[0]


@pytest.mark.parametrize("widths", [(7, 12), (90, 200)])
def test_the_product_of_gram_vectors_is_the_unbiased_cka(rng, widths):
    X, Y = layers(rng, 40, *widths)
    found = float(gram_vector(X) @ gram_vector(Y))
    assert found == pytest.approx(unbiased_cka(X, Y), abs=FLOAT32)


def test_large_means_cost_no_precision(rng):
    X, Y = layers(rng, 50, 20, 30)
    found = float(gram_vector((X + 1e3).astype(np.float32)) @ gram_vector(Y))
    assert found == pytest.approx(unbiased_cka(X, Y), abs=1e-3)  # 1e3 · 6e-8 of each value
    assert float(gram_vector(X + 1e3) @ gram_vector(Y)) == pytest.approx(
        unbiased_cka(X, Y), abs=1e-5
    )


def cka(X, Y):
    return float(gram_vector(X) @ gram_vector(Y))


def test_cka_is_invariant_to_rotation_scale_and_shift_but_not_to_other_maps(rng):
    X, Y = layers(rng, 60, 20, 30)
    rotated = 7 * X @ orthogonal(rng, 20) - 2
    assert cka(rotated, Y) == pytest.approx(cka(X, Y), abs=FLOAT32)
    assert cka(X, rotated) == pytest.approx(1, abs=FLOAT32)
    assert abs(cka(X * np.geomspace(1, 100, 20), Y) - cka(X, Y)) > 0.05


def test_on_wide_noise_plain_cka_is_high_and_unbiased_cka_is_0(rng):
    X, Y = rng.standard_normal((2, 100, 1000))
    assert plain_cka(X, Y) > 0.88
    assert cka(X, Y) == pytest.approx(0, abs=0.04)  # 4 SD of 1 / N


def test_a_constant_layer_has_undefined_similarity(rng):
    X = rng.standard_normal((20, 3))
    constant = np.full((20, 3), 0.1, dtype=np.float32)
    assert not gram_vector(constant).any()
    assert leading_subspace(constant).rank == 0
    assert np.isnan(pwcca(leading_subspace(X), leading_subspace(constant))).all()


def plain_pwcca(X, Y):
    """PWCCA by Morcos et al. 2018, with angles between subspaces by scipy."""
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    rho = np.cos(subspace_angles(X, Y))[::-1]
    Qx, Qy = np.linalg.qr(X)[0], np.linalg.qr(Y)[0]
    h = Qx @ np.linalg.svd(Qx.T @ Qy)[0][:, : len(rho)]
    alpha = np.abs(h.T @ X).sum(axis=1)
    return np.sum(alpha * np.sort(rho)[::-1]) / alpha.sum()


@pytest.mark.parametrize("widths", [(6, 9), (9, 6)])
def test_pwcca_is_its_definition_weighted_by_either_layer(rng, widths):
    X, Y = layers(rng, 80, *widths, shared=2)
    by_x, by_y = pwcca(leading_subspace(X, 1), leading_subspace(Y, 1))
    assert by_x == pytest.approx(plain_pwcca(X, Y), abs=FLOAT32)
    assert by_y == pytest.approx(plain_pwcca(Y, X), abs=FLOAT32)
    assert abs(by_x - by_y) > 1e-3  # it is not symmetric


def test_canonical_correlations_are_invariant_to_invertible_maps(rng):
    X, Y = layers(rng, 80, 6, 9, shared=2)
    mapped = X @ rng.standard_normal((6, 6)) + 1
    other = leading_subspace(Y, 1)
    before, after = (
        np.linalg.svd(leading_subspace(one, 1).basis.T @ other.basis, compute_uv=False)
        for one in (X, mapped)
    )
    np.testing.assert_allclose(after, before, atol=FLOAT32)
    # with the weights of the layer that is not mapped, the measure itself does not either
    assert pwcca(leading_subspace(mapped, 1), other)[1] == pytest.approx(
        pwcca(leading_subspace(X, 1), other)[1], abs=FLOAT32
    )


def test_the_similarity_of_a_layer_with_itself_is_1(rng):
    for X in (rng.standard_normal((30, 7)), rng.standard_normal((30, 100))):
        whole = leading_subspace(X)
        assert pwcca(whole, whole) == pytest.approx((1, 1), abs=FLOAT32)
        assert float(gram_vector(X) @ gram_vector(X)) == pytest.approx(1, abs=FLOAT32)


@pytest.mark.parametrize("width", [15, 200])
def test_the_fewest_directions_that_carry_the_variance_are_kept(rng, width):
    X = rng.standard_normal((50, width)) * np.geomspace(1, 1e-3, width)
    X -= X.mean(axis=0)
    shares = np.linalg.svd(X, compute_uv=False) ** 2
    shares = np.cumsum(shares) / shares.sum()
    whole = leading_subspace(X, 0.9)
    assert shares[whole.rank - 1] >= 0.9 > shares[whole.rank - 2]
    np.testing.assert_allclose(whole.basis.T @ whole.basis, np.eye(whole.rank), atol=FLOAT32)
    np.testing.assert_allclose(whole.loadings, whole.basis.T @ X, atol=FLOAT32)


def test_rounding_errors_add_no_direction(rng):
    X = rng.standard_normal((50, 3)) @ rng.standard_normal((3, 80))
    assert leading_subspace(X, 1).rank == 3


@pytest.mark.parametrize(("a", "b"), [(10, 40), (50, 50), (1, 100), (120, 120), (150, 30)])
def test_chance_level_matches_independent_layers(rng, a, b):
    found = [
        pwcca(*(leading_subspace(rng.standard_normal((200, width)), 1) for width in (a, b)))
        for _ in range(10)
    ]
    error = np.std(found) / np.sqrt(10)
    assert chance_pwcca(a, b, 200) == pytest.approx(np.mean(found), abs=4 * error + 0.01)
    assert chance_pwcca(b, a, 200) == chance_pwcca(a, b, 200)


def test_full_rank_layers_have_correlations_of_1(rng):
    X, Y = rng.standard_normal((2, 30, 200))
    a, b = leading_subspace(X, 1), leading_subspace(Y, 1)
    assert a.rank == b.rank == 29
    assert pwcca(a, b) == pytest.approx((1, 1), abs=FLOAT32)
    assert chance_pwcca(29, 29, 30) == 1
    assert is_forced(29, 1, 30)
    assert not is_forced(15, 14, 30)


def test_ranks_that_sum_above_the_dimension_force_correlations_to_1(rng):
    a, b = (leading_subspace(rng.standard_normal((30, width)), 1) for width in (20, 15))
    rho = np.linalg.svd(a.basis.T @ b.basis, compute_uv=False)
    assert (rho > 1 - FLOAT32).sum() == 20 + 15 - 29
    assert is_forced(20, 15, 30)


def turned(rng, layer):
    """The same subspace in another basis."""
    rotation = orthogonal(rng, layer.rank).astype(np.float32)
    return Subspace(layer.basis @ rotation, rotation.T @ layer.loadings)


def forced(rng, n=12):
    """Two layers of ranks 6 and 9 in 11 dimensions: four of six correlations are 1."""
    X, Y = layers(rng, n, 6, 9, shared=2)
    return leading_subspace(X * np.geomspace(1, 9, 6), 1), leading_subspace(Y, 1)


def test_pwcca_does_not_depend_on_the_basis_of_a_tied_subspace(rng):
    a, b = forced(rng)
    found = [pwcca(turned(rng, a), turned(rng, b)) for _ in range(50)]
    np.testing.assert_allclose(found, [pwcca(a, b)] * 50, atol=FLOAT32)


def test_pwcca_of_ties_weighs_them_by_the_mean_over_bases(rng):
    a, b = forced(rng)
    left, rho, _ = np.linalg.svd(a.basis.T @ b.basis, full_matrices=False)
    assert (rho > 1 - FLOAT32).sum() == 4
    projected = left.T.astype(float) @ a.loadings
    tied = [np.abs(orthogonal(rng, 4) @ projected[:4]).sum() for _ in range(20_000)]
    others = np.abs(projected[4:]).sum(axis=1)
    expected = (np.mean(tied) + others @ rho[4:]) / (np.mean(tied) + others.sum())
    assert pwcca(a, b)[0] == pytest.approx(expected, abs=3e-4)


def with_correlations(rng, rho, loadings):
    """A layer of these ``loadings`` (r, D), and one with ``rho`` (c,) to its first directions."""
    r, c = len(loadings), len(rho)
    Q = orthogonal(rng, r + c)
    other = Q[:, :c] * rho + Q[:, r:] * np.sqrt(1 - np.square(rho))
    layer = [np.ascontiguousarray(values, dtype=np.float32) for values in (Q[:, :r], other)]
    loadings = loadings.astype(np.float32)
    return Subspace(layer[0], loadings), Subspace(layer[1], loadings[:c])


def test_pwcca_of_ties_is_the_mean_over_almost_tied_layers(rng):
    loadings = rng.standard_normal((3, 40)) * [[1], [5], [2]]
    tied = pwcca(*with_correlations(rng, np.array([0.9, 0.9, 0.3]), loadings))[0]
    almost = []
    for _ in range(2000):
        mixed = loadings.copy()
        mixed[:2] = orthogonal(rng, 2) @ loadings[:2]
        almost.append(pwcca(*with_correlations(rng, np.array([0.9001, 0.9, 0.3]), mixed))[0])
    assert np.std(almost) > 1e-3  # the definition alone has no one answer here
    assert tied == pytest.approx(np.mean(almost), abs=4 * np.std(almost) / 2000**0.5 + 1e-3)


def test_uncorrelated_directions_are_weighted_alike_in_any_basis(rng):
    loadings = rng.standard_normal((5, 40)) * [[1], [5], [2], [9], [0.1]]
    a, b = with_correlations(rng, np.array([0.8, 0.0, 0.0]), loadings)
    found = [pwcca(turned(rng, a), turned(rng, b)) for _ in range(50)]
    np.testing.assert_allclose(found, [pwcca(a, b)] * 50, atol=FLOAT32)
    sizes = np.abs(loadings[0]).sum()
    spare = [
        np.abs(np.linalg.qr(rng.standard_normal((4, 2)))[0].T @ loadings[1:]).sum()
        for _ in range(20_000)
    ]
    assert pwcca(a, b)[0] == pytest.approx(0.8 * sizes / (sizes + np.mean(spare)), abs=3e-4)
