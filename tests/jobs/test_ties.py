"""Choices among numbers that may be equal but for rounding."""

import numpy as np
import pytest

from jobs.ties import count_leading, first_lowest, tied_runs

ABOVE = 1 + 1e-12


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3, 1, 2], 1),
        ([3, ABOVE, 1, 1], 1),
        ([3, 1 + 1e-6, 1], 2),
        ([-1, -ABOVE], 0),
        ([np.nan, 2, 1], 2),
        ([np.inf, np.inf], 0),
        ([np.inf, 1], 1),
        ([np.nan, np.nan], 0),
        ([[2, 1], [1, 2]], [1, 0]),
    ],
)
def test_the_first_of_equal_numbers_is_the_lowest(values, expected):
    np.testing.assert_array_equal(first_lowest(values), expected)


def test_what_is_left_of_a_difference_is_0():
    left = [1e-17, 0.0]
    assert first_lowest(left) == 1
    assert first_lowest(left, scale=1.0) == 0


def test_runs_are_of_neighbours_that_are_equal():
    found = tied_runs(np.array([1, 1 - 1e-7, 1 - 2e-7, 0.5, 0.2, 0.2]), 1.5e-7)
    assert found == [slice(0, 3), slice(3, 4), slice(4, 6)]
    assert tied_runs(np.array([]), 0.1) == []


@pytest.mark.parametrize(
    ("eigenvalues", "variance", "expected"),
    [
        ([1, 2, 3, 4], 0.6, 2),
        ([1, 2, 3, 4], 0.7, 2),
        ([1, 2, 3, 4], 0.71, 3),
        ([1, 2, 2 + 1e-15, 4], 0.6, 3),  # two would do, of which the second is any of two
        ([1, 1, 1, 1], 0.7, 4),
        ([0, 0, 1, 1], 1, 2),
        ([1e-17, 0.2, 1], 1, 2),
        ([1, 9], 1e-20, 1),
        ([0, 0], 0.9, 0),
    ],
)
def test_leading_eigenvalues_are_counted_without_splitting_equal_ones(
    eigenvalues, variance, expected
):
    assert count_leading(np.array(eigenvalues, dtype=float), variance, 4) == expected


def test_rounding_of_a_share_that_is_reached_exactly_adds_no_direction():
    for factor in np.random.default_rng(0).uniform(0.1, 10, 100):
        assert count_leading(np.array([0.1, 0.2, 0.3, 0.4]) * factor, 0.7, 4) == 2
