"""Scores of one test split, for a row of ``metrics.csv``."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from jobs.arrays import FloatArray
from jobs.statistics.classification import class_sums
from jobs.statistics.regression import HeldOut
from jobs.statistics.scores import class_scores, regression_scores


def score_numbers(
    y: FloatArray, y_pred: FloatArray, train_mean: float, speakers: npt.NDArray[np.str_]
) -> dict[str, float | None]:
    """Compute all scores of predicted numbers.

    Args:
        y: (U,) true values, in the target's unit.
        y_pred: (U,) predictions, in the target's unit.
        train_mean: mean of the target over the training split.
        speakers: (U,)

    Returns:
        Every `RegressionScore` of `jobs.statistics.scores.SCORES` and its reference; None where it
        is not defined.
    """
    test = HeldOut(y, y_pred, train_mean, speakers)
    mean = replace(test, y_pred=np.full_like(y, train_mean))
    rows = list(regression_scores())
    scores = {row.name: row.of_test(test) for row in rows}
    return scores | {row.reference: row.of_test(mean) for row in rows if row.reference}


def score_classes(y: FloatArray, y_pred: FloatArray, majority: float) -> dict[str, float | None]:
    """Compute all scores of predicted classes.

    Args:
        y: (U,) codes of the true classes, U ≥ 1.
        y_pred: (U,) codes of the predicted classes.
        majority: code of the training split's most frequent class, see
            `jobs.statistics.classification.majority_class`.

    Returns:
        Every `ClassScore` of `jobs.statistics.scores.SCORES` and its reference.
    """
    nobody = np.zeros(len(y), dtype=np.str_)
    counts, of_majority = (
        class_sums(y, predicted, nobody).values.sum(axis=0)
        for predicted in (y_pred, np.full_like(y, majority))
    )
    rows = list(class_scores())
    scores: dict[str, float | None] = {row.name: float(row.of_counts(counts)) for row in rows}
    return scores | {
        row.reference: float(row.of_counts(of_majority)) for row in rows if row.reference
    }
