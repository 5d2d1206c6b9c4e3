"""The lines of a spec that its problems are in, with a mark under each place."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from sweep.errors import Problem

MOST_EXCERPTS = 10
"""Number of problems that are shown in their line."""
_WIDTH = 100
"""Characters of a line that are shown."""


def with_excerpts(problems: Sequence[Problem]) -> str:
    """Return the problems, a line each, and after the first ones the line of the file and a caret
    under the place."""
    return "\n".join(_lines(problems))


def _lines(problems: Sequence[Problem]) -> Iterator[str]:
    shown = 0
    for file, of_file in groupby(problems, key=lambda problem: problem.file):
        text = _read(file)
        for problem in of_file:
            yield str(problem)
            if text and problem.line <= len(text) and shown < MOST_EXCERPTS:
                shown += 1
                yield from _excerpt(text[problem.line - 1], problem)


def _read(file: str) -> list[str]:
    """Lines of the spec; none of an override, or of a file that cannot be read."""
    try:
        return Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return []


def _excerpt(line: str, problem: Problem) -> Iterator[str]:
    number = str(problem.line)
    start = max(0, problem.column - 1 - _WIDTH // 2) if len(line) > _WIDTH else 0
    part = line[start : start + _WIDTH]
    part = "".join(char if char.isprintable() else " " for char in part)
    yield f"  {number} | {part}"
    yield f"  {' ' * len(number)} | {' ' * (problem.column - 1 - start)}^"
