"""The dialect of a table in a text file: text → header and rows.

The separator is the one with which the header has the columns that are asked for. Quotes enclose
cells, as RFC 4180 has it, unless the rows are only complete if quotes are ordinary characters, as
in the tables of Common Voice.
"""

import csv
import io
import re
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from jobs.corpus.encodings import WESTERN, Decoded, decode, row_at

Quoting = Literal["csv", "none"]

SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
_BLANK = ' \t\r\n",;|'
"""Characters of lines in which every cell is empty."""
_HINT = re.compile(r'"?sep=(?P<separator>.)"?\s*')
"""First line of a file that names the separator for Excel."""
_SHOWN = 5
"""Number of rows that a message names."""
_ADVICE = (
    "correct these rows; the keys corpus.dialect.separator and corpus.dialect.quoting set how the "
    "table is read"
)


class DialectError(ValueError):
    """A text that is not a table; the message names the rows."""


@dataclass(frozen=True)
class Given:
    """Dialect settings of a spec; None: detect it from the file."""

    separator: str | None = None
    quoting: Quoting | None = None
    encoding: str | None = None


@dataclass(frozen=True)
class Sheet:
    """A table in a text file."""

    header: list[str]
    """Names of the columns, without surrounding blanks; "" where there is none."""
    rows: list[list[str]]
    """Cells of the rows that have any, as many in each as in the header."""
    numbers: list[int]
    """Number of the line in which each row begins, from 1."""
    text: Decoded
    separator: str
    quoting: Quoting


def read_sheet(data: bytes, usual_separator: str, expected: Collection[str], given: Given) -> Sheet:
    """Read a table.

    Args:
        data: contents of the file.
        usual_separator: tried first.
        expected: columns that the header must have to be recognised.
        given: what is known of the dialect.

    Raises:
        EncodingError: it is not text, or its encoding is unknown.
        DialectError: it is not a table.
    """
    text = decode(data, given.encoding)
    # Lines keep their ends: LF, CR, or both.
    lines = io.StringIO(text.text, newline="").readlines()
    hint = _HINT.fullmatch(lines[0]) if lines else None
    if hint:
        lines[0] = "\n"
    if not any(line.strip(_BLANK) for line in lines):
        raise DialectError("it is empty: expected a header and a row for each utterance")
    first = hint["separator"] if hint else usual_separator
    separator = given.separator or _find_separator(lines, first, expected)
    parsed = _parse(lines, separator, given.quoting)
    header, *rows = parsed.rows
    numbers = [first for first, _ in parsed.spans]
    _check_header(header, numbers[0])
    return Sheet(header, rows, numbers[1:], text, separator, parsed.quoting)


def dialect_note(sheet: Sheet, usual_separator: str, given: Given) -> str | None:
    """Describe an unusual dialect: another separator, no quoting, another encoding."""
    found = []
    if sheet.text.encoding not in ("UTF-8", given.encoding):
        found.append(f"in the encoding {sheet.text.encoding}{_example(sheet.text)}")
    if sheet.separator not in (usual_separator, given.separator):
        found.append(f"with {SEPARATORS.get(sheet.separator, repr(sheet.separator))} as separators")
    if sheet.quoting == "none" and not given.quoting:
        found.append("with quotes as part of the text")
    return f"read {', '.join(found)}; corpus.dialect sets it otherwise" if found else None


def _example(text: Decoded) -> str:
    """Show a word by which an assumed encoding can be checked."""
    if text.encoding != WESTERN:
        return ""
    word = re.search(r"\w*[^\W\x00-\x7f]\w*|[^\x00-\x7f]", text.text)
    return f" (row {row_at(text.text, word.start())}: {word[0]!r})" if word else ""


@dataclass(frozen=True)
class _Parsed:
    """Rows with any cell, the header first, or the problem that they have."""

    rows: list[list[str]]
    spans: list[tuple[int, int]]
    """First and last line of each row, from 1."""
    quoting: Quoting
    problem: str | None = None


def _find_separator(lines: Sequence[str], usual: str, expected: Collection[str]) -> str:
    """Return the separator with which the header has all expected columns; where none does, or
    none are expected, the one with most cells."""
    headers = {
        separator: _first_row(lines, separator) for separator in dict.fromkeys((usual, *SEPARATORS))
    }
    for separator, header in headers.items():
        if expected and set(expected) <= set(header):
            return separator
    return max(headers, key=lambda separator: len(headers[separator]))


def _first_row(lines: Sequence[str], separator: str) -> list[str]:
    with _LongCells():
        try:
            rows = csv.reader(lines, delimiter=separator, skipinitialspace=separator != " ")
            return next((_names(row) for row in rows if any(map(str.strip, row))), [])
        except csv.Error:
            return []


def _names(header: Sequence[str]) -> list[str]:
    return [cell.strip().strip("\ufeff").strip() for cell in header]


def _check_header(header: Sequence[str], row: int) -> None:
    places: dict[str, list[int]] = {}
    for place, name in enumerate(header, start=1):
        if name:
            places.setdefault(name, []).append(place)
    twice = {name: found for name, found in places.items() if len(found) > 1}
    if twice:
        shown = "; ".join(f"{name}: {', '.join(map(str, at))}" for name, at in twice.items())
        raise DialectError(
            f"columns with the same name in row {row} ({shown}): give each a name of its own"
        )


