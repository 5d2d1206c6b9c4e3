"""Table of the canonical components of several targets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from jobs.arrays import FloatArray
from jobs.probing.joint_cca import FoldComponents, read_components
from jobs.protocol.folds import StrArray
from jobs.statistics.regression import pearson, speaker_sums
from jobs.statistics.speaker_intervals import regression_intervals
from sweep.analyses.joint_cca_plan import canonical_file, joint_probes, joint_targets
from sweep.plan.plan import Plan, layer_tasks

COLUMNS = (
    "model", "layer", "layer_index", "probe", "component", "correlation", "correlation_low",
    "correlation_high", "in_sample", "n_train", "n_test", "n_speakers", "flagged", "targets",
    "loadings",
)  # fmt: skip
"""Columns of ``canonical.csv``."""


def canonical_table(plan: Plan, folder: Path, utterances: pd.DataFrame) -> pd.DataFrame:
    """Make ``canonical.csv``: a row per model × layer × probe × component on disk.

    ``correlation`` is held out: the mean over folds, weighted by utterances, with its 95 % interval
    over speakers (``jobs.statistics.intervals``). ``loadings`` are the correlations of the
    component's target side with each of the ``targets``, which describe it. ``n_train``
    is that of the smallest fold.

    Args:
        plan: the run's.
        folder: of predictions.
        utterances: the utterance table, with the targets.

    Raises:
        jobs.probing.joint_cca.CanonicalError: a file is damaged.
    """
    rows = []
    table = utterances.set_index("utterance_id") if joint_probes(plan) else utterances
    for task in layer_tasks(plan) if joint_probes(plan) else ():
        path = folder / canonical_file(plan, task)
        found = read_components(path) if path.exists() else {}
        for name, folds in zip(joint_probes(plan), found.values(), strict=False):
            place = (task.model.name, task.layer.name, task.layer.index, name)
            tested = [_Tested.of(fold, table, joint_targets(plan)) for fold in folds]
            n_components = max(len(fold.found.in_sample) for fold in folds)
            for component in range(n_components):
                row = dict(zip(COLUMNS, place, strict=False)) | {"component": component + 1}
                rows.append(row | _scores(tested, component, joint_targets(plan)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


@dataclass(frozen=True)
class _Tested:
    """The test split of a fold."""

    fold: FoldComponents
    speakers: StrArray
    """(n_test,)"""
    Y: FloatArray
    """(n_test, K) the targets."""

    @classmethod
    def of(cls, fold: FoldComponents, table: pd.DataFrame, targets: Sequence[str]) -> "_Tested":
        rows = table.loc[fold.utterance_id.tolist()]
        speakers = rows["speaker_id"].to_numpy(dtype=np.str_)
        return cls(fold, speakers, rows[list(targets)].to_numpy(dtype=np.float64))


def _scores(tested: Sequence[_Tested], component: int, targets: Sequence[str]) -> dict[str, object]:
    """Compute the columns of ``canonical.csv`` of one component, over the folds that have it."""
    tested = [one for one in tested if component < len(one.fold.found.in_sample)]
    pairs = [
        (one.fold.found.targets[:, component], one.fold.found.activations[:, component])
        for one in tested
    ]
    sums = [
        speaker_sums(v, u, 0.0, one.speakers) for one, (v, u) in zip(tested, pairs, strict=True)
    ]
    low, high = regression_intervals([sums])["pearson"]
    sizes = [len(one.speakers) for one in tested]
    loadings = mean_loadings([v for v, _ in pairs], [one.Y for one in tested])
    shown = (f"{name} {loading:z.2f}" for name, loading in zip(targets, loadings, strict=True))
    return {
        "correlation": _mean([pearson(v, u) for v, u in pairs], sizes),
        "correlation_low": low,
        "correlation_high": high,
        "in_sample": float(np.mean([one.fold.found.in_sample[component] for one in tested])),
        "n_train": min(one.fold.n_train for one in tested),
        "n_test": sum(sizes),
        "n_speakers": len({name for one in tested for name in one.speakers.tolist()}),
        "flagged": any(one.fold.found.saturated for one in tested),
        "targets": " + ".join(targets),
        "loadings": ", ".join(shown),
    }


def mean_loadings(variates: Sequence[FloatArray], targets: Sequence[FloatArray]) -> list[float]:
    """(K,) mean over folds of the correlations of ``targets`` (n_test, K) with their side of a
    component (n_test,), ``variates``.

    The sign of a component is arbitrary: each fold's is chosen so that its loadings agree with
    those of the first fold, as they could cancel otherwise.
    """
    by_fold = np.array(
        [
            [np.nan if (r := pearson(v, y)) is None else r for y in Y.T]
            for v, Y in zip(variates, targets, strict=True)
        ]
    )
    agreement = np.nansum(by_fold * by_fold[0], axis=1)
    turned = by_fold * np.where(agreement < 0, -1, 1)[:, None]
    sizes = [len(v) for v in variates]
    return [_mean([None if np.isnan(r) else r for r in of_one], sizes) for of_one in turned.T]


def _mean(values: Sequence[float | None], weights: Sequence[int]) -> float:
    """Mean over the folds in which it is defined; NaN if there are none."""
    known = [(v, w) for v, w in zip(values, weights, strict=True) if v is not None]
    if not known:
        return float("nan")
    total = sum(weight for _, weight in known)
    return float(sum(value * weight for value, weight in known) / total)
