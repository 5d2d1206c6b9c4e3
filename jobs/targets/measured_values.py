"""Measured values on disk, a file per measurement that several runs may append to.

A line is JSON: ``[digest of the audio, values]``, null for an undefined value. Checksums of the
lines are in a file beside it, as lines of ``[digest, checksum]``, so that versions that know none
can share the cache. Values without one were written before there were checksums, or by such a
version; they are accepted, and get one.
"""

import json
import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jobs.storage.json_files import byte_sum, parse_json
from jobs.storage.line_files import append_lines, read_whole_lines
from jobs.storage.regular_files import DamagedFile

log = logging.getLogger(__name__)

Values = tuple[float, ...]

SUMS_SUFFIX = ".sums"


class MeasureError(RuntimeError):
    """Measuring cannot continue; the message says what to do."""


class MeasuredValues:
    """The known values of one measurement: audio digest → values.

    Args:
        path: the file. One that belongs to somebody else is read; new values are then not kept.
        n_values: number of values per recording.

    Raises (on construction):
        MeasureError: a line is damaged.
        OSError: the file cannot be read.
    """

    def __init__(self, path: Path, n_values: int) -> None:
        self._path, self._sums_path = path, path.with_name(path.name + SUMS_SUFFIX)
        self._n_values = n_values
        self.values: dict[str, Values] = {}
        try:
            lines, sums = read_whole_lines(path), read_whole_lines(self._sums_path)
        except DamagedFile as error:
            raise MeasureError(str(error)) from None
        known: dict[str, set[str]] = {}
        for digest, found in self._parsed(self._sums_path, sums, _parse_sum):
            known.setdefault(digest, set()).add(found)
        self._take_in(lines, known)
        unchecked = [digest for digest in self.values if digest not in known]
        if unchecked:
            self._add_sums(unchecked)

    def add(self, values: Mapping[str, Values]) -> None:
        """Add values; they are on disk when it returns, unless the file is somebody else's."""
        if not values:
            return
        self.values |= values
        # First the checksums: without its value, a checksum does no harm.
        sums = [[digest, _sum_of(digest, row)] for digest, row in values.items()]
        if append_lines(self._sums_path, map(_line, sums)):
            rows = [[digest, _plain(row)] for digest, row in values.items()]
            append_lines(self._path, map(_line, rows))

    def _take_in(self, data: bytes, known: Mapping[str, set[str]]) -> None:
        def parse(line: bytes) -> tuple[str, Values]:
            digest, values = self._parse_values(line)
            if digest in known and _sum_of(digest, values) not in known[digest]:
                raise DamagedFile("its checksum is wrong")
            return digest, values

        self.values |= dict(self._parsed(self._path, data, parse))

    def _add_sums(self, unchecked: Iterable[str]) -> None:
        """Write checksums of values that have none; it is said this once."""
        sums = [[digest, _sum_of(digest, self.values[digest])] for digest in unchecked]
        log.warning(
            "%s: %d values were written before there were checksums; they are used as they are",
            self._path, len(sums),
        )  # fmt: skip
        if os.access(self._path, os.W_OK):
            append_lines(self._sums_path, map(_line, sums))

    def _parse_values(self, line: bytes) -> tuple[str, Values]:
        match parse_json(line, kind=list):
            case [str(digest), list(values)] if len(values) == self._n_values:
                return digest, tuple(map(_number, values))
        raise DamagedFile(f"not a digest and {self._n_values} values")

    @staticmethod
    def _parsed(path: Path, data: bytes, parse: Any) -> Iterator[tuple[str, Any]]:
        for number, line in enumerate(data.split(b"\n")[:-1], start=1):
            try:
                yield parse(line)
            except DamagedFile as error:
                raise MeasureError(
                    f"{path}:{number} is damaged: expected [digest, values], found "
                    f"{line[:60]!r} ({error}); delete this line or delete the file; what it had "
                    "is measured again"
                ) from None


def _line(values: list[Any]) -> bytes:
    return json.dumps(values, allow_nan=False).encode()


def _parse_sum(line: bytes) -> tuple[str, str]:
    match parse_json(line, kind=list):
        case [str(digest), str(found)]:
            return digest, found
    raise DamagedFile("not a digest and a checksum")


def _number(value: object) -> float:
    """Return a value of a line; NaN if it is undefined.

    Raises:
        DamagedFile: it is not a finite number.
    """
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DamagedFile(f"{str(value)[:60]!r} is not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise DamagedFile("a value is not finite")
    return number


def _plain(row: Values) -> list[float | None]:
    return [None if math.isnan(value) else float(value) for value in row]


def _sum_of(digest: str, row: Values) -> str:
    return byte_sum(json.dumps([digest, _plain(row)]).encode())