def _parse(lines: Sequence[str], separator: str, quoting: Quoting | None) -> _Parsed:
    """Read the rows with the quoting that makes them complete.

    Raises:
        DialectError: neither does.
    """
    if quoting == "none":
        return _complete(_plain_rows(lines, separator))
    quoted = _quoted_rows(lines, separator)
    if quoting == "csv" or not any('"' in line for line in lines):
        return _complete(quoted)
    quoted = _unless_swallowed(quoted, lines, separator)
    if not quoted.problem:
        return quoted
    plain = _plain_rows(lines, separator)
    header = _first_row(lines, separator)
    is_plain = not plain.problem and plain.rows[0] == header[: len(plain.rows[0])]
    if is_plain and not _encloses_cells(plain.rows[1:]):
        return plain
    spaced = _quoted_rows(lines, separator, after_blanks=separator != " ")
    spaced = _unless_swallowed(spaced, lines, separator)
    return _complete(quoted if spaced.problem else spaced)


def _complete(parsed: _Parsed) -> _Parsed:
    if parsed.problem:
        raise DialectError(f"{parsed.problem}; {_ADVICE}")
    return parsed


class _LongCells:
    """Lift the limit of Python's csv on the length of cells, and set it again."""

    def __enter__(self) -> None:
        self._limit = csv.field_size_limit(sys.maxsize)

    def __exit__(self, *_: object) -> None:
        csv.field_size_limit(self._limit)


def _quoted_rows(lines: Sequence[str], separator: str, after_blanks: bool = False) -> _Parsed:
    """Read rows in which quotes enclose cells."""
    reader = csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=after_blanks)
    rows: list[list[str]] = []
    spans: list[tuple[int, int]] = []
    last = 0
    problem = None
    with _LongCells():
        try:
            for row in reader:
                rows.append(row)
                spans.append((last + 1, reader.line_num))
                last = reader.line_num
        except csv.Error as error:
            problem = f"row {last + 1}: {error}: a cell that begins with a quote must end with one"
    return _Parsed([], [], "csv", problem) if problem else _checked(rows, spans, "csv")


def _plain_rows(lines: Sequence[str], separator: str) -> _Parsed:
    """Read rows in which quotes are ordinary characters."""
    rows = [line.rstrip("\r\n").split(separator) for line in lines]
    return _checked(rows, [(number, number) for number in range(1, len(rows) + 1)], "none")


def _checked(
    rows: Sequence[list[str]], spans: Sequence[tuple[int, int]], quoting: Quoting
) -> _Parsed:
    """Drop rows without any cell, and blank cells at the ends of rows; find incomplete rows."""
    kept = [
        (row, span)
        for row, span in zip(rows, spans, strict=True)
        if any(cell and not cell.isspace() for cell in row)
    ]
    if not kept:
        return _Parsed([], [], quoting, "no cell holds anything")
    full = _names(kept[0][0])
    # Columns without a name at the right, which spreadsheets leave, may be missing in rows.
    width = max((place for place, name in enumerate(full, start=1) if name), default=0)
    fitting, ragged = [full[:width]], []
    for row, (number, _) in kept[1:]:
        if len(row) != width and (len(row) < width or any(map(str.strip, row[len(full) :]))):
            ragged.append((number, len(row)))
        fitting.append(row[:width])
    problem = _ragged(ragged, len(full)) if ragged else None
    return _Parsed(fitting, [span for _, span in kept], quoting, problem)


def _ragged(rows: Sequence[tuple[int, int]], width: int) -> str:
    """Describe rows by their numbers and numbers of cells."""
    cells = [f"row {number} has {count} cell{'' if count == 1 else 's'}" for number, count in rows]
    if len(cells) == 1:
        return f"{cells[0]}, the header {width}"
    more = f" and {len(cells) - _SHOWN} more rows differ" if len(cells) > _SHOWN else ""
    return f"the header has {width} cells, but {', '.join(cells[:_SHOWN])}{more}"


def _encloses_cells(rows: Sequence[Sequence[str]]) -> bool:
    """Whether quotes evidently enclose cells: half of a column, or a cell with doubled quotes."""
    for column in zip(*rows, strict=True):
        enclosed = [cell[1:-1] for cell in column if len(cell) > 1 and cell[0] == cell[-1] == '"']
        enclosed = [cell for cell in enclosed if '"' not in cell.replace('""', "")]
        if 2 * len(enclosed) >= len(column) or any('""' in cell for cell in enclosed):
            return True
    return False


def _unless_swallowed(parsed: _Parsed, lines: Sequence[str], separator: str) -> _Parsed:
    """Find a row of several lines, each of which is a row in itself: a lone quote joined them."""
    if parsed.problem:
        return parsed
    first, _ = parsed.spans[0]
    header = lines[first - 1]

    def is_row(line: str) -> bool:
        punctuation = f"{separator} " if separator in ",;" and f"{separator} " not in header else ""
        is_prose = bool(punctuation) and punctuation in line
        return line.count(separator) == header.count(separator) and not is_prose

    for begin, end in parsed.spans:
        within = [line for line in lines[begin - 1 : end] if line.strip()]
        if len(within) > 1 and all(map(is_row, within)):
            problem = (
                f"rows {begin} to {end} are read as one, since a quote that begins in row {begin} "
                f"ends in row {end}: double or remove it"
            )
            return replace(parsed, problem=problem)
    return parsed
