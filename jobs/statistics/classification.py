"""Scores of predicted classes: functions of the counts of true, predicted and correct classes.

Macro scores are means over the classes that occur in the *test* split: if leaving out a speaker
removes a class, they are means over the remaining classes. A class that is predicted but never
occurs counts only through the recall of the true classes.

Legend: U utterances, S speakers, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jobs.arrays import FloatArray

COUNTS = ("hits", "occurs", "predicted")
"""Rows of ``ClassSums.values``, by class: correctly predicted, occurring, predicted at all."""


def accuracy_of(counts: FloatArray) -> FloatArray:
    """(...) Σ hits / U of counts (..., 3, C); NaN where nothing was tested."""
    hits, occurs, _ = np.moveaxis(counts, -2, 0)
    with np.errstate(invalid="ignore"):
        return np.asarray(hits.sum(axis=-1) / occurs.sum(axis=-1))


def balanced_accuracy_of(counts: FloatArray) -> FloatArray:
    """(...) mean recall, hits / occurrences, over the classes that occur, of counts (..., 3, C)."""
    hits, occurs, _ = np.moveaxis(counts, -2, 0)
    recall = np.divide(hits, occurs, out=np.zeros_like(hits), where=occurs > 0)
    return _mean_over_classes(recall, occurs)


def macro_f1_of(counts: FloatArray) -> FloatArray:
    """(...) mean F1 = 2 hits / (occurrences + predictions) over the classes that occur, of counts
    (..., 3, C)."""
    hits, occurs, predicted = np.moveaxis(counts, -2, 0)
    f1 = np.divide(2 * hits, occurs + predicted, out=np.zeros_like(hits), where=occurs > 0)
    return _mean_over_classes(f1, occurs)


def _mean_over_classes(values: FloatArray, occurs: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore"):
        return np.asarray(values.sum(axis=-1) / (occurs > 0).sum(axis=-1))


def majority_class(y: FloatArray) -> float:
    """Return the most frequent of the codes ``y`` (U,); the smallest if tied."""
    codes, counts = np.unique(y, return_counts=True)
    return float(codes[counts.argmax()])


def counts_of_constant(counts: FloatArray) -> FloatArray:
    """(3, C) counts of always predicting the class that occurs most in ``counts`` (3, C)."""
    occurs = counts[COUNTS.index("occurs")]
    is_largest = np.arange(len(occurs)) == occurs.argmax()
    predicted = np.where(is_largest, occurs.sum(), 0.0)
    return np.stack([np.where(is_largest, occurs, 0.0), occurs, predicted])


@dataclass(frozen=True)
class ClassSums:
    """Counts over the utterances of each speaker of one test split."""

    speakers: tuple[str, ...]
    classes: tuple[float, ...]
    """Codes that occur or are predicted, ascending."""
    values: FloatArray
    """(S, 3, C) utterances, rows ``COUNTS``."""


def class_sums(y: FloatArray, y_pred: FloatArray, speakers: npt.NDArray[np.str_]) -> ClassSums:
    """Count the utterances of each speaker of one test split.

    Args:
        y: (U,) codes of the true classes.
        y_pred: (U,) codes of the predicted classes.
        speakers: (U,)
    """
    names, of_row = np.unique(speakers, return_inverse=True)
    classes, codes = np.unique(np.concatenate([y, y_pred]), return_inverse=True)
    true, predicted = codes[: len(y)], codes[len(y) :]
    shape = (len(names), len(classes))

    def counted(rows: npt.NDArray[np.bool_], codes: npt.NDArray[np.intp]) -> FloatArray:
        cells = of_row[rows] * shape[1] + codes[rows]
        return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)

    every = np.ones(len(y), dtype=bool)
    values = np.stack(
        [counted(true == predicted, true), counted(every, true), counted(every, predicted)], axis=1
    )
    return ClassSums(tuple(map(str, names)), tuple(map(float, classes)), values)


def pool(folds: Sequence[ClassSums]) -> ClassSums:
    """Add up the counts of all ``folds`` of one seed."""
    speakers = tuple(sorted({name for sums in folds for name in sums.speakers}))
    classes = tuple(sorted({code for sums in folds for code in sums.classes}))
    row, column = ({key: i for i, key in enumerate(keys)} for keys in (speakers, classes))
    values = np.zeros((len(speakers), len(COUNTS), len(classes)))
    for sums in folds:
        rows = [row[name] for name in sums.speakers]
        columns = [column[code] for code in sums.classes]
        values[np.ix_(rows, range(len(COUNTS)), columns)] += sums.values
    return ClassSums(speakers, classes, values)
