"""Problems of a spec, shown in its lines."""

from pathlib import Path

import pytest

from sweep.commands.excerpts import MOST_EXCERPTS, with_excerpts
from sweep.errors import Problem


def under_the_caret(shown: str) -> list[str]:
    """The text that begins above each caret."""
    lines = shown.splitlines()
    return [
        lines[number - 1][line.index("^") :]
        for number, line in enumerate(lines)
        if line.rstrip().endswith("^")
    ]


def test_the_caret_stands_under_the_place(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text("name: x\nmodels:\n\t- {naem: a}\n")
    problems = [Problem(str(spec), 1, 7, "first"), Problem(str(spec), 3, 5, "second")]
    shown = with_excerpts(problems)
    assert [str(problem) in shown.splitlines() for problem in problems] == [True, True]
    assert under_the_caret(shown) == ["x", "naem: a}"]


@pytest.mark.parametrize("column", [1, 60, 5_000, 9_998])
def test_of_a_long_line_the_part_around_the_place_is_shown(tmp_path: Path, column: int) -> None:
    spec = tmp_path / "spec.yaml"
    text = "".join(chr(ord("a") + place % 26) for place in range(10_000))
    spec.write_text(text)
    shown = with_excerpts([Problem(str(spec), 1, column, "wrong")])
    assert max(map(len, shown.splitlines()[1:])) < 120
    assert text[column - 1 :].startswith(under_the_caret(shown)[0])


def test_what_is_in_no_file_has_no_excerpt(tmp_path: Path) -> None:
    problems = [Problem("--set x=1", 1, 1, "wrong"), Problem(str(tmp_path), 1, 1, "a folder")]
    assert with_excerpts(problems) == "\n".join(map(str, problems))


def test_only_the_first_problems_are_shown_in_their_lines(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text("a: 1\n" * 100)
    problems = [Problem(str(spec), line, 1, "wrong") for line in range(1, 101)]
    assert len(with_excerpts(problems).splitlines()) == 100 + 2 * MOST_EXCERPTS
