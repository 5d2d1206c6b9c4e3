"""Which inputs share a pass: every one once, within the budget, with little padding."""

import numpy as np
import pytest

from jobs.extraction.batches import MAX_PADDING, equal_batches, padded_batches


def test_equal_shapes_share_a_batch_in_their_order():
    shapes = [(5, 80), (3, 80), (5, 80), (5, 80)]
    assert equal_batches(shapes, range(4), 10) == [[0, 2], [3], [1]]


def test_an_input_above_the_budget_is_a_batch_of_its_own():
    assert equal_batches([(50,), (50,)], [0, 1], 10) == [[0], [1]]
    assert padded_batches([50, 50], [0, 1], 10) == [[0], [1]]


@pytest.mark.parametrize("budget", [1, 700, 5_000, 10**9])
def test_padded_batches_waste_little_and_lose_nothing(budget):
    lengths = np.random.default_rng(0).integers(40, 3_500, 64).tolist()
    rows = list(range(64))[::2]
    batches = padded_batches(lengths, rows, budget)
    assert sorted(row for batch in batches for row in batch) == rows
    for batch in batches:
        computed = len(batch) * max(lengths[row] for row in batch)
        assert len(batch) == 1 or computed <= budget
        assert computed <= MAX_PADDING * sum(lengths[row] for row in batch)
    longest = [lengths[batch[0]] for batch in batches]
    assert longest == sorted(longest, reverse=True)


def test_a_shard_of_mixed_lengths_makes_few_batches():
    lengths = np.random.default_rng(1).integers(200, 1_600, 64).tolist()
    assert len(padded_batches(lengths, range(64), 25_600)) < 30


def test_nothing_makes_no_batch():
    assert equal_batches([], [], 10) == padded_batches([], [], 10) == []
