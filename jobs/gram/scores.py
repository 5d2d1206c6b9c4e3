"""Scores of a tested part of which nothing but sums is known: no prediction of an utterance.

With ``protocol: kfold`` every utterance is trained on in some fold, and so none has activations
under ``store: gram``. The sums of a part tell how many rows it has, and the sums of squares and of
products of predictions and labels: mse, rmse, R² and Pearson's correlation, as exactly as the
predictions would. What needs the predictions one by one is None: mae, spearman, within_speaker.
What needs the labels alone, which are known, is made of them.

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
    """``jobs.statistics.scoring.score_numbers`` of a linear probe, as far as sums can tell.

    Args:
        tested: sums of the part, of n rows.
        column: of its labels, those that the probe is scored on.
        weights: of the probe: ``weight`` (D,) and ``bias`` (1,), in the activations' own units.
        y: (n,) the labels themselves.
        train_mean: mean of the labels over the training part.
    """
    weight, bias = weights["weight"][:, None], weights["bias"]
    (sse,) = tested.squared_errors(column, weight, bias)
    mse = max(float(sse), 0.0) / tested.n
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


def speaker_scores(
    y: FloatArray, speakers: StrArray, train_mean: float, n_speakers: int
) -> dict[str, float | None]:
    """``SPEAKER_MEAN_SCORES`` and ``N_SPEAKERS``, for the tables: they have no predictions to make
    them of.

    Args:
        y: (n,) labels of the tested part.
        speakers: (n,) of every row.
        train_mean: mean of the labels over the training part.
        n_speakers: that all folds test.
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
    """None where labels or predictions are constant, as in ``jobs.statistics.regression``.

    The size that the spread of predictions is compared with is their root mean square, since the
    largest of them is not known.
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
