"""Counts and lists in plain English, for messages and texts."""

from collections.abc import Iterable


def counted(count: int, noun: str) -> str:
    """``1 warning``, ``2 warnings``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listed(items: Iterable[str], mark: str = ",") -> str:
    """The items as ``a, b and c``; with semicolons as ``a; b; and c``."""
    words = list(items)
    if len(words) < 2:
        return "".join(words)
    return f"{f'{mark} '.join(words[:-1])}{';' if mark == ';' else ''} and {words[-1]}"
