"""Folds with fewer training speakers."""

import numpy as np
import pandas as pd
import pytest

from jobs.protocol.settings import KFoldProtocol, Protocols, SplitsProtocol
from jobs.protocol.target_folds import TargetFolds
from jobs.protocol.training_fractions import FractionFolds, fewer_rows

GROUPS = np.array([f"s{i % 20:02d}" for i in range(100)])
TRAIN = np.arange(80)


def speakers(fraction, draw=0, groups=GROUPS):
    return set(groups[fewer_rows(TRAIN, groups, fraction, draw)])


@pytest.mark.parametrize(("fraction", "count"), [(0.01, 2), (0.1, 2), (0.3, 6), (0.5, 10), (1, 20)])
def test_a_fraction_keeps_that_share_of_the_speakers_with_all_their_rows(fraction, count):
    rows = fewer_rows(TRAIN, GROUPS, fraction, 0)
    kept = set(GROUPS[rows])
    assert len(kept) == count
    assert rows.tolist() == [row for row in TRAIN if GROUPS[row] in kept]


def test_a_smaller_fraction_is_contained_in_a_larger_one():
    for draw in range(3):
        assert speakers(0.1, draw) < speakers(0.3, draw) < speakers(0.9, draw)


def test_draws_differ_and_depend_on_names_alone():
    assert len({frozenset(speakers(0.3, draw)) for draw in range(5)}) > 1
    assert speakers(0.3) == speakers(0.3, groups=GROUPS[::-1])


def test_validation_and_test_splits_stay_as_they_are():
    table = pd.DataFrame(
        {
            "utterance_id": [f"u{i}" for i in range(100)],
            "speaker_id": GROUPS,
            "split": np.where(np.arange(100) % 20 < 12, "train", "test"),
            "y": np.arange(100.0),
        }
    )
    for protocol, n_train in (
        (SplitsProtocol(validation=None), 6),
        (KFoldProtocol(folds=5), 6),  # 12 speakers of 20 are in the training split
    ):
        whole = TargetFolds(Protocols(protocol), table)
        half = FractionFolds(whole, 0.5, 0)
        for fold, fewer in zip(whole.of("y"), half.of("y"), strict=True):
            assert len(set(GROUPS[fewer.train])) == n_train
            assert set(fewer.train) < set(fold.train)
            np.testing.assert_array_equal(fold.validation, fewer.validation)
            np.testing.assert_array_equal(fold.test, fewer.test)
