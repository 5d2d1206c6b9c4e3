"""Partition of utterances into the smallest groups that form every split of every fold.

Sums of small groups can be added, but the sum of a large one cannot be taken apart. So every group
(unit) is summed separately: with ``splits``, the training and the validation split; with ``kfold``,
each test split, as the other folds' training and validation splits consist of them; and if alpha is
chosen on inner folds, the intersections of these with the inner folds.

Legend: U rows of the utterance table.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from jobs.corpus.table import has_value
from jobs.gram.settings import GramSettings
from jobs.probes.ridge import inner_folds
from jobs.protocol.folds import Fold, IntArray, StrArray, group_labels, make_folds
from jobs.protocol.settings import KFoldProtocol

NOT_SUMMED = -1
"""Unit number of rows whose activations are stored, or that belong to no fold."""

Parts = tuple[int, ...]
"""Numbers of the units that together form a split of a fold."""


@dataclass(frozen=True)
class FoldUnits:
    """Units that form the splits of one fold."""

    train: Parts
    validation: Parts
    test: Parts
    """Empty if the test rows have stored activations."""
    inner: tuple[tuple[Parts, ...], ...]
    """Indexed by set of rows, then by inner fold: the units held out. Empty if there are no inner
    folds, or fewer than two speakers."""


@dataclass(frozen=True)
class Units:
    """Assignment of the rows of a table to units."""

    of_row: IntArray
    """(U,) unit of every row, or ``NOT_SUMMED``."""
    folds: tuple[FoldUnits, ...]

    @property
    def n_units(self) -> int:
        """Number of units."""
        return int(self.of_row.max(initial=NOT_SUMMED)) + 1


def make_units(settings: GramSettings, table: pd.DataFrame) -> Units:
    """Partition ``table`` into units, with the same folds and inner folds as probes on activations.

    An utterance that extraction cannot read still belongs to a unit, but is missing from its sums,
    so that inner folds do not depend on what a model could read.
    """
    folds = make_folds(settings.protocol, table)
    groups = group_labels(settings.protocol, table)
    roles = np.stack([_role(fold, len(table)) for fold in folds], axis=1)
    usable = [has_value(table[settings.targets[settings.row_sets.index(number)]])
              for number in range(settings.n_row_sets)]  # fmt: skip
    inner = [
        [_inner(fold.train[rows[fold.train]], groups) for rows in usable] if settings.inner else []
        for fold in folds
    ]
    tested = roles == _ROLES.index("test")
    summed = (roles != NOT_SUMMED).any(axis=1)
    if not isinstance(settings.protocol, KFoldProtocol):
        summed &= ~tested.any(axis=1)
    signs = np.column_stack([roles, *(column for columns in inner for column in columns)])
    of_row = np.full(len(table), NOT_SUMMED)
    if summed.any():
        _, number = np.unique(signs[summed], axis=0, return_inverse=True)
        of_row[summed] = number.reshape(-1)
    found = (_fold_units(of_row, *pair) for pair in zip(folds, inner, strict=True))
    return Units(of_row, tuple(found))


_ROLES = ("train", "validation", "test")


def _role(fold: Fold, n_rows: int) -> IntArray:
    """Return (U,) the position in ``_ROLES`` of every row, or ``NOT_SUMMED``."""
    role = np.full(n_rows, NOT_SUMMED)
    for number, name in enumerate(_ROLES):
        role[getattr(fold, name)] = number
    return role


def _inner(train: IntArray, groups: StrArray) -> IntArray:
    """Return (U,) the inner fold that holds out each row of ``train``, or ``NOT_SUMMED``."""
    numbers = np.full(len(groups), NOT_SUMMED)
    if len(np.unique(groups[train])) >= 2:
        for number, (_, held_out) in enumerate(inner_folds(train, groups)):
            numbers[held_out] = number
    return numbers


def _fold_units(of_row: IntArray, fold: Fold, inner: list[IntArray]) -> FoldUnits:
    def units(rows: IntArray | npt.NDArray[np.bool_]) -> Parts:
        return tuple(unit for unit in np.unique(of_row[rows]).tolist() if unit != NOT_SUMMED)

    return FoldUnits(
        units(fold.train),
        units(fold.validation),
        units(fold.test),
        tuple(
            tuple(units(numbers == number) for number in range(int(numbers.max(initial=-1)) + 1))
            for numbers in inner
        ),
    )
