"""The properties that a probe may predict, each a function of the utterance table."""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from jobs.corpus.table import COLUMNS, MISSING, is_number
from jobs.progress import ProgressCallback, ignore_progress
from jobs.targets.measure import MEASUREMENTS, measure

Kind = Literal["regression", "classification"]


@dataclass(frozen=True)
class Target:
    """One property of an utterance."""

    name: str
    unit: str
    """For axis labels: scores are given in it. Classes and shares have none."""
    kind: Kind
    description: str
    values: Callable[[pd.DataFrame], pd.Series]
    """Table of U utterances, with what was measured → (U,) float64, NaN where there is none; for
    classification str, "" where there is none."""
    measurement: str | None = None
    """Measurement of the audio that it needs, see ``jobs.targets.measure.MEASUREMENTS``."""
    tempo_exponent: int | None = None
    """e, where speech at f times the tempo has f^e times the value; None where that is unknown."""


def _per_second(
    table: pd.DataFrame, counted: Callable[[str], int], seconds: str = "seconds"
) -> pd.Series:
    """NaN where there is no transcript or no time: nothing was counted then, which is not nought.

    ``seconds``: the column to divide by.
    """
    spoken = table["text"].map(lambda text: any(map(str.isalnum, text))).astype(bool)
    counts: pd.Series = table["text"].map(counted).astype(float)
    return counts.where(spoken) / table[seconds].where(table[seconds] > 0)


def _letters(text: str) -> int:
    """Characters of which ``str.isalnum`` is true: letters and digits of any script.

    Combining marks are none of them. An accented letter therefore counts 1 composed (NFC) and
    decomposed (NFD) alike, and the vowel signs of scripts such as Devanagari count nothing; but a
    Hangul syllable counts 1 composed and 2 or 3, its letters, decomposed. Texts are taken as they
    are, in neither form.
    """
    return sum(map(str.isalnum, text))


def _words(text: str) -> int:
    return len(text.split())


def _pause_ratio(table: pd.DataFrame) -> pd.Series:
    span = table["span_seconds"]
    return 1.0 - table["speaking_seconds"] / span.where(span > 0)


def _labels(cells: pd.Series) -> pd.Series:
    """Classes as text, "" where a cell stands for a missing value, as it does among numbers;
    numbers, such as a corpus may code them, as they are written shortest."""
    if pd.api.types.is_numeric_dtype(cells):
        return cells.map(lambda value: "" if pd.isna(value) else f"{value:g}").astype(str)
    cells = cells.str.strip()
    return cells.where(~cells.str.lower().isin(MISSING), "")


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target(
            name="cps",
            unit="characters/s",
            kind="regression",
            description="letters and digits (str.isalnum) of the transcript per second of audio",
            values=lambda table: _per_second(table, _letters),
            tempo_exponent=1,
        ),
        Target(
            name="cps_with_spaces",
            unit="characters/s",
            kind="regression",
            description="all characters of the transcript, spaces too, per second of audio",
            values=lambda table: _per_second(table, len),
            tempo_exponent=1,
        ),
        Target(
            name="words_per_second",
            unit="words/s",
            kind="regression",
            description="words of the transcript per second of audio",
            values=lambda table: _per_second(table, _words),
            tempo_exponent=1,
        ),
        Target(
            name="articulation_rate",
            unit="characters/s",
            kind="regression",
            description="letters and digits of the transcript per second of speaking: pauses and "
            "silence at the edges taken out; none where nobody is heard",
            values=lambda table: _per_second(table, _letters, "speaking_seconds"),
            measurement="speech",
            tempo_exponent=1,
        ),
        Target(
            name="pause_ratio",
            unit="",
            kind="regression",
            description="share of pauses in the time from the first sound of speech to the last: "
            "silence at the edges, which is the recording's, counts as neither; none where nobody "
            "is heard",
            values=_pause_ratio,
            measurement="speech",
        ),
        Target(
            name="duration",
            unit="s",
            kind="regression",
            description="length of the audio, silence included",
            values=lambda table: table["seconds"].astype(float),
            tempo_exponent=-1,
        ),
        Target(
            name="f0_mean",
            unit="Hz",
            kind="regression",
            description="mean fundamental frequency of the voiced frames; none without one",
            values=lambda table: table["f0_mean"],
            measurement="pitch",
        ),
        Target(
            name="f0_sd",
            unit="Hz",
            kind="regression",
            description="standard deviation of the fundamental frequency of the voiced frames; "
            "none with fewer than two",
            values=lambda table: table["f0_sd"],
            measurement="pitch",
        ),
        Target(
            name="energy",
            unit="dB",
            kind="regression",
            description="level (RMS) of the whole audio relative to full scale, silence included",
            values=lambda table: table["energy"],
            measurement="level",
        ),
        Target(
            name="speaker",
            unit="",
            kind="classification",
            description="who speaks",
            values=lambda table: table["speaker_id"],
        ),
        Target(
            name="sex",
            unit="",
            kind="classification",
            description="the speaker's sex, as the corpus has it",
            values=lambda table: _labels(table["sex"]),
        ),
    )
}


