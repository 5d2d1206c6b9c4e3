"""Skipped utterances of a shard: whether their audio files have changed since they were skipped."""

from collections.abc import Mapping
from typing import Protocol

from jobs.activations.manifest import MISSING_FILE, FileState
from jobs.audio.segments import split_span
from jobs.corpus.skipped import Skipped


class HasSkips(Protocol):
    """A finished shard, as far as its skipped utterances are concerned."""

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Utterances that were left out."""

    @property
    def skipped_files(self) -> tuple[FileState, ...]:
        """States of their audio files before they were read."""


def file_state(audio_path: str) -> FileState:
    """Return the state of an audio file; for a piece, of the file that it is a piece of."""
    path, _ = split_span(audio_path)
    try:
        status = path.stat()
    except OSError:
        return MISSING_FILE
    return FileState(status.st_size, status.st_mtime_ns)


def has_stale_skips(shard: HasSkips, audio_paths: Mapping[str, str]) -> bool:
    """Return whether the file of a skipped utterance has changed since it was found unusable.

    The shard's id does not show it: a damaged FLAC and its repair have the same header.

    Args:
        shard: a finished shard.
        audio_paths: utterance id → its current audio path.
    """
    if len(shard.skipped_files) != len(shard.skipped):
        return True
    return any(
        file_state(audio_paths.get(skipped.utterance_id, skipped.path)) != state
        for skipped, state in zip(shard.skipped, shard.skipped_files, strict=True)
    )
