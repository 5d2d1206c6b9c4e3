"""Speaker mean: a baseline that predicts from other test utterances of the same speaker.

It is not a usable probe, since it needs the targets of the test split. It bounds what a layer can
gain from speaker identity alone.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from jobs.arrays import FloatArray
from jobs.statistics.regression import SUMS, pearson, speaker_sums

Fold = tuple[FloatArray, npt.NDArray[np.str_], float]
"""Values (n,) of a test split, their speakers (n,), and the training mean or the code of the
training split's most frequent class."""

SPEAKER_MEAN_PREFIX = "speaker_mean_"

SPEAKER_MEAN_COLUMNS = [
    f"{SPEAKER_MEAN_PREFIX}{score}" for score in ("r2", "mse", "mae", "pearson", "accuracy")
]
"""Columns of ``layers.csv``, one per score that the speaker mean has."""


def speaker_mean_scores(folds: Sequence[Fold], of_classes: bool) -> dict[str, float]:
    """Compute those of ``SPEAKER_MEAN_COLUMNS`` that apply to the kind of target, pooled over
    ``folds`` as the scores of probes are: errors by sums, correlations averaged with weight n."""
    if of_classes:
        hits = [speaker_majority(*fold) == fold[0] for fold in folds]
        return {"speaker_mean_accuracy": float(np.mean(np.concatenate(hits)))}
    total = np.zeros(len(SUMS))
    correlations = []
    for y, groups, mean in folds:
        predicted = speaker_mean(y, groups, mean)
        total += speaker_sums(y, predicted, mean, groups).values.sum(axis=0)
        correlations.append((pearson(y, predicted), len(y)))
    sums = dict(zip(SUMS, total.tolist(), strict=True))
    known = np.array([[r, n] for r, n in correlations if r is not None]).reshape(-1, 2)
    r = float(np.average(known[:, 0], weights=known[:, 1])) if len(known) else float("nan")
    return {
        "speaker_mean_r2": 1 - sums["sse"] / sums["sst"] if sums["sst"] > 0 else float("nan"),
        "speaker_mean_mse": sums["sse"] / sums["n"],
        "speaker_mean_mae": sums["sae"] / sums["n"],
        "speaker_mean_pearson": r,
    }


def speaker_mean(y: FloatArray, groups: npt.NDArray[np.str_], train_mean: float) -> FloatArray:
    """(n,) mean of the *other* values of its speaker for every value of ``y`` (n,); the training
    mean where a speaker has no other."""
    _, of_row = np.unique(groups, return_inverse=True)
    others = np.bincount(of_row)[of_row] - 1
    total = np.bincount(of_row, y)[of_row] - y
    return np.asarray(np.where(others > 0, total / np.maximum(others, 1), train_mean))


def speaker_majority(y: FloatArray, groups: npt.NDArray[np.str_], majority: float) -> FloatArray:
    """(n,) most frequent code among the *others* of its speaker for every code of ``y`` (n,), the
    smallest if tied; ``majority`` where a speaker has no other."""
    names, of_row = np.unique(groups, return_inverse=True)
    codes, of_code = np.unique(y, return_inverse=True)
    counts = np.zeros((len(names), len(codes)))
    np.add.at(counts, (of_row, of_code), 1)
    others = counts[of_row]
    others[np.arange(len(y)), of_code] -= 1
    return np.asarray(np.where(others.any(axis=1), codes[others.argmax(axis=1)], majority))


SPEAKER_MEAN_SCORES = ("speaker_mean_mse", "speaker_mean_mae", "speaker_mean_pearson")
"""Scores of the speaker mean on the split, see `jobs.statistics.speaker_mean`."""


N_SPEAKERS = "n_speakers"
"""Number of speakers that any fold tests, with a value of the target."""
