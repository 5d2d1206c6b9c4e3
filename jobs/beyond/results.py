"""The file with the predictions of one layer beside nuisances, see `jobs.probing.fold_arrays`.

A fold of a target has an array for each field of `FoldPredictions`.

Legend: n_test test utterances of a fold, B nuisances.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from jobs.arrays import FloatArray
from jobs.probing.fold_arrays import Arrays, read_fold_arrays, write_fold_arrays
from jobs.protocol.folds import StrArray
from jobs.storage.location import Location
from jobs.storage.regular_files import DamagedFile


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
    arrays = {
        target: [
            {one.name: np.asarray(getattr(fold, one.name)) for one in fields(fold)}
            for fold in folds
        ]
        for target, folds in found.items()
    }
    write_fold_arrays(path, "targets", arrays)


def read_beyond(path: Path) -> dict[str, list[FoldPredictions]]:
    """Read the file of ``write_beyond``, by target.

    Raises:
        FileNotFoundError: the file does not exist.
        BeyondError: the file is damaged, or of another kind.
    """
    try:
        found = read_fold_arrays(path, "targets")
        return {target: [_fold(arrays) for arrays in folds] for target, folds in found.items()}
    except (DamagedFile, KeyError, ValueError, TypeError) as error:
        raise BeyondError(
            f"{path} is not a readable file of gains over nuisances ({type(error).__name__}: "
            f"{error}): delete it and run again"
        ) from error


def _fold(arrays: Arrays) -> FoldPredictions:
    return FoldPredictions(
        n_train=int(arrays["n_train"]),
        train_mean=float(arrays["train_mean"]),
        utterance_id=arrays["utterance_id"],
        y_true=arrays["y_true"],
        nuisances=arrays["nuisances"],
        both=arrays["both"],
        alphas_nuisances=arrays["alphas_nuisances"],
        alphas_both=arrays["alphas_both"],
    )
