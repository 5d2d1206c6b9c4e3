"""Settings of a corpus in LibriSpeech's layout."""

from pathlib import Path
from typing import Literal

from pydantic import field_validator

from jobs.corpus.settings import SELECTION_EXAMPLE, CorpusSettings
from jobs.settings import Name


class LibriSpeechSettings(CorpusSettings):
    """A corpus on disk in LibriSpeech's layout: ``ROOT/SUBSET/SPEAKER/CHAPTER/``."""

    EXAMPLES = (
        "{kind: librispeech, root: data/LibriSpeech, splits: {train: dev-clean, test: test-clean}}",
        f"{{kind: librispeech, root: data, splits: {{test: test-clean}}, {SELECTION_EXAMPLE}}}",
    )

    kind: Literal["librispeech"] = "librispeech"
    """Folders of FLAC files with transcripts, as LibriSpeech has them."""
    root: Path
    """Folder that contains the subset folders (``dev-clean``, …)."""
    splits: dict[Name, str | list[str]]
    """Subset folder, or list of them, of each split, as in ``{train: train-clean-100, test:
    test-clean}``. The names of splits are free; ``protocol: {kind: splits}`` expects ``train``,
    ``validation`` and ``test`` by default."""

    @field_validator("splits")
    @classmethod
    def _each_subset_once(cls, splits: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
        if not splits:
            raise ValueError("expected at least one split, such as {test: test-clean}")
        subsets = [subset for value in splits.values() for subset in _as_list(value)]
        repeated = sorted({subset for subset in subsets if subsets.count(subset) > 1})
        if repeated:
            raise ValueError(f"expected each subset in one split only: {', '.join(repeated)}")
        empty = [name for name, value in splits.items() if not all(_as_list(value)) or not value]
        if empty:
            raise ValueError(f"expected a subset folder for the split {', '.join(empty)}")
        return splits

    def subsets(self) -> dict[str, list[str]]:
        """Split → its subset folders."""
        return {split: _as_list(value) for split, value in self.splits.items()}


def _as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
