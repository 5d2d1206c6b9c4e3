"""Folds with fewer training speakers, for learning curves."""

from dataclasses import replace

import numpy as np

from jobs.protocol.folds import Fold, IntArray, StrArray
from jobs.protocol.target_folds import TargetFolds

DRAWS = 3
"""Random orders of the training speakers, over which a learning curve is averaged."""
FEWEST = 2
"""Speakers that are kept at least."""


class FractionFolds(TargetFolds):
    """The folds of ``whole`` with a fraction of their training speakers.

    Validation and test splits stay as they are.

    Args:
        whole: folds with all speakers.
        fraction: share of the speakers of each training split to keep.
        draw: number of the random order in which speakers are kept.
    """

    def __init__(self, whole: TargetFolds, fraction: float, draw: int) -> None:
        self._whole, self._fraction, self._draw = whole, fraction, draw

    def of(self, target: str) -> list[Fold]:
        """Return the folds of ``target``."""
        groups = self.groups(target)
        return [
            replace(fold, train=fewer_rows(fold.train, groups, self._fraction, self._draw))
            for fold in self._whole.of(target)
        ]

    def groups(self, target: str) -> StrArray:
        """(U,) groups that the folds of ``target`` keep together."""
        return self._whole.groups(target)

    def key(self, target: str) -> str:
        """Identify the folds of ``target``: targets with the same key have the same folds."""
        return self._whole.key(target)


def kept_groups(n_groups: int, fraction: float) -> int:
    """Count the groups that ``fraction`` of ``n_groups`` are."""
    return min(n_groups, max(FEWEST, round(fraction * n_groups)))


def fewer_rows(train: IntArray, groups: StrArray, fraction: float, draw: int) -> IntArray:
    """Select the rows of ``train`` whose group, normally the speaker, is among those kept.

    Groups are kept in a random order of their names that is the same for all fractions: a smaller
    fraction keeps a part of what a larger one keeps.

    Args:
        train: row positions.
        groups: (U,) group of every row.
        fraction: share of the groups to keep; at least ``FEWEST`` are.
        draw: number of the random order.
    """
    names = np.unique(groups[train])
    order = np.random.default_rng(draw).permutation(names)
    kept = order[: kept_groups(len(names), fraction)]
    return train[np.isin(groups[train], kept)]
