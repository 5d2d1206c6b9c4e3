"""The base of the settings of corpora."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field, model_validator

from jobs.settings import Settings

MAX_SECONDS = 1_000_000
"""Longest limit of an utterance's duration: twelve days."""
SELECTION_EXAMPLE = "exclude: [84-121123-0000, '1272-*'], min_seconds: 1, max_seconds: 20"


class CorpusSettings(Settings):
    """Settings of a corpus; each reader has a subclass with its own literal ``kind``."""

    SELECTION: ClassVar[frozenset[str]] = frozenset({"exclude", "min_seconds", "max_seconds"})
    """Keys that choose among the utterances of a corpus, see ``jobs.corpus.selection``."""

    kind: str
    """Kind of corpus."""
    exclude: Path | tuple[str, ...] = ()
    """Utterances to leave out: a list of their ids or of patterns with ``*`` and ``?``, or a file
    with one of these on each line. They are listed in ``skipped.csv``."""
    min_seconds: float | None = Field(default=None, ge=0, le=MAX_SECONDS)
    """Shortest utterance that is used, in seconds."""
    max_seconds: float | None = Field(default=None, gt=0, le=MAX_SECONDS)
    """Longest utterance that is used, in seconds."""

    @model_validator(mode="after")
    def _ordered(self) -> "CorpusSettings":
        shortest, longest = self.min_seconds, self.max_seconds
        if shortest is not None and longest is not None and shortest > longest:
            raise ValueError(
                f"expected min_seconds ≤ max_seconds, found {shortest:g} and {longest:g}"
            )
        return self

    def identity(self) -> dict[str, object]:
        """Return the settings that change the utterances themselves."""
        return self.model_dump(mode="json", exclude={"name", *self.SELECTION})