def add_targets(
    table: pd.DataFrame,
    names: Iterable[str],
    cache: Path | None = None,
    tell: ProgressCallback = ignore_progress,
) -> pd.DataFrame:
    """A new table with a column for each of ``names``; ``table`` stays as it is.

    The column is float with NaN where an utterance has no value, for classes str with "".

    Args:
        table: the utterance table.
        names: of targets.
        cache: where measured values are kept; needed by targets that are measured in the audio.
        tell: told how far measuring is.

    Raises:
        ValueError: a name is no target, and the message gives the nearest that is; or it cannot
            be had.
        MeasureError: measuring cannot go on.
    """
    targets = [find_target(name, table) for name in names]
    wanted = list(dict.fromkeys(one.measurement for one in targets if one.measurement))
    source = table
    if wanted:
        if cache is None:
            raise ValueError(f"to measure {', '.join(wanted)}, expected a cache to keep it in")
        source = table.assign(**measure(table, wanted, cache, tell))
    return table.assign(**{target.name: target.values(source) for target in targets})


def find_target(name: str, table: pd.DataFrame) -> Target:
    """The target called ``name``: a column that the corpus brought along, else a computed one.

    The corpus' own column goes first: who measured ``duration`` or ``cps`` means that. Numbers
    make it a regression, words a classification.

    Raises:
        ValueError: there is none, the column holds neither numbers nor classes, or something is
            missing that the target needs.
    """
    own = [str(column) for column in table.columns if column not in COLUMNS]
    if name == "sex":
        if name not in own:
            raise ValueError(_NO_SEX)
        return TARGETS[name]
    if name in own:
        return _own_column(name, table[name])
    if name not in TARGETS:
        valid = list(dict.fromkeys([*TARGETS, *own]))
        near = difflib.get_close_matches(name.lower(), valid, n=1, cutoff=0.0)
        raise ValueError(
            f"no target {name!r}: expected one of {', '.join(valid)}; did you mean {near[0]!r}?"
        )
    target = TARGETS[name]
    missing = MEASUREMENTS[target.measurement].missing() if target.measurement else None
    if missing:
        raise ValueError(f"{name} cannot be measured: {missing}")
    return target


_NO_SEX = (
    "the corpus does not tell the speakers' sex: expected SPEAKERS.TXT beside the subset folders "
    "(librispeech), a column 'sex' (csv), or the gender of supervisions (lhotse)"
)


def _own_column(name: str, cells: pd.Series) -> Target:
    if pd.api.types.is_numeric_dtype(cells):
        return Target(
            name=name,
            unit="",
            kind="regression",
            description="a column of the corpus",
            values=lambda table: table[name].astype(float),
        )
    labels = _labels(cells)
    labels = labels[labels != ""]
    wrong = [label for label in labels if not is_number(label)]
    if wrong and len(wrong) < len(labels) / 2:
        raise ValueError(
            f"the column {name!r} does not hold numbers: {len(wrong)} of {len(cells)} cells are "
            f"none (first: {wrong[0]!r}); expected numbers, and empty cells where there are none, "
            "or names of classes"
        )
    if labels.nunique() > len(labels) / 2:
        raise ValueError(
            f"the column {name!r} does not hold classes: {labels.nunique()} different values in "
            f"{len(labels)} utterances (first: {labels.iloc[0]!r}); expected at most half as many"
        )
    return Target(
        name=name,
        unit="",
        kind="classification",
        description="a column of the corpus",
        values=lambda table: _labels(table[name]),
    )
