"""Tables as text: Markdown and LaTeX, with names from outside escaped."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

MISSING = "–"
LACKING = "†"
"""Mark beside names that lack planned cells."""


@dataclass(frozen=True)
class Cell:
    """Printed text, and the value for sorting where a table can be sorted."""

    text: str
    key: float | str | None = None


@dataclass(frozen=True)
class Table:
    """Raw text by row and column, which is escaped when written."""

    header: tuple[str, ...]
    numeric: tuple[bool, ...]
    """Columns that are aligned to the right."""
    rows: tuple[tuple[Cell, ...], ...]


def one_line(text: str) -> str:
    """``text`` with line breaks, tabs and control characters turned into spaces."""
    return "".join(c if c.isprintable() else " " for c in text)


def escape_markdown(text: str) -> str:
    """Escape ``text`` for a cell of a GitHub table or a list.

    Underscores inside a word and brackets that do not begin a link need no escape in Markdown and
    are left as they are.
    """
    text = re.sub(r"([\\`*|~$])", r"\\\1", one_line(text))
    text = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)
    text = re.sub(r"\](?=[(\[:])", r"\\]", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _escape_item(text: str) -> str:
    """Escape a list item so that it does not become a heading or a nested list."""
    return re.sub(r"^(\d*)([#+.)-])", r"\1\\\2", escape_markdown(text.strip()))


LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "{''}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",
    "]": "{]}",
    "²": r"\textsuperscript{2}",
    "−": "$-$",  # not supported by inputenc
    "×": r"$\times$",
    "±": r"$\pm$",
    MISSING: r"\textendash{}",
    LACKING: r"\textdagger{}",
    **{c: "\\" + c for c in "$&#%_"},
}
"""Character → its form in LaTeX; the page's script uses it as well."""


def escape_latex(text: str) -> str:
    """Escape ``text`` for LaTeX; a minus before a number becomes a minus sign.

    Brackets are wrapped, or one at the start of a row would be taken for the argument of ``\\\\``.
    """
    escaped = "".join(LATEX.get(c, c) for c in one_line(text)).replace("--", "-{}-")
    return re.sub(r"(?<![\w-])-(?=\d)", "$-$", escaped)


def to_markdown(tables: Sequence[Table], notes: Sequence[str]) -> str:
    """Write pipe tables, with columns also aligned in the source, and the notes below them."""
    below = [""] * bool(notes) + [f"- {_escape_item(note)}" for note in notes]
    lines = "\n\n".join("\n".join(_pipe_table(table)) for table in tables)
    return "\n".join([lines, *below]) + "\n"


def _pipe_table(table: Table) -> list[str]:
    grid = [[escape_markdown(text) for text in table.header]]
    grid += [[escape_markdown(cell.text) for cell in row] for row in table.rows]
    widths = [max(3, *map(cell_len, column)) for column in zip(*grid, strict=True)]

    def line(texts: Sequence[str]) -> str:
        padded = []
        for text, width, right in zip(texts, widths, table.numeric, strict=True):
            space = " " * (width - cell_len(text))
            padded.append(space + text if right else text + space)
        return f"| {' | '.join(padded)} |"

    rule = [
        "-" * (width - right) + ":" * right
        for width, right in zip(widths, table.numeric, strict=True)
    ]
    return [line(grid[0]), line(rule), *map(line, grid[1:])]


def to_latex(tables: Sequence[Table], notes: Sequence[str], *, long: bool = False) -> str:
    """Write booktabs tables for ``\\input``, with the notes below the last; ``long`` ones break
    across pages (longtable)."""
    packages = "packages booktabs and longtable" if long else "package booktabs"
    first = f"% Needs the {packages}, and UTF-8 input.\n"
    of_table = [*([()] * (len(tables) - 1)), notes]
    bodies = [_booktabs(*pair, long=long) for pair in zip(tables, of_table, strict=True)]
    return first + "\n\\bigskip\n\n".join(bodies)


def _booktabs(table: Table, notes: Sequence[str], *, long: bool) -> str:
    environment = "longtable" if long else "tabular"
    columns = "".join("r" if right else "l" for right in table.numeric)
    header = " & ".join(map(escape_latex, table.header)) + r" \\"
    lines = [
        f"\\begin{{{environment}}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        header,
        r"\midrule",
        *([r"\endhead", r"\bottomrule", r"\endfoot"] if long else []),
    ]
    lines += [" & ".join(escape_latex(cell.text) for cell in row) + r" \\" for row in table.rows]
    wide = f"\\multicolumn{{{len(table.header)}}}{{@{{}}p{{0.95\\linewidth}}@{{}}}}"
    below = [f"{wide}{{\\footnotesize {escape_latex(note)}}} \\\\" for note in notes]
    if long:  # the rule at the foot of every page comes from \endfoot
        lines += [r"\midrule"] * bool(notes) + below
    else:
        lines += [r"\bottomrule", *below]
    return "\n".join([*lines, f"\\end{{{environment}}}"]) + "\n"
