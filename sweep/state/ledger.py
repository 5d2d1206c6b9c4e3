"""The ledger: one JSON line per finished cell, appended by the driver alone.

A cell is finished when its line is on the disk. The last line for a cell id is valid. A line left
incomplete by a crash is removed when the ledger is opened; its cell runs again. Every line has a
checksum in its last key, ``sum``, see `jobs.storage.json_files`; lines that were written before
there were checksums are accepted. Damaged lines are moved to a file beside it when it is opened.
"""

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, ClassVar, Literal, NamedTuple, Self

from pydantic import ConfigDict, TypeAdapter

from jobs.storage.atomic import atomic_path, cut_torn_line
from jobs.storage.json_files import SUM, with_sum, without_sum
from jobs.storage.regular_files import DamagedFile, open_regular, open_to_write

MOST_LINE_BYTES = 2**20
"""Longest line; the error of a failed cell is cut to 300 characters."""
DAMAGED_SUFFIX = ".damaged"
"""Ending of the file beside a ledger that its damaged lines are moved to."""


@dataclass(slots=True, kw_only=True)  # frozen ones take four times as long to make
class Record:
    """A finished cell: its place in the grid, its results and its ingredients."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, defer_build=True
    )

    cell_id: str
    status: Literal["done", "failed"]
    error: str | None = None
    """Reason why a failed cell failed."""

    model: str
    layer: str
    layer_index: int
    target: str
    probe: str
    seed: int
    fold: int
    control: str

    n_train: int = 0
    """Utterances."""
    n_test: int = 0
    """Utterances."""
    scores: dict[str, float | None] = field(default_factory=dict)
    details: dict[str, float] = field(default_factory=dict)
    """Details that the probe reports, such as the chosen alpha or the number of epochs."""
    seconds: float = 0.0
    predictions: str = ""
    """File name below the run's ``predictions/``."""
    made_from: dict[str, str] = field(default_factory=dict)
    """Ids of the ingredients (activations, labels, probe, protocol, version)."""
    left_out: str | None = None
    """Id of the utterances that extraction skipped, see `jobs.probing.results.left_out_id`; empty:
    none; None: from before this was recorded."""

    @property
    def place(self) -> tuple[str, ...]:
        """Return the place of the cell in the grid, independent of its ingredients."""
        return (
            self.model, self.layer, self.target, self.probe,
            str(self.seed), str(self.fold), self.control,
        )  # fmt: skip


_APPEND = os.O_WRONLY | os.O_APPEND
_RECORD = TypeAdapter(Record)
"""Reader and writer of JSON. Records are not pydantic models, as there can be a million."""


def to_line(record: Record) -> bytes:
    """Serialise a record as a line of the file."""
    return with_sum(_RECORD.dump_json(record)) + b"\n"


class Finished(NamedTuple):
    """Summary of a finished cell for the driver, which holds up to a million."""

    status: Literal["done", "failed"]
    probe: str
    control: str
    predictions: str
    left_out: str | None = None


def finished(records: Iterable[Record]) -> dict[str, Finished]:
    """Summarise the last of ``records`` of every cell id."""
    found: dict[str, Finished] = {}
    alike: dict[Finished, Finished] = {}
    for record in records:
        short = Finished(
            record.status, record.probe, record.control, record.predictions, record.left_out
        )
        found[record.cell_id] = alike.setdefault(short, short)  # a layer's cells share a few
    return found


