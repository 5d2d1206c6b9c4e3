"""Sums of activations and labels, and what least squares needs of them."""

import numpy as np
import pytest
import torch

from jobs.gram.moments import Moments, moments_of_sums, width_of
from jobs.gram.settings import BLOCK_ROWS, GramSettings
from jobs.gram.sums import Labels, LayerSums, Sums
from jobs.protocol.settings import SplitsProtocol

CPU = torch.device("cpu")
WIDTH, COLUMNS = 7, 3


def settings(**changes):
    fields = {
        "targets": ("a", "b"),
        "row_sets": (0, 0),
        "controls": ("none", "shuffled"),
        "layers": ("layer",),
        "protocol": SplitsProtocol(),
    }
    return GramSettings(**{**fields, **changes})


def rows(n=300, offset=0.0, seed=0):
    rng = np.random.default_rng(seed)
    X = (rng.standard_normal((n, WIDTH)) @ rng.standard_normal((WIDTH, WIDTH))).astype(np.float32)
    return X + np.float32(offset), rng.standard_normal((n, COLUMNS)) + 12


def summed(X, Y, block, start=0, *, by_torch=False):
    sums = Sums(WIDTH, COLUMNS, CPU)
    if by_torch:  # what a GPU does, whose memory holds a tensor
        size = 1 + COLUMNS + WIDTH
        sums._matrix = torch.zeros((size, size), dtype=torch.float64)
    for first in range(0, len(X), block):
        sums.add(X[first : first + block], Y[first : first + block])
    return sums.packed()


def check(found: Moments, X, Y, tolerance):
    x, y = X.astype(np.float64), Y
    x_own, y_own = x - x.mean(axis=0), y - y.mean(axis=0)
    assert found.n == len(X)
    np.testing.assert_allclose(found.mean, x.mean(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.label_mean, y.mean(axis=0), rtol=1e-12)
    for one, other in (
        (found.xx, x_own.T @ x_own),
        (found.xy, y_own.T @ x_own),
        (found.yy, (y_own**2).sum(axis=0)),
    ):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * np.abs(other).max())


@pytest.mark.parametrize("by_torch", [False, True], ids=["blas", "torch"])
@pytest.mark.parametrize("block", [1, 32, 1000])
def test_sums_of_blocks_are_those_of_all_rows(block, by_torch):
    X, Y = rows()
    found = moments_of_sums([summed(X, Y, block, by_torch=by_torch)], COLUMNS)
    check(found, X, Y, 1e-12)


def test_shards_add_up_whatever_they_are_shifted_by():
    X, Y = rows()
    order = np.argsort(X[:, 0])  # so that no shard's first block is like the whole
    X, Y = X[order], Y[order]
    cuts = (slice(0, 10), slice(10, 200), slice(200, 200), slice(200, None))
    found = moments_of_sums([summed(X[cut], Y[cut], 32) for cut in cuts], COLUMNS)
    check(found, X, Y, 1e-12)


def test_a_mean_far_above_the_spread_costs_no_digits():
    X, Y = rows(offset=3e4)
    # 1e-12 of the products themselves: unshifted sums of squares would leave 1e-7 of them.
    check(moments_of_sums([summed(X, Y, 64)], COLUMNS), X, Y, 1e-12)


def test_nothing_that_was_summed_is_nothing():
    assert moments_of_sums([Sums(WIDTH, COLUMNS, CPU).packed()], COLUMNS) is None
    assert moments_of_sums([], COLUMNS) is None


@pytest.mark.parametrize("width", [1, 2, 160, 5120])
@pytest.mark.parametrize("n_columns", [1, 4, 96])
def test_the_width_is_known_from_the_length(width, n_columns):
    size = 1 + n_columns + width
    assert width_of(width + size * (size + 1) // 2, n_columns) == width


def test_squared_errors_are_those_of_the_rows():
    X, Y = rows()
    rng = np.random.default_rng(1)
    weights, bias = rng.standard_normal((WIDTH, 5)), rng.standard_normal(5)
    found = moments_of_sums([summed(X, Y, 50)], COLUMNS).squared_errors(2, weights, bias)
    expected = ((Y[:, [2]] - X.astype(np.float64) @ weights - bias) ** 2).sum(axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_value_that_is_not_finite_stays_in_the_sums():
    X, Y = rows()
    X[40, 3] = np.inf
    assert not moments_of_sums([summed(X, Y, 32)], COLUMNS).finite
    assert moments_of_sums([summed(*rows(), 32)], COLUMNS).finite


def test_targets_that_miss_other_utterances_are_summed_apart():
    X, _ = rows(100)
    labels = np.random.default_rng(2).standard_normal((100, 4))
    labels[::3, 2:] = np.nan  # of target b, and of its control
    both = settings(row_sets=(0, 1))
    sums = LayerSums(both, CPU)
    for first in range(0, 100, 30):
        chosen = slice(first, first + 30)
        sums.add({"other": X[chosen, :2], "layer": X[chosen]}, labels[chosen])
    packed = sums.packed()
    assert list(packed) == ["layer"]
    assert packed["layer"].shape[0] == both.n_row_sets == 2
    usable = Labels(both, labels).usable
    for row_set, columns in ((0, [0, 1]), (1, [2, 3])):
        rows_used = usable(row_set)
        found = moments_of_sums([packed["layer"][row_set]], both.n_columns)
        y, x = labels[rows_used][:, columns], X[rows_used].astype(np.float64)
        assert found.n == len(x) == (100 if row_set == 0 else 66)
        expected = (y - y.mean(axis=0)).T @ (x - x.mean(axis=0))
        np.testing.assert_allclose(found.xy[columns], expected, rtol=0, atol=1e-11)


def test_what_is_announced_is_what_it_takes():
    one = settings()
    sums = LayerSums(one, CPU)
    sums.add({"layer": rows(40)[0]}, np.zeros((40, 4)))
    [held] = sums._sums["layer"]
    assert held._matrix.nbytes == one.matrix_bytes(WIDTH)
    assert sums._waiting[0][0]["layer"].nbytes * BLOCK_ROWS / 40 == (
        one.working_bytes(WIDTH) - one.matrix_bytes(WIDTH)
    )
    assert sums.packed()["layer"].nbytes == one.stored_bytes(WIDTH)
    assert settings(row_sets=(0, 1)).stored_bytes(WIDTH) == 2 * one.stored_bytes(WIDTH)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")
def test_a_gpu_sums_as_the_cpu_does():
    X, Y = rows()
    sums = Sums(WIDTH, COLUMNS, torch.device("cuda"))
    sums.add(X, Y)
    check(moments_of_sums([sums.packed()], COLUMNS), X, Y, 1e-12)
