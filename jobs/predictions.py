"""Predictions of one layer's cells, in one compressed ``.npz`` without pickles.

Arrays: ``cell_id`` (n,), ``fold`` (n,) and ``train_mean`` (n,) list the cells;
``utterance_id/<fold>`` (n_test,) names the rows of ``y_true/<cell_id>`` and ``y_pred/<cell_id>``
(n_test,) float32, in the target's unit. ``y_true`` of a shuffled control is the shuffled target.
"""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs.files import atomic_path
from jobs.protocol import StrArray


class PredictionsError(ValueError):
    """A file of predictions that cannot be read."""


@dataclass(frozen=True)
class CellPredictions:
    """What one cell predicted for the test part of its fold."""

    fold: int
    train_mean: float
    """Mean of the cell's target over its training part, in the target's unit."""
    utterance_id: StrArray
    """(n_test,)"""
    y_true: npt.NDArray[np.float32]
    """(n_test,)"""
    y_pred: npt.NDArray[np.float32]
    """(n_test,)"""


def write_predictions(path: Path, cells: Mapping[str, CellPredictions]) -> None:
    """Write ``cells`` (by cell id), atomically; none at all leave no file."""
    if not cells:
        return
    arrays: dict[str, Any] = {
        "cell_id": np.array(list(cells), dtype=np.str_),
        "fold": np.array([cell.fold for cell in cells.values()], dtype=np.int64),
        "train_mean": np.array([cell.train_mean for cell in cells.values()], dtype=np.float64),
    }
    for cell_id, cell in cells.items():
        arrays[f"utterance_id/{cell.fold}"] = cell.utterance_id
        arrays[f"y_true/{cell_id}"] = cell.y_true
        arrays[f"y_pred/{cell_id}"] = cell.y_pred
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def read_predictions(path: Path) -> dict[str, CellPredictions]:
    """All cells of the file at ``path``, by cell id.

    Raises:
        FileNotFoundError: there is no such file.
        PredictionsError: it is not a file that ``write_predictions`` wrote, or it is damaged.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            cells = zip(file["cell_id"], file["fold"], file["train_mean"], strict=True)
            names = {int(fold): file[f"utterance_id/{fold}"] for fold in np.unique(file["fold"])}
            return {
                str(cell_id): CellPredictions(
                    fold=int(fold),
                    train_mean=float(train_mean),
                    utterance_id=names[int(fold)],
                    y_true=file[f"y_true/{cell_id}"],
                    y_pred=file[f"y_pred/{cell_id}"],
                )
                for cell_id, fold, train_mean in cells
            }
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise PredictionsError(
            f"{path} is not a readable file of predictions ({type(error).__name__}: {error}): "
            "delete it and run again, its cells are then computed anew"
        ) from error
