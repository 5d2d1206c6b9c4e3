"""Predictions of one layer's cells, in one compressed ``.npz`` without pickles.

Arrays: ``cell_id`` (n,), ``fold`` (n,), ``train_mean`` (n,) and ``rows`` (n,) list the cells;
``utterance_id/<rows>`` (n_test,) names the rows of ``y_true/<cell_id>`` and ``y_pred/<cell_id>``
(n_test,) float32, in the target's unit, or codes of classes: positions among the target's classes,
which the plan lists. Cells of one fold differ in their rows where utterances lack a value of a
target. ``y_true`` of a shuffled control is the shuffled target.
"""

import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs.protocol.folds import StrArray
from jobs.storage.location import Location
from jobs.storage.object_store import atomic_path

DAMAGED_NPZ = (
    KeyError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""Errors that numpy and zipfile raise for a damaged ``.npz`` in memory."""


class PredictionsError(ValueError):
    """A file of predictions that cannot be read."""


@dataclass(frozen=True)
class CellPredictions:
    """Predictions of one cell for the test split of its fold."""

    fold: int
    train_mean: float
    """Mean of the cell's target over its training split, in the target's unit; for classes the code
    of the most frequent one there, which is the no-skill prediction."""
    utterance_id: StrArray
    """(n_test,)"""
    y_true: npt.NDArray[np.float32]
    """(n_test,) in the target's unit, or codes of classes."""
    y_pred: npt.NDArray[np.float32]
    """(n_test,)"""


def write_predictions(path: Location, cells: Mapping[str, CellPredictions]) -> None:
    """Write ``cells`` (by cell id) atomically; without any, no file is written."""
    if not cells:
        return
    arrays: dict[str, Any] = {
        "cell_id": np.array(list(cells), dtype=np.str_),
        "fold": np.array([cell.fold for cell in cells.values()], dtype=np.int64),
        "train_mean": np.array([cell.train_mean for cell in cells.values()], dtype=np.float64),
    }
    rows: dict[tuple[str, ...], int] = {}
    numbers = []
    for cell_id, cell in cells.items():
        numbers.append(rows.setdefault(tuple(cell.utterance_id.tolist()), len(rows)))
        arrays[f"utterance_id/{numbers[-1]}"] = cell.utterance_id
        arrays[f"y_true/{cell_id}"] = cell.y_true
        arrays[f"y_pred/{cell_id}"] = cell.y_pred
    arrays["rows"] = np.array(numbers, dtype=np.int64)
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def read_predictions(path: Path) -> dict[str, CellPredictions]:
    """Read all cells of the file at ``path``, by cell id.

    Raises:
        FileNotFoundError: there is no such file.
        PredictionsError: the file was not written by ``write_predictions``, or is damaged.
    """
    try:
        # Read from memory, so that an OSError always means failing storage, not a damaged file.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            rows = file["rows"] if "rows" in file else file["fold"]  # as they were numbered before
            cells = zip(file["cell_id"], file["fold"], file["train_mean"], rows, strict=True)
            names = {int(number): file[f"utterance_id/{number}"] for number in np.unique(rows)}
            return {
                str(cell_id): CellPredictions(
                    fold=int(fold),
                    train_mean=float(train_mean),
                    utterance_id=names[int(number)],
                    y_true=file[f"y_true/{cell_id}"],
                    y_pred=file[f"y_pred/{cell_id}"],
                )
                for cell_id, fold, train_mean, number in cells
            }
    except DAMAGED_NPZ as error:
        raise PredictionsError(
            f"{path} is not a readable file of predictions ({type(error).__name__}: {error}): "
            "delete it and run again, its cells are then computed anew"
        ) from error
