"""Targets of control tasks: values that activations cannot predict."""

import hashlib

import numpy as np

from jobs.arrays import FloatArray
from jobs.protocol.cells import Cell
from jobs.protocol.folds import Fold, StrArray


def control_target(values: FloatArray, fold: Fold, cell: Cell, speakers: StrArray) -> FloatArray:
    """(U,) target that ``cell`` is fitted to and scored on, NaN where ``values`` (U,) are.

    For the control ``shuffled``, ``values`` are permuted within each split of ``fold`` by a
    generator seeded from (seed, target, fold) alone, so that every layer and model, and every probe
    with the same seed, gets the same permutation. For the control ``speaker``, all utterances of a
    speaker have one value, that of a random utterance of any speaker, drawn with (seed, target,
    speaker): where no speaker is both trained and tested on, it is unpredictable.
    """
    if cell.control == "none":
        return values
    if cell.control == "speaker":
        known = np.sort(values[np.isfinite(values)])
        drawn = {
            name: known[_generator(cell.seed, cell.target, name).integers(len(known))]
            for name in np.unique(speakers)
        }
        of_speaker = np.array([drawn[name] for name in speakers], dtype=np.float64)
        return np.where(np.isfinite(values), of_speaker, np.nan)
    if cell.control != "shuffled":
        raise ValueError(
            f"unknown control {cell.control!r}: expected 'none', 'shuffled' or 'speaker'"
        )
    generator = _generator(cell.seed, cell.target, cell.fold)
    shuffled = values.copy()
    for rows in (fold.train, fold.validation, fold.test):
        shuffled[rows] = values[generator.permutation(rows)]
    return shuffled


def _generator(*of: object) -> np.random.Generator:
    digest = hashlib.sha256("/".join(map(str, of)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))
