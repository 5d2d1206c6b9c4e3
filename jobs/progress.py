"""How long work tells where it stands."""

from collections.abc import Callable

Tell = Callable[[str, int, int], None]
"""Told what is being done, how many units of it are done, and of how many."""


def tell_nobody(what: str, done: int, total: int) -> None:
    """For callers that do not want to know."""
