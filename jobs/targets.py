"""The properties that a probe may predict, each a function of the utterance table."""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from jobs.corpus.table import COLUMNS, is_number


@dataclass(frozen=True)
class Target:
    """One property of an utterance."""

    name: str
    unit: str
    """For axis labels: scores are given in it."""
    kind: Literal["regression"]
    description: str
    values: Callable[[pd.DataFrame], pd.Series]
    """Table of U utterances → (U,) float64."""


def _per_second(table: pd.DataFrame, counted: Callable[[str], int]) -> pd.Series:
    """NaN where there is no transcript: nothing was counted then, which is not nought."""
    spoken = table["text"].map(lambda text: any(map(str.isalnum, text))).astype(bool)
    counts: pd.Series = table["text"].map(counted).astype(float)
    return counts.where(spoken) / table["seconds"]


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))


def _words(text: str) -> int:
    return len(text.split())


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target(
            name="cps",
            unit="characters/s",
            kind="regression",
            description="letters and digits (str.isalnum) of the transcript per second of audio",
            values=lambda table: _per_second(table, _letters),
        ),
        Target(
            name="cps_with_spaces",
            unit="characters/s",
            kind="regression",
            description="all characters of the transcript, spaces too, per second of audio",
            values=lambda table: _per_second(table, len),
        ),
        Target(
            name="words_per_second",
            unit="words/s",
            kind="regression",
            description="words of the transcript per second of audio",
            values=lambda table: _per_second(table, _words),
        ),
        Target(
            name="duration",
            unit="s",
            kind="regression",
            description="length of the audio, silence included",
            values=lambda table: table["seconds"].astype(float),
        ),
    )
}


def add_targets(table: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """A new table with a float column for each of ``names``; ``table`` stays as it is.

    A value that an utterance does not have is NaN.

    Raises:
        ValueError: a name is no target; the message gives the nearest that is.
    """
    return table.assign(**{name: find_target(name, table).values(table) for name in names})


def find_target(name: str, table: pd.DataFrame) -> Target:
    """The target called ``name``: a column that the corpus brought along, else a computed one.

    The corpus' own column goes first: who measured ``duration`` or ``cps`` means that.

    Raises:
        ValueError: there is none, or the column does not hold numbers.
    """
    own = [str(column) for column in table.columns if column not in COLUMNS]
    numeric = [column for column in own if pd.api.types.is_numeric_dtype(table[column])]
    if name in numeric:
        return Target(
            name=name,
            unit="",
            kind="regression",
            description="a column of the corpus",
            values=lambda table: table[name].astype(float),
        )
    if name in own:
        raise ValueError(_not_numeric(name, table[name]))
    if name in TARGETS:
        return TARGETS[name]
    if name in COLUMNS:
        raise ValueError(
            f"{name!r} is a class, and the probes ridge, mlp and cca predict numbers: expected a "
            f"property that is measured, such as {', '.join(TARGETS)}"
        )
    valid = [*TARGETS, *numeric]
    near = difflib.get_close_matches(name.lower(), valid, n=1, cutoff=0.0)
    raise ValueError(
        f"no target {name!r}: expected one of {', '.join(valid)}; did you mean {near[0]!r}?"
    )


def _not_numeric(name: str, cells: pd.Series) -> str:
    wrong = [str(cell) for cell in cells if not is_number(str(cell))]
    return (
        f"the column {name!r} does not hold numbers: {len(wrong)} of {len(cells)} cells are none "
        f"(first: {wrong[0]!r}); expected numbers, and empty cells where there are none"
    )
