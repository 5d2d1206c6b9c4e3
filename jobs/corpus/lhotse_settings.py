"""Settings of a corpus that is described by lhotse's manifests."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from jobs.corpus.settings import SELECTION_EXAMPLE, CorpusSettings
from jobs.settings import Name, Settings


class LhotseManifests(Settings):
    """The two manifests of one split: ``.jsonl``, ``.jsonl.gz``, or another format of lhotse."""

    EXAMPLES = (
        "{recordings: train_recordings.jsonl.gz, supervisions: train_supervisions.jsonl.gz}",
    )

    recordings: Path
    """Manifest of the recordings."""
    supervisions: Path
    """Manifest of the supervisions; each is an utterance."""


class LhotseSettings(CorpusSettings):
    """A corpus that was prepared with one of lhotse's recipes."""

    EXAMPLES = (
        "{kind: lhotse, root: data, splits: {test: {recordings: r.jsonl, supervisions: s.jsonl}}}",
        "{kind: lhotse, splits: {test: {recordings: r.jsonl, supervisions: s.jsonl}},"
        f" {SELECTION_EXAMPLE}}}",
    )

    kind: Literal["lhotse"] = "lhotse"
    """Manifests of lhotse. Needs the extra ``lhotse``."""
    splits: dict[Name, LhotseManifests] = Field(min_length=1)
    """Manifests of each split, by its name."""
    root: Path = Path()
    """Folder that relative audio paths start from. By default the current folder, as in lhotse."""

    def manifests(self) -> list[Path]:
        """The manifests of all splits."""
        pairs = self.splits.values()
        return [path for pair in pairs for path in (pair.recordings, pair.supervisions)]
