"""The encoding of a text file: bytes → text.

UTF-8 and UTF-16 are certain. Windows-1252, which other programs write in Western Europe and the
Americas, is only assumed where all letters outside ASCII make sense in it; anything else must be
named by the user.
"""

import codecs
import re
from contextlib import suppress
from typing import NamedTuple

_BOMS = (
    (codecs.BOM_UTF8, "UTF-8"),
    (codecs.BOM_UTF32_LE, "UTF-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_OTHER_FILES = (
    (b"PK\x03\x04", "a workbook (.xlsx, .ods) or another zip archive"),
    (b"\xd0\xcf\x11\xe0", "a workbook (.xls)"),
    (b"\x1f\x8b", "compressed (.gz)"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "a database (SQLite)"),
)
WESTERN = "Windows-1252"
_WESTERN_LETTERS = "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜßàáâãäåæçèéêëìíîïñòóôõöøùúûüŒœŠšŽžŸ"
_WESTERN_SIGNS = "€‚„…‘’“”•–—™¡¢£§©«®°±²³´·º»¼½¾¿ª×÷\xa0\xad"
_JOINING = "‘’–—´·\xad"
"""Signs that may stand between two letters of a word."""
_IMPROBABLE = re.compile(
    rf"[^\x00-\x7f{_WESTERN_LETTERS}{_WESTERN_SIGNS}]"
    rf"|[{_WESTERN_LETTERS}]{{3}}"
    rf"|(?<=[a-zA-Z{_WESTERN_LETTERS}])(?![{_JOINING}])[{_WESTERN_SIGNS}]"
    rf"(?=[a-zA-Z{_WESTERN_LETTERS}])"
)
"""Sequences that are rare in Windows-1252 text and common in other encodings decoded as it."""
_NAMED = 5
"""Number of rows that a message names."""


class EncodingError(ValueError):
    """Bytes that cannot be read as text; the message says which, and what to do."""


class Decoded(NamedTuple):
    """The text of a file."""

    text: str
    encoding: str


def decode(data: bytes, encoding: str | None = None) -> Decoded:
    """Decode a file in ``encoding``, by default in the one that is found.

    Raises:
        EncodingError: it is not text, or its encoding is unknown or another.
    """
    for start, kind in _OTHER_FILES:
        if data.startswith(start):
            raise EncodingError(f"it is {kind}, not a text: export it as CSV in UTF-8")
    found = _in_encoding(data, encoding) if encoding else _marked(data) or _unmarked(data)
    if "\0" in found.text:
        row = row_at(found.text, found.text.index("\0"))
        raise EncodingError(
            f"NUL characters, the first in row {row}: the file is damaged, or not a text in "
            f"{found.encoding}"
        )
    return found


def decode_anyway(data: bytes) -> str:
    """Decode UTF-8, or UTF-16 with a byte order mark; U+FFFD stands for what is neither."""
    name = next((name for mark, name in _BOMS if data.startswith(mark)), "UTF-8")
    return data.decode(name, errors="replace").removeprefix("\ufeff")


def row_at(text: str, position: int) -> int:
    """Return the number of the line at ``position``, from 1; lines end with LF, CR or both."""
    before = text[:position]
    return before.count("\n") + before.count("\r") - before.count("\r\n") + 1


def _in_encoding(data: bytes, encoding: str) -> Decoded:
    try:
        return Decoded(data.decode(encoding).removeprefix("\ufeff"), encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, errors="replace")
        raise EncodingError(
            f"it is not {encoding} in row {row_at(before, len(before))}: {error.reason}; correct "
            "corpus.dialect.encoding"
        ) from error


def _marked(data: bytes) -> Decoded | None:
    """Decode a file that begins with a byte order mark, None without one."""
    for mark, name in _BOMS:
        if data.startswith(mark):
            try:
                text = data.decode(name)
            except UnicodeDecodeError as error:
                if name == "UTF-8":
                    return None  # damaged as other texts without a mark may be
                raise EncodingError(
                    f"it is not {name}, as its first bytes say: {error.reason} at byte "
                    f"{error.start}; the file is damaged"
                ) from error
            return Decoded(text.removeprefix("\ufeff"), name)
    return None


def _unmarked(data: bytes) -> Decoded:
    name = _utf_16_without_mark(data)
    if name:
        return _in_encoding(data, name)
    try:
        return Decoded(data.decode("utf-8"), "UTF-8")
    except UnicodeDecodeError:
        return _western(data)


def _utf_16_without_mark(data: bytes) -> str | None:
    """Recognise UTF-16 by the zeros in every second byte of mostly Latin text."""
    sample = data[:4096]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    few, many = len(sample) // 100, len(sample) // 5
    if odd > many and even <= few:
        return "UTF-16LE"
    if even > many and odd <= few:
        return "UTF-16BE"
    return None


def _western(data: bytes) -> Decoded:
    """Decode bytes that are not UTF-8 as Windows-1252, if that is plausible.

    Raises:
        EncodingError: it is not; with the rows of the bytes that are not UTF-8.
    """
    text = data.decode("utf-8", errors="surrogateescape")
    broken = [place for place, letter in enumerate(text) if "\udc80" <= letter <= "\udcff"]
    proper = sum(letter > "\x7f" for letter in text) - len(broken)
    western = None
    if not data.startswith(codecs.BOM_UTF8):
        with suppress(UnicodeDecodeError):
            western = data.decode("cp1252")
    if western is not None and 10 * proper <= len(broken) and not _IMPROBABLE.search(western):
        return Decoded(western, WESTERN)
    rows = list(dict.fromkeys(row_at(text, place) for place in broken[: 100 * _NAMED]))
    shown = ", ".join(map(str, rows[:_NAMED])) + (", …" if len(rows) > _NAMED else "")
    byte = ord(text[broken[0]]) - 0xDC00
    raise EncodingError(
        f"it is not UTF-8 in {'rows' if len(rows) > 1 else 'row'} {shown} (first byte: "
        f"0x{byte:02x}); correct the letters there, or name the encoding of the file in "
        "corpus.dialect.encoding, such as cp1252 or shift_jis"
    )
