"""Progress reports of long tasks."""

from collections.abc import Callable

ProgressCallback = Callable[[str, int, int], None]
"""Called with the name of a task, the number of units done, and their total."""


def ignore_progress(what: str, done: int, total: int) -> None:
    """Do nothing."""
