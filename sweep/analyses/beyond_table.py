"""Table of what layers add to nuisances."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from jobs.arrays import FloatArray
from jobs.beyond.nuisances import nuisances_of
from jobs.beyond.results import FoldPredictions, read_beyond
from jobs.probes import TargetKind
from jobs.protocol.folds import StrArray
from jobs.statistics.attainable import within_reach
from jobs.statistics.best_layer import SpeakerErrors, class_errors, scores_of, speaker_errors
from jobs.statistics.classification import class_sums
from jobs.statistics.differences import between_chosen, holm
from jobs.statistics.regression import speaker_sums
from jobs.statistics.scores import MAIN_SCORE, SCORES
from sweep.analyses.beyond_plan import BeyondLayer, beyond_layers
from sweep.plan.plan import Plan

KEY = ("model", "layer", "target")
ADDED = ("beyond", "beyond_low", "beyond_high")
"""Columns that are added to ``layers.csv``."""
COLUMNS = (
    "model", "layer", "layer_index", "target", "target_kind", "score", "nuisances",
    "score_nuisances", "score_both", *ADDED, "p", "p_holm", "n_train", "n_test", "n_speakers",
    "folds", "alpha_at_edge",
)  # fmt: skip
"""Columns of ``beyond.csv``."""


def beyond_table(plan: Plan, folder: Path, speakers: Mapping[str, str]) -> pd.DataFrame:
    """Make ``beyond.csv``: a row per model × layer × target, for the layers on disk.

    ``beyond`` is ``score_both`` − ``score_nuisances`` on the same test utterances; both are R²
    against the training mean, or accuracy, pooled over folds. Its 95 % interval and p-value are
    those of a paired comparison (`jobs.statistics.differences.between_chosen`); ``p_holm`` is
    corrected for the layers of the model. ``n_train`` is that of the smallest fold;
    ``alpha_at_edge`` says whether the layer's penalty is the smallest candidate in a fold, so that
    a smaller one may be better.

    Args:
        plan: the run's.
        folder: of predictions.
        speakers: speaker of every utterance id.

    Raises:
        jobs.beyond.results.BeyondError: a file is damaged.
    """
    rows = [
        row
        for of in beyond_layers(plan)
        if (path := folder / of.file).exists()
        for row in _rows(plan, of, read_beyond(path), speakers)
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    for _, curve in table.groupby(["model", "target"]):
        table.loc[curve.index, "p_holm"] = holm(curve["p"].to_numpy(dtype=np.float64))
    return table


def columns_of_layers(table: pd.DataFrame) -> pd.DataFrame | None:
    """Select the columns of ``beyond.csv`` that are added to ``layers.csv``; None without rows."""
    return None if table.empty else table[[*KEY, *ADDED]]


def _rows(
    plan: Plan,
    of: BeyondLayer,
    found: Mapping[str, Sequence[FoldPredictions]],
    speakers: Mapping[str, str],
) -> list[dict[str, object]]:
    assert plan.beyond is not None
    rows = []
    for target, folds in found.items():
        kind = plan.kind(target)
        row = {
            "model": of.model.name,
            "layer": of.layer.name,
            "layer_index": of.layer.index,
            "target": target,
            "target_kind": kind,
            "score": MAIN_SCORE[kind],
            "nuisances": " + ".join(nuisances_of(plan.beyond.nuisances, target, kind)),
            "n_train": min(fold.n_train for fold in folds),
            "n_test": sum(len(fold.y_true) for fold in folds),
            "folds": len(folds),
            "alpha_at_edge": any(
                float(fold.alphas_both[-1]) == plan.beyond.alphas[0] for fold in folds
            ),
        }
        rows.append(row | _comparison(kind, folds, speakers))
    return rows


def _comparison(
    kind: TargetKind, folds: Sequence[FoldPredictions], speakers: Mapping[str, str]
) -> dict[str, object]:
    """Score the nuisances without and with the layer, and their difference."""
    alone, both = (
        _errors(kind, [(fold, getattr(fold, name)) for fold in folds], speakers)
        for name in ("nuisances", "both")
    )
    everyone = np.ones((1, len(alone.speakers)))
    score_alone, score_both = (
        float(scores_of(one.values[None], everyone)[0, 0]) for one in (alone, both)
    )
    losses = both.values[None], alone.values[None]
    scale = SCORES[MAIN_SCORE[kind]].scale
    assert scale
    found = within_reach(between_chosen(*losses), *losses, scale)
    ends = float(found.low[0]), float(found.high[0])
    return {
        "score_nuisances": score_alone,
        "score_both": score_both,
        **dict(zip(ADDED, (score_both - score_alone, *ends), strict=True)),
        "p": float(found.p[0]),
        "n_speakers": len(alone.speakers),
    }


def _errors(
    kind: TargetKind,
    folds: Sequence[tuple[FoldPredictions, FloatArray]],
    speakers: Mapping[str, str],
) -> SpeakerErrors:
    def names(fold: FoldPredictions) -> StrArray:
        return np.array([speakers[str(name)] for name in fold.utterance_id], dtype=np.str_)

    if kind == "classification":
        counts = [class_sums(fold.y_true, predicted, names(fold)) for fold, predicted in folds]
        return class_errors([counts], [[fold.train_mean for fold, _ in folds]])
    sums = [
        speaker_sums(fold.y_true, predicted, fold.train_mean, names(fold))
        for fold, predicted in folds
    ]
    return speaker_errors([sums])
