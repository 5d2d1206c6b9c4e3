"""The ledger: one JSON line per finished cell, appended by the driver alone.

A cell is finished when its line is on the disk. The last line for a cell id counts. A line torn by
a crash is cut off when the ledger is opened; its cell runs again.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from jobs.files import cut_torn_line


class Record(BaseModel):
    """A finished cell: where it stands in the grid, what came out, what it was made from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cell_id: str
    status: Literal["done", "failed"]
    error: str | None = None
    """Why a failed cell failed."""

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
    scores: dict[str, float | None] = {}
    details: dict[str, float] = {}
    """What the probe tells of itself: the alpha it chose, the epochs it ran."""
    seconds: float = 0.0
    predictions: str = ""
    """File name below the run's ``predictions/``."""
    made_from: dict[str, str] = {}
    """Ids of the ingredients (activations, labels, probe, protocol, version)."""

    @property
    def place(self) -> tuple[str, ...]:
        """Where the cell stands in the grid, whatever it was made from."""
        return (
            self.model, self.layer, self.target, self.probe,
            str(self.seed), str(self.fold), self.control,
        )  # fmt: skip


class Ledger:
    """The records of one run, on disk and in memory; open it in the driver only.

    Attributes:
        records: the last record of every cell id, in order of first appearance.
        damaged: lines that could not be read when the ledger was opened, for the user to know.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        torn = cut_torn_line(path)
        self.records, self.damaged = read_records(path)
        if torn:
            self.damaged.append(f"last line: {torn} bytes torn by a crash")
        self._file = path.open("ab")

    def append(self, records: Iterable[Record]) -> None:
        """Write ``records`` and return when they are on the disk.

        Raises:
            OSError: the disk is full or broken; the ledger is as it was before the call.
        """
        records = list(records)
        before = self._file.tell()
        try:
            self._file.write("".join(r.model_dump_json() + "\n" for r in records).encode())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError:
            os.ftruncate(self._file.fileno(), before)
            raise
        self.records.update((record.cell_id, record) for record in records)

    def close(self) -> None:
        """Close the file; the records can still be read."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def read_records(path: Path) -> tuple[dict[str, Record], list[str]]:
    """The records by cell id, and what could not be read; another process may be writing."""
    records: dict[str, Record] = {}
    damaged: list[str] = []
    if not path.exists():
        return records, damaged
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                break  # still being written
            try:
                record = Record.model_validate_json(line)
            except ValueError as error:
                damaged.append(f"line {number}: {str(error).splitlines()[0]}")
            else:
                records[record.cell_id] = record
    return records, damaged
