"""How long work tells where it stands."""

from collections.abc import Callable

ProgressCallback = Callable[[str, int, int], None]
"""Told what is being done, how many units of it are done, and of how many."""


def ignore_progress(what: str, done: int, total: int) -> None:
    """For callers that do not want to know."""
