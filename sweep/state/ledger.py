"""The ledger: one JSON line per finished cell, appended by the driver alone.

A cell is finished when its line is on the disk. The last line for a cell id is valid. A line left
incomplete by a crash is removed when the ledger is opened; its cell runs again.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple, Self

from pydantic import ConfigDict, TypeAdapter

from jobs.storage.atomic import cut_torn_line


@dataclass(slots=True, kw_only=True)  # frozen ones take four times as long to make
class Record:
    """A finished cell: its place in the grid, its results and its ingredients."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

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


_RECORD = TypeAdapter(Record)
"""Reader and writer of JSON. Records are not pydantic models, as there can be a million."""


def to_line(record: Record) -> bytes:
    """Serialise a record as a line of the file."""
    return _RECORD.dump_json(record) + b"\n"


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
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        torn = cut_torn_line(path)
        self.damaged: list[str] = []
        self.records = finished(stream_records(path, self.damaged.append))
        if torn:
            self.damaged.append(f"last line: {torn} bytes torn by a crash")
        self._file = path.open("ab", buffering=0)

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


def read_records(path: Path) -> tuple[dict[str, Record], list[str]]:
    """Read the records by cell id, and the unreadable lines; another process may be writing."""
    damaged: list[str] = []
    records = {record.cell_id: record for record in stream_records(path, damaged.append)}
    return records, damaged


def stream_records(path: Path, on_damage: Callable[[str], object]) -> Iterator[Record]:
    """Read the records of a file, line by line; ``on_damage`` is called for invalid lines.

    Of several records of a cell, the last is valid. Another process may be writing.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                break  # still being written
            try:
                record = _RECORD.validate_json(line)
            except ValueError as error:
                on_damage(f"line {number}: {str(error).splitlines()[0]}")
            else:
                yield record
