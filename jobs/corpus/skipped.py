"""Utterances that were left out."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from jobs.storage.regular_files import DamagedFile, read_regular


@dataclass(frozen=True)
class Skipped:
    """An utterance that was left out, with a human-readable reason."""

    utterance_id: str
    path: str
    reason: str


def read_skipped(path: Path) -> list[Skipped]:
    """Read the table of the utterances that a run left out.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged.
    """
    text = io.StringIO(read_regular(path).decode(), newline="")
    try:
        rows = list(csv.DictReader(text, strict=True))
    except csv.Error as error:
        raise DamagedFile(f"not a table: {error}") from None
    for row in rows:
        if row.keys() != Skipped.__annotations__.keys() or None in row.values():
            raise DamagedFile(f"expected utterance_id, path and reason, found {str(row)[:60]}")
    return [Skipped(**row) for row in rows]
