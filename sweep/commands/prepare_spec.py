"""Prepare a spec for a verb that runs nothing, and describe its corpus in a line."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.progress.wording import printable
from sweep.spec.loading import read_spec
from sweep.wording import counted

if TYPE_CHECKING:
    from sweep.prepare.prepare import Prepared

SHOWN_COLUMNS = 50
"""Number of own columns of a corpus that are listed."""


def prepare_spec(
    path: Path, overrides: Sequence[str], cache: Path, *, measure: bool = True
) -> "Prepared":
    """Read and check a spec, with progress and the notes on it on standard error.

    Targets that are measured in the audio are left out without ``measure``.

    Raises:
        SpecError: the spec is wrong; with all problems.
    """
    loaded = read_spec(path, overrides)
    # Typing errors are reported at once: reading the corpus and the models takes seconds or hours.
    loaded.raise_problems()
    from sweep.prepare.prepare import prepare
    from sweep.progress.bars import bars_on_stderr

    with bars_on_stderr() as progress:
        prepared = prepare(loaded, cache, progress, measure=measure)
    for note in prepared.notes:
        print(printable(f"warning: {note}"), file=sys.stderr)
    return prepared


def corpus_line(prepared: "Prepared") -> str:
    """Return the size of the corpus: utterances of each split, speakers, duration."""
    table = prepared.table
    duration = timedelta(seconds=round(table["seconds"].sum()))
    counts = table["split"].value_counts(sort=False)
    splits = ", ".join(f"{split} {count}" for split, count in counts.items())
    speakers = counted(table["speaker_id"].nunique(), "speaker")
    of_splits = f" ({splits})" if len(counts) > 1 else ""
    line = f"corpus: {counted(len(table), 'utterance')}{of_splits}, {speakers}, {duration} h"
    return f"{line}; {len(prepared.skipped)} skipped" if prepared.skipped else line


def column_lines(columns: Mapping[str, str]) -> Iterator[str]:
    """Say of each own column of the corpus whether it holds numbers or classes."""
    for name, found in list(columns.items())[:SHOWN_COLUMNS]:
        yield f"column {name}: {found}"
    if len(columns) > SHOWN_COLUMNS:
        yield f"and {len(columns) - SHOWN_COLUMNS} more columns"
