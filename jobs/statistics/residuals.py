"""Errors of a probe by speaker and over duration."""

import numpy as np
import pandas as pd

from jobs.arrays import FloatArray

RESIDUAL_COLUMNS = [
    *("model", "target", "probe", "layer", "speaker_id"),
    *("n", "mean_error", "sd_error", "rmse"),
]
"""Columns of ``residuals.csv``."""


def utterance_errors(predictions: pd.DataFrame) -> pd.DataFrame:
    """Make a row per utterance: ``utterance_id``, ``speaker_id``, and ``error``, the prediction
    minus the true value, averaged over seeds.

    Args:
        predictions: a row per utterance and seed with ``utterance_id``, ``speaker_id``, ``y_true``
            and ``y_pred``.
    """
    errors = predictions.assign(
        error=predictions["y_pred"].astype(np.float64) - predictions["y_true"].astype(np.float64)
    )
    by_utterance = errors.groupby("utterance_id", sort=False)
    return by_utterance.agg(
        speaker_id=("speaker_id", "first"), error=("error", "mean")
    ).reset_index()


def speaker_residuals(errors: pd.DataFrame) -> pd.DataFrame:
    """Make a row per speaker of ``utterance_errors``: ``speaker_id``, ``n`` utterances,
    ``mean_error`` (above 0: predicted too high), ``sd_error`` (n − 1 in the denominator; NaN for
    one utterance), ``rmse``; ascending by ``mean_error``."""
    by_speaker = errors.groupby("speaker_id", sort=True)["error"]
    found = by_speaker.agg(n="size", mean_error="mean", sd_error="std").reset_index()
    square = errors.assign(square=errors["error"] ** 2).groupby("speaker_id", sort=True)["square"]
    found["rmse"] = np.sqrt(square.mean().to_numpy())
    return found.sort_values("mean_error", kind="stable", ignore_index=True)


def running_mean(x: FloatArray, y: FloatArray, share: float = 0.2) -> tuple[FloatArray, FloatArray]:
    """Average x and y over windows of a ``share`` of the (n,) points, in order of x: (m,) each;
    empty with fewer than two points."""
    order = np.argsort(x, kind="stable")
    size = max(2, round(share * len(x)))
    if len(x) < size:
        return np.empty(0), np.empty(0)
    sums = (np.concatenate([[0.0], np.cumsum(values[order])]) for values in (x, y))
    means = [(total[size:] - total[:-size]) / size for total in sums]
    return means[0], means[1]
