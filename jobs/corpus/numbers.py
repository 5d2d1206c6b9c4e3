"""Numbers in text: an explicit pattern, and the notations that resemble it.

Python's ``float`` also accepts underscores and the digits of every script, so that a session called
``1_02`` would become 102.
"""

import math
import re
import unicodedata
from collections.abc import Iterable
from typing import Literal

import pandas as pd

Decimal = Literal[".", ","]

MISSING = ("", "na", "n/a", "nan", "null", "none")
"""Contents of cells, in lower case, that stand for a missing value."""

_EXPONENT = r"(?:[eE][+-]?[0-9]+)?"
_WORDS = r"[+-]?(?:inf|infinity|nan)"
_FLAGS = re.IGNORECASE | re.ASCII
_PATTERNS: dict[Decimal, re.Pattern[str]] = {
    ".": re.compile(rf"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+){_EXPONENT}|{_WORDS}", _FLAGS),
    ",": re.compile(rf"[+-]?(?:[0-9]+,?[0-9]*|,[0-9]+){_EXPONENT}|{_WORDS}", _FLAGS),
}
_AMBIGUOUS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
"""Either a decimal comma or a thousands separator."""
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:[,._'’\s][0-9]{3})+(?:[.,][0-9]+)?")
"""Thousands separators."""


def number(cell: str, decimal: Decimal = ".") -> float:
    """Convert a cell to a number, NaN if it stands for a missing value.

    Raises:
        ValueError: it is neither a number in digits 0 to 9 nor one of ``MISSING``.
    """
    cell = cell.strip()
    if cell.lower() in MISSING:
        return math.nan
    if not _PATTERNS[decimal].fullmatch(cell):
        raise ValueError(f"expected a number, found {cell!r}")
    return float(cell.replace(",", "."))


def is_number(cell: str) -> bool:
    """Return whether a cell is a number with a decimal point, or stands for a missing value."""
    cell = cell.strip()
    return cell.lower() in MISSING or _PATTERNS["."].fullmatch(cell) is not None


def as_numbers(cells: pd.Series, decimal: Decimal = ".") -> pd.Series:
    """Convert ``cells`` (U,) to float, NaN if empty; return them unchanged if any is text."""
    try:
        return cells.map(lambda cell: number(cell, decimal)).astype(float)
    except ValueError:
        return cells


def decimal_mark(cells: Iterable[str]) -> Decimal | None:
    """Return the decimal mark of a column of numbers.

    None if some cells are not numbers, if the marks differ, or if the commas could as well separate
    thousands.
    """
    values = {cell.strip() for cell in cells}
    values -= {value for value in values if value.lower() in MISSING}
    if all(_PATTERNS["."].fullmatch(value) for value in values):
        return "."
    if all(_PATTERNS[","].fullmatch(value) for value in values):
        commas = [value for value in values if "," in value]
        return None if all(map(_AMBIGUOUS.fullmatch, commas)) else ","
    return None


def other_notation(cell: str) -> str | None:
    """Describe the notation of a number that ``number`` does not read; None for other text."""
    if is_number(cell):
        return None
    cell = cell.strip()
    plain = "".join(map(_plain, cell))
    if _AMBIGUOUS.fullmatch(cell):
        return "a comma that may be a decimal mark or separate thousands"
    if _PATTERNS[","].fullmatch(cell):
        return "a decimal comma"
    if _GROUPED.fullmatch(cell):
        return "thousands separators"
    if cell[-1:] in ("%", "‰") and _resembles_number(cell[:-1].strip()):
        return "a percent sign"
    if plain != cell and _resembles_number(plain):
        return "characters other than the digits 0 to 9 and the signs + and -"
    return None


def _resembles_number(cell: str) -> bool:
    patterns = (*_PATTERNS.values(), _GROUPED)
    return any(pattern.fullmatch(cell) for pattern in patterns)


def _plain(character: str) -> str:
    """Return the ASCII form of a digit of any script, of a full-width sign, or of a minus sign."""
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    return "-" if character == "−" else unicodedata.normalize("NFKC", character)
