"""Utterances that were left out."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.storage.regular_files import DamagedFile, read_regular

EXCLUDED = "excluded"
"""First word of the reason of an utterance that the spec leaves out."""


@dataclass(frozen=True)
class Skipped:
    """An utterance that was left out, with a human-readable reason."""

    utterance_id: str
    path: str
    reason: str

    @property
    def is_excluded(self) -> bool:
        """Whether the spec leaves it out."""
        return self.reason.startswith(EXCLUDED)


def commonest_reason(skipped: Sequence[Skipped]) -> str:
    """Summarise why utterances were left out: the commonest reason, its count and a first path.

    Reasons are counted up to a colon, after which details of the utterance follow.
    """
    kind, count = Counter(_kind(one) for one in skipped).most_common(1)[0]
    first = next(one for one in skipped if _kind(one) == kind)
    whole = f"{len(skipped)} utterance{'' if len(skipped) == 1 else 's'} skipped"
    most = "" if count == len(skipped) else f"{count} for this reason: "
    return f"{whole}, {most}{first.reason} (first: {first.path})"


def _kind(skipped: Skipped) -> str:
    return skipped.reason.partition(":")[0]


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
