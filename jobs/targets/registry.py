"""The registry of targets, each a function of the utterance table."""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from jobs.corpus.table import COLUMNS
from jobs.progress import ProgressCallback, ignore_progress
from jobs.targets.measure import measure
from jobs.targets.measurements import MEASUREMENTS
from jobs.targets.own_columns import check_classes_of, labels_of

Kind = Literal["regression", "classification"]


@dataclass(frozen=True)
class Target:
    """One property of an utterance."""

    name: str
    unit: str
    """Unit of its values, for axis labels and scores; empty for classes and shares."""
    kind: Kind
    description: str
    values: Callable[[pd.DataFrame], pd.Series]
    """Table of U utterances, with measured columns → (U,) float64, NaN for a missing value; for
    classification str, "" for a missing value."""
    measurement: str | None = None
    """Measurement of the audio that it needs, see
    ``jobs.targets.measurements.MEASUREMENTS``."""
    tempo_exponent: int | None = None
    """e, where speech at f times the tempo has f^e times the value; None where that is unknown."""
    is_searched: bool = False
    """Whether its measurement searches it between two values of the speaker, see
    ``jobs.targets.measurements.SpeakerContext``; a value near one is suspect."""
    title: str = ""
    """Readable name, for headings; if empty, the name itself."""


def _per_second(
    table: pd.DataFrame, counted: Callable[[str], int], seconds: str = "seconds"
) -> pd.Series:
    """Divide a count over the transcript by the column ``seconds``.

    NaN where there is no transcript or no time, since nothing was counted.
    """
    spoken = table["text"].map(lambda text: any(map(str.isalnum, text))).astype(bool)
    counts: pd.Series = table["text"].map(counted).astype(float)
    return counts.where(spoken) / table[seconds].where(table[seconds] > 0)


def _letters(text: str) -> int:
    """Count characters for which ``str.isalnum`` is true: letters and digits of any script.

    Combining marks do not count. An accented letter therefore counts 1 whether composed (NFC) or
    decomposed (NFD), and vowel signs of scripts such as Devanagari count 0; but a Hangul syllable
    counts 1 composed, and 2 or 3 decomposed into its letters. Texts are not normalised.
    """
    return sum(map(str.isalnum, text))


def _words(text: str) -> int:
    return len(text.split())


def _pause_ratio(table: pd.DataFrame) -> pd.Series:
    span = table["span_seconds"]
    return 1.0 - table["speaking_seconds"] / span.where(span > 0)


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target(
            name="cps",
            title="speech rate",
            unit="characters/s",
            kind="regression",
            description="letters and digits (str.isalnum) of the transcript per second of audio",
            values=lambda table: _per_second(table, _letters),
            tempo_exponent=1,
        ),
        Target(
            name="cps_with_spaces",
            title="speech rate with spaces",
            unit="characters/s",
            kind="regression",
            description="all characters of the transcript, spaces too, per second of audio",
            values=lambda table: _per_second(table, len),
            tempo_exponent=1,
        ),
        Target(
            name="words_per_second",
            title="speech rate in words",
            unit="words/s",
            kind="regression",
            description="words of the transcript per second of audio",
            values=lambda table: _per_second(table, _words),
            tempo_exponent=1,
        ),
        Target(
            name="articulation_rate",
            title="articulation rate",
            unit="characters/s",
            kind="regression",
            description="letters and digits of the transcript per second of speech, without pauses "
            "and silence at the edges; undefined without speech",
            values=lambda table: _per_second(table, _letters, "speaking_seconds"),
            measurement="speech",
            tempo_exponent=1,
        ),
        Target(
            name="pause_ratio",
            title="share of pauses",
            unit="",
            kind="regression",
            description="share of pauses in the time from the start of speech to its end; silence "
            "at the edges is not counted; undefined without speech",
            values=_pause_ratio,
            measurement="speech",
        ),
        Target(
            name="duration",
            title="duration",
            unit="s",
            kind="regression",
            description="length of the audio, silence included",
            values=lambda table: table["seconds"].astype(float),
            tempo_exponent=-1,
        ),
        Target(
            name="f0_mean",
            title="mean pitch",
            unit="Hz",
            kind="regression",
            description="mean fundamental frequency of the voiced frames, those at most 15 dB "
            "below the loud ones and periodic, within the range of the speaker's utterances; "
            "undefined without any",
            values=lambda table: table["f0_mean"],
            measurement="pitch",
            is_searched=True,
        ),
        Target(
            name="f0_sd",
            title="variation of pitch",
            unit="Hz",
            kind="regression",
            description="standard deviation of the fundamental frequency in the frames of f0_mean; "
            "undefined with fewer than two",
            values=lambda table: table["f0_sd"],
            measurement="pitch",
        ),
        Target(
            name="energy",
            title="level",
            unit="dB",
            kind="regression",
            description="level (RMS) of the whole audio relative to full scale, silence included",
            values=lambda table: table["energy"],
            measurement="level",
        ),
        Target(
            name="speaker",
            title="who is speaking",
            unit="",
            kind="classification",
            description="the speaker",
            values=lambda table: table["speaker_id"],
        ),
        Target(
            name="sex",
            title="sex of the speaker",
            unit="",
            kind="classification",
            description="the speaker's sex, as given by the corpus",
            values=lambda table: labels_of(table["sex"]),
        ),
    )
}


