"""Predictions of one layer's cells, in one compressed ``.npz`` without pickles.

Arrays: ``cell_id`` (n,), ``fold`` (n,), ``train_mean`` (n,) and ``rows`` (n,) list the cells;
``utterance_id/<rows>`` (n_test,) names the rows of ``y_true/<cell_id>`` and ``y_pred/<cell_id>``
(n_test,) float32, in the target's unit, or codes of classes: positions among the target's classes,
which the plan lists. Cells of one fold differ in their rows where utterances lack a value of a
target. ``y_true`` of a shuffled control is the shuffled target.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs.protocol.folds import StrArray
from jobs.storage.location import Location
from jobs.storage.npz_files import Arrays, load_npz, save_npz
from jobs.storage.object_store import atomic_path
from jobs.storage.regular_files import DamagedFile, read_regular


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
        save_npz(temporary, arrays)


def read_predictions(path: Path) -> dict[str, CellPredictions]:
    """Read all cells of the file at ``path``, by cell id.

    Raises:
        FileNotFoundError: the file does not exist.
        PredictionsError: the file was not written by ``write_predictions``, or is damaged.
    """
    return read_checked_predictions(path)[0]


def read_checked_predictions(path: Path) -> tuple[dict[str, CellPredictions], bool]:
    """Do as `read_predictions`, and return whether the file had a checksum, too."""
    try:
        arrays, has_sum = load_npz(read_regular(path))
        return _cells_of(arrays), has_sum
    except (DamagedFile, KeyError, ValueError, TypeError) as error:
        raise PredictionsError(
            f"{path} is not a readable file of predictions ({type(error).__name__}: {error}): "
            "delete it and run again, its cells are then computed anew"
        ) from error


def _cells_of(arrays: Arrays) -> dict[str, CellPredictions]:
    rows = arrays["rows"] if "rows" in arrays else arrays["fold"]  # as they were numbered before
    listed = zip(arrays["cell_id"], arrays["fold"], arrays["train_mean"], rows, strict=True)
    names = {int(number): arrays[f"utterance_id/{number}"] for number in np.unique(rows)}
    cells = {
        str(cell_id): CellPredictions(
            fold=int(fold),
            train_mean=float(train_mean),
            utterance_id=names[int(number)],
            y_true=arrays[f"y_true/{cell_id}"],
            y_pred=arrays[f"y_pred/{cell_id}"],
        )
        for cell_id, fold, train_mean, number in listed
    }
    for cell_id, cell in cells.items():
        shapes = {cell.utterance_id.shape, cell.y_true.shape, cell.y_pred.shape}
        kinds = (cell.utterance_id.dtype.kind, cell.y_true.dtype.kind, cell.y_pred.dtype.kind)
        known = kinds == ("U", "f", "f") or not cell.y_true.size
        if len(shapes) != 1 or cell.y_true.ndim != 1 or not known:
            raise ValueError(f"cell {cell_id} has not one true and one predicted number per name")
    return cells
