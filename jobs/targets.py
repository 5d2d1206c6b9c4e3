"""The properties that a probe may predict, each a function of the utterance table."""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import pandas as pd


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


def _count(table: pd.DataFrame, counted: Callable[[str], int]) -> pd.Series:
    return table["text"].map(counted).astype(float)


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
            values=lambda table: _count(table, _letters) / table["seconds"],
        ),
        Target(
            name="cps_with_spaces",
            unit="characters/s",
            kind="regression",
            description="all characters of the transcript, spaces too, per second of audio",
            values=lambda table: _count(table, len) / table["seconds"],
        ),
        Target(
            name="words_per_second",
            unit="words/s",
            kind="regression",
            description="words of the transcript per second of audio",
            values=lambda table: _count(table, _words) / table["seconds"],
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

    Raises:
        ValueError: a name is not in ``TARGETS``; the message gives the nearest that is.
    """
    return table.assign(**{name: find_target(name).values(table) for name in names})


def find_target(name: str) -> Target:
    """The target called ``name``.

    Raises:
        ValueError: there is none; the message gives the nearest name.
    """
    if name in TARGETS:
        return TARGETS[name]
    near = difflib.get_close_matches(name.lower(), TARGETS, n=1, cutoff=0.0)
    raise ValueError(
        f"no target {name!r}: expected one of {', '.join(TARGETS)}; did you mean {near[0]!r}?"
    )
