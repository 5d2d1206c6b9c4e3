"""The file of what one layer adds to nuisances.

It is an ``.npz`` without pickles: ``targets`` names the targets; for the target at position p and
the fold f, the names of the arrays, one for each field of `FoldPredictions`, begin with ``p/f/``.

Legend: n_test test utterances of a fold, B nuisances.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs.arrays import FloatArray
from jobs.protocol.folds import StrArray
from jobs.storage.location import Location
from jobs.storage.npz_files import load_npz, save_npz
from jobs.storage.object_store import atomic_path
from jobs.storage.regular_files import DamagedFile, read_regular


class BeyondError(ValueError):
    """A file of this analysis that cannot be read."""


@dataclass(frozen=True)
class FoldPredictions:
    """Predictions of one target for the test split of a fold, without and with the layer."""

    n_train: int
    train_mean: float
    """Mean of the target over the training split; for classes the most frequent code."""
    utterance_id: StrArray
    """(n_test,)"""
    y_true: FloatArray
    """(n_test,) values, or codes of classes."""
    nuisances: FloatArray
    """(n_test,) predictions from the nuisances."""
    both: FloatArray
    """(n_test,) predictions from the nuisances and the layer."""
    alphas_nuisances: FloatArray
    """(B,) chosen penalties of the nuisances."""
    alphas_both: FloatArray
    """(B + 1,) chosen penalties of the nuisances and the layer."""


def write_beyond(path: Location, found: Mapping[str, Sequence[FoldPredictions]]) -> None:
    """Write the predictions of every target and fold, atomically."""
    arrays: dict[str, npt.NDArray[Any]] = {"targets": np.array(list(found), dtype=np.str_)}
    for position, folds in enumerate(found.values()):
        for number, fold in enumerate(folds):
            for one in fields(fold):
                arrays[f"{position}/{number}/{one.name}"] = np.asarray(getattr(fold, one.name))
    with atomic_path(path) as temporary:
        save_npz(temporary, arrays)


def read_beyond(path: Path) -> dict[str, list[FoldPredictions]]:
    """Read the file of ``write_beyond``, by target.

    Raises:
        FileNotFoundError: there is no such file.
        BeyondError: the file is damaged, or of another kind.
    """
    try:
        arrays, _ = load_npz(read_regular(path))
        return {
            str(target): [
                _fold(arrays, f"{position}/{number}") for number in range(_folds(arrays, position))
            ]
            for position, target in enumerate(arrays["targets"])
        }
    except (DamagedFile, KeyError, ValueError, TypeError) as error:
        raise BeyondError(
            f"{path} is not a readable file of what a layer adds ({type(error).__name__}: {error}):"
            " delete it and run again"
        ) from error


def _folds(file: Mapping[str, npt.NDArray[Any]], position: int) -> int:
    return sum(name.startswith(f"{position}/") and name.endswith("/n_train") for name in file)


def _fold(file: Mapping[str, npt.NDArray[Any]], start: str) -> FoldPredictions:
    return FoldPredictions(
        n_train=int(file[f"{start}/n_train"]),
        train_mean=float(file[f"{start}/train_mean"]),
        utterance_id=file[f"{start}/utterance_id"],
        y_true=file[f"{start}/y_true"],
        nuisances=file[f"{start}/nuisances"],
        both=file[f"{start}/both"],
        alphas_nuisances=file[f"{start}/alphas_nuisances"],
        alphas_both=file[f"{start}/alphas_both"],
    )
