"""Which utterances are summed up together: the least sets that all parts of all folds consist of.

A sum of many rows cannot be taken apart, but sums of few can be added. So every unit of rows is
summed by itself: with ``splits`` the training and the validation part; with ``kfold`` each part
that is tested once, of which a fold's training and validation parts consist; and where alpha is
chosen on inner folds, these parts divided by the inner folds that they are in.

Legend: U rows of the utterance table.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from jobs.corpus.table import has_value
from jobs.gram.sums import GramSettings
from jobs.probes.ridge import inner_folds
from jobs.protocol.folds import Fold, IntArray, StrArray, group_labels, make_folds
from jobs.protocol.settings import KFoldProtocol

NOT_SUMMED = -1
"""In the place of a unit: rows whose activations are stored, or that no fold has."""

Parts = tuple[int, ...]
"""Numbers of units, which together are some part of a fold."""


@dataclass(frozen=True)
class FoldUnits:
    """Of what units the parts of one fold consist."""

    train: Parts
    validation: Parts
    test: Parts
    """Empty where the tested rows have activations."""
    inner: tuple[tuple[Parts, ...], ...]
    """Of each set of rows, what each inner fold holds out; none where no inner folds are asked
    for, or where a part has fewer than two speakers."""


@dataclass(frozen=True)
class Units:
    """The rows of a table, in units."""

    of_row: IntArray
    """(U,) the unit of every row, or ``NOT_SUMMED``."""
    folds: tuple[FoldUnits, ...]

    @property
    def n_units(self) -> int:
        """Units that are summed."""
        return int(self.of_row.max(initial=NOT_SUMMED)) + 1


def make_units(settings: GramSettings, table: pd.DataFrame) -> Units:
    """The units of ``table``, whose folds and inner folds are those of probes on activations.

    An utterance that extraction cannot read is in its unit all the same, and missing from its sums:
    inner folds do not depend on what a model could not read.
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
    found = (_of_fold(of_row, *pair) for pair in zip(folds, inner, strict=True))
    return Units(of_row, tuple(found))


_ROLES = ("train", "validation", "test")


def _role(fold: Fold, n_rows: int) -> IntArray:
    """(U,) position in ``_ROLES`` of every row, or ``NOT_SUMMED``."""
    role = np.full(n_rows, NOT_SUMMED)
    for number, name in enumerate(_ROLES):
        role[getattr(fold, name)] = number
    return role


def _inner(train: IntArray, groups: StrArray) -> IntArray:
    """(U,) the inner fold that holds out a row of ``train``, or ``NOT_SUMMED``."""
    numbers = np.full(len(groups), NOT_SUMMED)
    if len(np.unique(groups[train])) >= 2:
        for number, (_, held_out) in enumerate(inner_folds(train, groups)):
            numbers[held_out] = number
    return numbers


def _of_fold(of_row: IntArray, fold: Fold, inner: list[IntArray]) -> FoldUnits:
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
