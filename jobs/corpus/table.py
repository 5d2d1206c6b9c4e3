"""The utterance table: one row per utterance; nothing else of a corpus is used after reading."""

import csv
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from jobs.audio.frames import SAMPLE_RATE
from jobs.corpus.numbers import as_numbers, number
from jobs.corpus.skipped import Skipped
from jobs.identity import canonical_json, lines_digest
from jobs.storage.atomic import atomic_path
from jobs.storage.location import Location
from jobs.storage.object_store import open_file


class CorpusError(ValueError):
    """A corpus that cannot be read; the message says what was expected and what to do."""


@dataclass(frozen=True)
class Utterance:
    """One row of the table."""

    utterance_id: str
    audio_path: str
    """Absolute path; it may name a segment of a file, see ``jobs.audio.segments``."""
    text: str
    speaker_id: str
    chapter_id: str
    split: str
    """Split of the corpus, as named in the spec: ``train``, ``validation``, ``test``, …"""
    seconds: float
    n_samples: int
    audio_digest: str
    """Equal if the decoded audio is equal, whatever the path."""


class AudioFormat(NamedTuple):
    """Format of a file, which is converted to mono at 16 kHz with a full scale of 1."""

    sample_rate: int
    channels: int
    full_scale: float


USUAL_FORMAT = AudioFormat(SAMPLE_RATE, 1, 1.0)
"""Format that needs no conversion."""


@dataclass(frozen=True)
class Corpus:
    """The result of a reader: the utterance table, and the utterances that were left out."""

    utterances: pd.DataFrame
    skipped: tuple[Skipped, ...]
    remarks: tuple[str, ...] = ()
    """What the reader found and is not usual, each a sentence for the user."""
    formats: Mapping[str, AudioFormat] = field(default_factory=dict)
    """Utterance id → format of its file, where that is not the usual."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Conversions of the audio, and the remarks."""
        return (*_conversions(list(self.formats.values()), len(self.utterances)), *self.remarks)


RESAMPLED, MIXED = "resampled to 16 kHz", "mixed to mono"
"""Conversions, as notes and the methods text name them."""


def _conversions(formats: Collection[AudioFormat], total: int) -> Iterable[str]:
    """Report the conversion of files that are not in the usual format."""
    rates = Counter(one.sample_rate for one in formats if one.sample_rate != SAMPLE_RATE)
    channels = Counter(one.channels for one in formats if one.channels != 1)
    if rates:
        shown = ", ".join(f"{count} from {rate} Hz" for rate, count in sorted(rates.items()))
        yield f"{rates.total()} of {total} utterances are {RESAMPLED}: {shown}"
    if channels:
        shown = ", ".join(f"{count} of {n} channels" for n, count in sorted(channels.items()))
        yield f"{channels.total()} of {total} utterances are {MIXED}: {shown}"
    scales = Counter(one.full_scale for one in formats if one.full_scale != 1.0)
    if scales:
        shown = ", ".join(f"{count} from ±{scale:.0f}" for scale, count in sorted(scales.items()))
        yield (
            f"{scales.total()} of {total} utterances have float samples in the range of integers, "
            f"which are brought to a full scale of ±1: {shown}"
        )


COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(Utterance))
_DTYPES = {**dict.fromkeys(COLUMNS, str), "seconds": float, "n_samples": int}
DECLARED_CLASSES = "classes"
"""Key of ``DataFrame.attrs``: own columns that hold classes because the spec says so, whatever
their cells look like."""
DECIMAL_MARK = "decimal"
"""Key of ``DataFrame.attrs``: the decimal mark of own columns, where the spec gives one."""
_ORDER = ["split", "n_samples", "utterance_id"]


def make_table(utterances: Iterable[Utterance]) -> pd.DataFrame:
    """Return the utterances as a table, sorted so that equal lengths in a split are adjacent.

    Returns:
        A frame with the columns ``COLUMNS`` and a ``RangeIndex``, sorted by split, length and id.
    """
    rows = [tuple(vars(utterance).values()) for utterance in utterances]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(_DTYPES)
    return table.sort_values(_ORDER, ignore_index=True)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write ``table`` as CSV, atomically; ``read_table`` returns exactly the same values.

    Every string is quoted, so that no id is read as a number or as a missing value.
    """
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")


def read_table(path: Location, text: Collection[str] = ()) -> pd.DataFrame:
    """Read a table written by ``write_table``: ids remain strings, floats are exact.

    A column that is neither in ``COLUMNS`` nor in ``text`` is float if all its cells are numbers or
    empty, otherwise str. Columns in ``text`` are str: a class may be named ``0084``.

    Raises:
        CorpusError: a column is missing.
    """
    # All cells are read as text, so that an id like "NA" is kept; Python parses floats exactly.
    with open_file(path) as file:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise CorpusError(
            f"{path} is not an utterance table: expected the columns {', '.join(COLUMNS)}, "
            f"missing are {', '.join(missing)}; delete it, and it will be written again"
        )
    for column in table.columns:
        if column in text:
            continue
        if column not in _DTYPES:
            table[column] = as_numbers(table[column])
        elif _DTYPES[column] is not str:
            table[column] = table[column].map(number).astype(_DTYPES[column])
    return table


def is_text(column: pd.Series) -> bool:
    """Return whether ``column`` contains names of classes and not numbers."""
    return not pd.api.types.is_numeric_dtype(column)


def has_value(column: pd.Series) -> npt.NDArray[np.bool_]:
    """Return (U,) a mask of the utterances with a value: a finite number or the name of a class."""
    if is_text(column):
        return np.asarray(column != "", dtype=np.bool_)
    values: npt.NDArray[np.float64] = column.to_numpy(dtype=np.float64)
    return np.isfinite(values)


def classes_in(column: pd.Series) -> tuple[str, ...]:
    """Return the names of the classes in a column, sorted; their positions are their codes."""
    return tuple(sorted({str(name) for name in column} - {""}))


def audio_digest_of_table(table: pd.DataFrame) -> str:
    """Return the identity of the audio: SHA-256 over (utterance id, audio digest), order-free.

    Labels and paths are not included, so that a new target or a moved corpus re-extracts nothing.
    """
    rows = zip(table["utterance_id"], table["audio_digest"], strict=True)
    return lines_digest(sorted(canonical_json([str(name), str(digest)]) for name, digest in rows))


def label_digest(table: pd.DataFrame, target: str) -> str:
    """Return the identity of the labels that a probe is trained and tested on, in any row order.

    SHA-256 over (utterance id, speaker, split, target value): all bits of a number, the name of a
    class. A missing value counts, too, since folds are made of all utterances.

    Raises:
        ValueError: the table has no column ``target``.
    """
    if target not in table.columns:
        raise ValueError(
            f"the table has no target {target!r}: expected one of its columns "
            f"{', '.join(map(str, table.columns))}; add it with jobs.targets.registry.add_targets"
        )
    if is_text(table[target]):
        values = [["class", str(value)] for value in table[target]]
    else:
        values = [[float(value).hex()] for value in table[target]]
    rows = zip(table["utterance_id"], table["speaker_id"], table["split"], values, strict=True)
    return lines_digest(
        sorted(
            canonical_json([str(name), str(speaker), str(split), *value])
            for name, speaker, split, value in rows
        )
    )