class Ledger:
    """The records of one run on disk, with summaries in memory; open it in the driver only.

    Attributes:
        records: summary of the last record of every cell id, in order of first appearance.
        damaged: lines that could not be read when the ledger was opened, for the user to know.
        n_unchecked: number of records that were written before there were checksums.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.fdopen(open_to_write(path, _APPEND), "ab", buffering=0)
        try:
            torn = cut_torn_line(path)
            read = LedgerLines(path)
            self.records = finished(read)
            if read.damaged:
                self._file.close()
                _move_damaged(path, read.damaged_numbers)
                self._file = os.fdopen(open_to_write(path, _APPEND), "ab", buffering=0)
        except BaseException:
            self._file.close()
            raise
        self.damaged, self.n_unchecked = read.damaged, read.n_unchecked
        if torn:
            self.damaged.append(f"last line: {torn} bytes torn by a crash")

    def append(self, records: Iterable[Record]) -> None:
        """Write ``records`` and return when they are on the disk.

        Raises:
            OSError: the disk is full or broken; the ledger is as it was before the call.
        """
        records = list(records)
        before = os.fstat(self._file.fileno()).st_size
        data = b"".join(map(to_line, records))
        try:
            while data:  # a nearly full disk writes only a part
                data = data[self._file.write(data) :]
            os.fsync(self._file.fileno())
        except OSError:
            os.ftruncate(self._file.fileno(), before)
            raise
        self.records |= finished(records)

    def close(self) -> None:
        """Close the file; the records can still be read."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class LedgerLines:
    """Reads the records of a file, line by line; a missing file has none.

    Of several records of a cell, the last is valid. Another process may be writing.

    Attributes:
        damaged: descriptions of the invalid lines so far.
        damaged_numbers: their numbers, from 1.
        n_unchecked: number of records so far that were written before there were checksums.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.damaged: list[str] = []
        self.damaged_numbers: set[int] = set()
        self.n_unchecked = 0

    def __iter__(self) -> Iterator[Record]:
        for record, _ in self.checked():
            yield record

    def checked(self) -> Iterator[tuple[Record, bool]]:
        """Iterate over the records, each with whether its line had a checksum."""
        try:
            file = open_regular(self._path)
        except FileNotFoundError:
            return
        with file:
            for number, line in enumerate(_lines(file), start=1):
                if not line.endswith(b"\n"):
                    break  # still being written
                try:
                    record, has_sum = _parse(line)
                except ValueError as error:
                    self.damaged.append(f"line {number}: {str(error).splitlines()[0]}")
                    self.damaged_numbers.add(number)
                else:
                    self.n_unchecked += not has_sum
                    yield record, has_sum


def _parse(line: bytes) -> tuple[Record, bool]:
    """Parse a record; return it, and whether its line had a checksum.

    Raises:
        ValueError: the line is damaged.
    """
    if len(line) > MOST_LINE_BYTES:
        raise DamagedFile("it is too long")
    try:
        data, has_sum = without_sum(line)
        return _RECORD.validate_json(data), has_sum
    except DamagedFile as error:
        wrong = error
    # Another program may have written the same values with other spaces.
    try:
        values = json.loads(line)
    except RecursionError:
        raise wrong from None
    found = values.pop(SUM)
    record = _RECORD.validate_json(json.dumps(values))
    if not to_line(record).endswith(f'"{found}"}}\n'.encode()):
        raise wrong
    return record, True


def read_records(path: Path) -> tuple[dict[str, Record], list[str]]:
    """Read the records by cell id, and the unreadable lines; another process may be writing."""
    lines = LedgerLines(path)
    records = {record.cell_id: record for record in lines}
    return records, lines.damaged


def stream_records(path: Path, on_damage: Callable[[str], object]) -> Iterator[Record]:
    """Read the records of a file, line by line; ``on_damage`` is called for invalid lines."""
    lines = LedgerLines(path)
    yield from lines
    for line in lines.damaged:
        on_damage(line)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Read lines of which no more than ``MOST_LINE_BYTES`` are kept, with their newlines."""
    while line := file.readline(MOST_LINE_BYTES + 1):
        more = line
        while more and not more.endswith(b"\n"):
            more = file.readline(MOST_LINE_BYTES + 1)
        yield line if line.endswith(b"\n") or not more else line + b"\n"


def _move_damaged(path: Path, numbers: Collection[int]) -> None:
    """Move lines to the file beside the ledger, so that they are reported once."""
    beside = path.with_name(path.name + DAMAGED_SUFFIX)
    with (
        open_regular(path) as file,
        atomic_path(path) as kept,
        kept.open("wb") as good,
        os.fdopen(open_to_write(beside, _APPEND), "ab") as bad,
    ):
        for number, line in enumerate(_lines(file), start=1):
            (bad if number in numbers else good).write(line)