def target_title(name: str) -> str:
    """Return the readable name of a target; that of a column of the corpus is its own."""
    return (TARGETS[name].title if name in TARGETS else "") or name


def add_targets(
    table: pd.DataFrame,
    names: Iterable[str],
    cache: Path | None = None,
    progress: ProgressCallback = ignore_progress,
) -> pd.DataFrame:
    """Return a new table with a column for each of ``names``; ``table`` is unchanged.

    The column is float with NaN where an utterance has no value, for classes str with "".

    Args:
        table: the utterance table.
        names: names of targets.
        cache: folder of measured values; required for targets that are measured in the audio.
        progress: called with the progress of measuring.

    Raises:
        ValueError: a name is not a target, and the message gives the nearest; or the target cannot
            be computed.
        MeasureError: measuring cannot continue.
    """
    targets = [find_target(name, table) for name in names]
    wanted = list(dict.fromkeys(one.measurement for one in targets if one.measurement))
    source = table
    if wanted:
        if cache is None:
            raise ValueError(
                f"to measure {', '.join(wanted)}, expected a cache folder for the values"
            )
        source = table.assign(**measure(table, wanted, cache, progress))
    return table.assign(**{target.name: target.values(source) for target in targets})


def is_measured(name: str, table: pd.DataFrame) -> bool:
    """Return whether the target's values are measured in the audio, which takes long."""
    return find_target(name, table).measurement is not None


def find_target(name: str, table: pd.DataFrame) -> Target:
    """Return the target called ``name``: a column of the corpus, else a computed one.

    A column of the corpus takes precedence over a computed target of the same name. A column of
    numbers is for regression, a column of text for classification.

    Raises:
        ValueError: there is none, the column holds neither numbers nor classes, or a package that
            the target needs is not installed.
    """
    own = [str(column) for column in table.columns if column not in COLUMNS]
    if name == "sex":
        if name not in own:
            raise ValueError(_NO_SEX)
        return TARGETS[name]
    if name in own:
        return _own_column(name, table)
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
    "the corpus does not give the speakers' sex: expected SPEAKERS.TXT beside the subset folders "
    "(librispeech), a column 'sex' (csv), or the gender of supervisions (lhotse)"
)


def _own_column(name: str, table: pd.DataFrame) -> Target:
    if pd.api.types.is_numeric_dtype(table[name]):
        return Target(
            name=name,
            unit="",
            kind="regression",
            description="a column of the corpus",
            values=lambda table: table[name].astype(float),
        )
    check_classes_of(table, name)
    return Target(
        name=name,
        unit="",
        kind="classification",
        description="a column of the corpus",
        values=lambda table: labels_of(table[name]),
    )


def describe_columns(table: pd.DataFrame) -> dict[str, str]:
    """Say of every own column of the corpus what it is as a target.

    Returns:
        Column → ``numbers``, ``classes (3)`` with the number of classes, or why it is neither.
    """
    found = {}
    for name in (str(column) for column in table.columns if column not in COLUMNS):
        try:
            target = find_target(name, table)
        except ValueError as error:
            found[name] = f"no target: {error}"
            continue
        classes = set(target.values(table)) - {""} if target.kind == "classification" else ()
        found[name] = f"classes ({len(classes)})" if target.kind == "classification" else "numbers"
    return found
