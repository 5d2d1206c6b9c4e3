"""Targets of control tasks."""

import hashlib

import numpy as np

from jobs.arrays import FloatArray
from jobs.protocol.cells import Cell
from jobs.protocol.folds import Fold, IntArray, StrArray


def control_target(
    values: FloatArray,
    fold: Fold,
    cell: Cell,
    speakers: StrArray,
    types: IntArray | None = None,
) -> FloatArray:
    """(U,) target that ``cell`` is fitted to and scored on, NaN where ``values`` (U,) are.

    For the control ``type``, all utterances of one of the ``types`` (U,) have one value, that of a
    random training utterance, drawn with (seed, target, fold, type), after the control tasks of
    Hewitt & Liang (2019): a probe can score on it only by learning an arbitrary value for every
    type.

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
    if cell.control == "type":
        if types is None:
            raise ValueError(
                "the control type needs the statistics of baseline:fbank, which could not be "
                "extracted"
            )
        return _by_type(values, fold, cell, types)
    if cell.control != "shuffled":
        raise ValueError(
            f"unknown control {cell.control!r}: expected 'none', 'type', 'shuffled' or 'speaker'"
        )
    generator = _generator(cell.seed, cell.target, cell.fold)
    shuffled = values.copy()
    for rows in (fold.train, fold.validation, fold.test):
        shuffled[rows] = values[generator.permutation(rows)]
    return shuffled


def _by_type(values: FloatArray, fold: Fold, cell: Cell, types: IntArray) -> FloatArray:
    known = np.sort(values[fold.train][np.isfinite(values[fold.train])])
    names, of_row = np.unique(types, return_inverse=True)
    drawn = [
        known[_generator(cell.seed, cell.target, cell.fold, name).integers(len(known))]
        for name in names.tolist()
    ]
    return np.where(np.isfinite(values), np.array(drawn)[of_row], np.nan)


def _generator(*of: object) -> np.random.Generator:
    digest = hashlib.sha256("/".join(map(str, of)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))
