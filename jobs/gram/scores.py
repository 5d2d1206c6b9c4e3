"""Scores of a test split from its sums alone, without predictions of single utterances.

With ``protocol: kfold`` every utterance is in some fold's training split, so under ``store: gram``
none has stored activations. The sums give the number of rows and the sums of squares and products
of predictions and labels, from which mse, rmse, R² and Pearson's correlation follow exactly. Scores
that need single predictions are None: mae, spearman, within_speaker. Scores that depend only on the
labels are computed from them.

Legend: n tested rows, D width of the layer.
"""

import numpy as np

from jobs.arrays import FloatArray
from jobs.gram.moments import Moments
from jobs.probes.result import Weights
from jobs.protocol.folds import StrArray
from jobs.statistics.regression import CONSTANT, no_skill, pearson
from jobs.statistics.scores import regression_scores
from jobs.statistics.speaker_mean import N_SPEAKERS, SPEAKER_MEAN_SCORES, speaker_mean


def score_by_sums(
    tested: Moments, column: int, weights: Weights, y: FloatArray, train_mean: float
) -> dict[str, float | None]:
    """Compute the scores of `jobs.statistics.scoring.score_numbers` that sums determine.

    Args:
        tested: moments of the test split, n rows.
        column: index of the labels that the linear probe is scored on.
        weights: ``weight`` (D,) and ``bias`` (1,) of the probe, for unstandardised activations.
        y: (n,) labels.
        train_mean: mean of the labels over the training split.
    """
    mse = mse_by_sums(tested, column, weights)
    weight, bias = weights["weight"][:, None], weights["bias"]
    known = no_skill(y, train_mean)
    known_from_sums = {
        "mse": mse,
        "rmse": mse**0.5,
        "r2": None if known.constant else 1 - mse / known.mse,
        "pearson": _pearson(tested, column, weight, float(bias[0]), y),
        "mean_mse": known.mse,
        "mean_mae": known.mae,
    }
    return {row.name: None for row in regression_scores()} | known_from_sums


def mse_by_sums(rows: Moments, column: int, weights: Weights) -> float:
    """Mean squared error of a linear probe on ``rows``, with arguments as ``score_by_sums``."""
    (sse,) = rows.squared_errors(column, weights["weight"][:, None], weights["bias"])
    return max(float(sse), 0.0) / rows.n


def speaker_scores(
    y: FloatArray, speakers: StrArray, train_mean: float, n_speakers: int
) -> dict[str, float | None]:
    """Compute ``SPEAKER_MEAN_SCORES`` and ``N_SPEAKERS``, which otherwise come from predictions.

    Args:
        y: (n,) labels of the test split.
        speakers: (n,) speaker of every row.
        train_mean: mean of the labels over the training split.
        n_speakers: number of speakers in the test splits of all folds.
    """
    predicted = speaker_mean(y, speakers, train_mean)
    values = (
        float(np.mean((predicted - y) ** 2)),
        float(np.mean(np.abs(predicted - y))),
        pearson(y, predicted),
    )
    return {**dict(zip(SPEAKER_MEAN_SCORES, values, strict=True)), N_SPEAKERS: float(n_speakers)}


def _pearson(
    tested: Moments, column: int, weight: FloatArray, bias: float, y: FloatArray
) -> float | None:
    """Compute Pearson's correlation; None if labels or predictions are constant.

    Constancy is defined as in `jobs.statistics.regression`, except that the SD of the predictions
    is compared with their root mean square, since their maximum is not known.
    """
    spread, shared = (float(value[0]) for value in tested.products(column, weight))
    deviation = (max(spread, 0.0) / tested.n) ** 0.5
    mean = float(tested.mean @ weight[:, 0]) + bias
    y_deviation = (float(tested.yy[column]) / tested.n) ** 0.5
    if deviation <= CONSTANT * (mean**2 + deviation**2) ** 0.5:
        return None
    if y_deviation <= CONSTANT * float(np.abs(y).max()):
        return None
    return float(np.clip(shared / tested.n / (deviation * y_deviation), -1, 1))
