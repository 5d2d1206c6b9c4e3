"""Summary statistics of a split: its size, and the distribution of targets."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.float64]

SECONDS_PER_HOUR = 3600.0


def describe_split(table: pd.DataFrame, targets: Iterable[str]) -> dict[str, float | None]:
    """Compute counts and statistics of the utterances of one split.

    Args:
        table: the split's rows of an utterance table, with the targets as columns: numbers, NaN if
            missing, or classes, "" if missing.
        targets: names of columns.

    Returns:
        Name → value, None where undefined: ``utterances``, ``speakers``, ``hours``, ``mean
        seconds``; for every target of numbers ``<target> mean``, ``<target> SD`` (n − 1 in the
        denominator), ``<target> ICC`` (see ``between_speaker_share``); for every target of classes
        ``<target> classes`` (how many) and ``<target> majority`` (share of the largest); and, where
        some utterances have no value, ``<target> missing`` (how many). Statistics of a target are
        over the utterances that have a value.
    """
    seconds = table["seconds"].to_numpy(dtype=np.float64)
    measures: dict[str, float | None] = {
        "utterances": len(table),
        "speakers": table["speaker_id"].nunique(),
        "hours": float(seconds.sum()) / SECONDS_PER_HOUR,
        "mean seconds": float(seconds.mean()) if len(seconds) else None,
    }
    speakers = table["speaker_id"].to_numpy(dtype=str)
    for name in targets:
        if pd.api.types.is_numeric_dtype(table[name]):
            values = table[name].to_numpy(dtype=np.float64)
            known = np.isfinite(values)
            measures |= _describe_numbers(name, values[known], speakers[known])
        else:
            labels = table[name].to_numpy(dtype=str)
            known = labels != ""
            measures |= _describe_classes(name, labels[known])
        if not known.all():
            measures[f"{name} missing"] = int((~known).sum())
    return measures


def _describe_numbers(
    name: str, y: FloatArray, speakers: npt.NDArray[np.str_]
) -> dict[str, float | None]:
    return {
        f"{name} mean": float(y.mean()) if len(y) else None,
        f"{name} SD": float(y.std(ddof=1)) if len(y) > 1 else None,
        f"{name} ICC": between_speaker_share(y, speakers),
    }


def _describe_classes(name: str, labels: npt.NDArray[np.str_]) -> dict[str, float | None]:
    _, counts = np.unique(labels, return_counts=True)
    return {
        f"{name} classes": len(counts),
        f"{name} majority": float(counts.max() / counts.sum()) if len(counts) else None,
    }


def between_speaker_share(y: FloatArray, speakers: npt.NDArray[np.str_]) -> float | None:
    """Estimate the share of the variance of ``y`` between speakers: the intraclass correlation.

    The estimator of the one-way analysis of variance with random effects, for k speakers with
    n_i utterances each, N in all::

        MSB = Σ_i n_i (ȳ_i − ȳ)² / (k − 1)      MSW = Σ_i Σ_j (y_ij − ȳ_i)² / (N − k)
        n_0 = (N − Σ_i n_i² / N) / (k − 1)      ICC = (MSB − MSW) / (MSB + (n_0 − 1) MSW)

    An estimate below 0, where speakers differ less than expected by chance, is reported as 0: a
    share of a variance cannot be negative.
    Source: A. Donner, A review of inference procedures for the intraclass correlation coefficient
    in the one-way random effects model, International Statistical Review 54 (1986), 67–82.

    Args:
        y: (N,) values.
        speakers: (N,) the speaker of each.

    Returns:
        The estimate; None with fewer than two speakers, with one utterance per speaker, or if all
        values are equal.
    """
    _, index, counts = np.unique(speakers, return_inverse=True, return_counts=True)
    n, k = len(y), len(counts)
    if k < 2 or n == k or np.ptp(y) == 0:
        return None
    means = np.bincount(index, weights=y) / counts
    between = float(counts @ (means - y.mean()) ** 2) / (k - 1)
    within = float(np.square(y - means[index]).sum()) / (n - k)
    size = (n - float(counts @ counts) / n) / (k - 1)
    return max(0.0, (between - within) / (between + (size - 1) * within))
