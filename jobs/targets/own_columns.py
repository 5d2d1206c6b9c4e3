"""Columns of the corpus as targets: whether they hold numbers or classes."""

import pandas as pd

from jobs.corpus.numbers import MISSING, is_number, other_notation
from jobs.corpus.table import DECIMAL_MARK, DECLARED_CLASSES


def labels_of(cells: pd.Series) -> pd.Series:
    """Return classes as text, "" for a missing value; numeric codes in their shortest form."""
    if pd.api.types.is_numeric_dtype(cells):
        return cells.map(lambda value: "" if pd.isna(value) else f"{value:g}").astype(str)
    cells = cells.str.strip()
    return cells.where(~cells.str.lower().isin(MISSING), "")


def check_classes_of(table: pd.DataFrame, name: str) -> None:
    """Refuse a column of text that does not hold classes.

    Raises:
        ValueError: some of its cells are numbers and others not, or all are numbers in a notation
            that is not read, or there are nearly as many values as utterances.
    """
    labels = labels_of(table[name])
    labels = labels[labels != ""]
    if name not in table.attrs.get(DECLARED_CLASSES, ()):
        _check_notation(table, name, labels)
    if labels.nunique() > len(labels) / 2:
        raise ValueError(
            f"the column {name!r} does not hold classes: {labels.nunique()} different values in "
            f"{len(labels)} utterances (first: {labels.iloc[0]!r}); expected at most half as many"
        )


def _check_notation(table: pd.DataFrame, name: str, labels: pd.Series) -> None:
    """Refuse numbers in other notations, and numbers with a few words among them."""
    has_comma = table.attrs.get(DECIMAL_MARK) == ","
    unread = {label: _notation(label, has_comma) for label in labels.unique()}
    other = labels[labels.map(lambda label: unread[label] is not None)]
    words = labels[labels.map(lambda label: unread[label] is None and not is_number(label))]
    if words.empty and len(other):
        first = other.iloc[0]
        raise ValueError(
            f"the column {name!r} holds numbers in a notation that is not certain: {len(other)} of "
            f"{len(table)} cells have {unread[first]} (first: {_shown(table, other)}); write "
            "numbers as in 1234.5, set corpus.dialect.decimal, or name the column in "
            "corpus.classes if they are names of classes"
        )
    if 0 < len(words) < len(labels) / 2:
        raise ValueError(
            f"the column {name!r} does not hold numbers: {len(words)} of {len(table)} cells are "
            f"none (first: {_shown(table, words)}); expected numbers, and empty cells where there "
            "are none, or names of classes"
        )


def _shown(table: pd.DataFrame, cells: pd.Series) -> str:
    """Quote the first of the cells, and name its utterance."""
    shown = repr(cells.iloc[0])
    if "utterance_id" not in table:
        return shown
    return f"{shown}, utterance {table['utterance_id'][cells.index[0]]}"


def _notation(label: str, has_comma: bool) -> str | None:
    """Describe the notation of a number that is not read as one; None for other text."""
    if has_comma and "." in label and is_number(label):
        return "a decimal point, and not corpus.dialect.decimal"
    return other_notation(label)
