"""Utterances that were left out."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Skipped:
    """An utterance that was left out, with a human-readable reason."""

    utterance_id: str
    path: str
    reason: str
