"""Scores over the layers of every model, target and probe: the rows of ``layers.csv``."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from jobs.statistics.best_layer import Estimate, SpeakerErrors, score_on_other_speakers
from jobs.statistics.fold_jackknife import score_on_other_folds
from jobs.statistics.points import (
    DECIDING_SPEAKER,
    WITHOUT_SPEAKER,
    PointScores,
    ReadPredictions,
    control_scores,
    point_of_folds,
    point_of_predictions,
)
from jobs.statistics.scores import (
    MAIN_SCORE,
    SCORES,
    TargetKind,
    main_score_first,
    references_for,
    with_ends,
)
from jobs.statistics.speaker_mean import SPEAKER_MEAN_COLUMNS
from jobs.statistics.validated import ValidatedLayer

CURVE = ["model", "layer", "layer_index", "target", "probe"]
"""Key of one point of one curve: a row of ``layers.csv``."""

POINT_COLUMNS = [*CURVE, "probe_kind", "target_kind", "planned", "planned_control"]
"""Columns of the list of points; ``planned`` counts the cells of the target and of its controls."""

NAMES = ("model", "target", "probe")
"""Key of a curve."""

CONTROLS = {"shuffled": "control", "speaker": "speaker_control", "type": "type_control"}
"""Control → ending of its columns of ``layers.csv``."""


def layer_columns() -> list[str]:
    """Columns of ``layers.csv``; a score that does not apply to a target's kind is NaN.

    ``interval_over`` is ``speakers``, or ``folds`` where predictions by speaker are not available.
    ``influential_speaker`` decides the main score, see `jobs.statistics.influence`, and is empty
    if no speaker does; ``…_without_speaker`` is the score of the others.
    """
    r2, accuracy = MAIN_SCORE.values()
    return [
        *CURVE,
        *("probe_kind", "target_kind", "cells", "missing", "missing_control"),
        *("n_test", "n_speakers", "seeds", "folds", DECIDING_SPEAKER, "interval_over"),
        *_score_columns("regression"),
        *(f"{r2}_control", f"{r2}{WITHOUT_SPEAKER}"),
        *_score_columns("classification"),
        *references_for("classification"),
        *(
            f"{accuracy}_control",
            f"{accuracy}{WITHOUT_SPEAKER}",
            "selectivity",
            *references_for("regression"),
            "gain",
        ),
        *(f"{r2}_speaker_control", f"{accuracy}_speaker_control"),
        *(f"{r2}_type_control", f"{accuracy}_type_control", *SPEAKER_MEAN_COLUMNS),
    ]


def _score_columns(kind: TargetKind) -> list[str]:
    """The scores of a kind of target with the ends of their intervals, the main one first."""
    return [
        name
        for score in main_score_first(kind)
        for name in (with_ends(score.name) if score.scale else (score.name,))
    ]


@dataclass(frozen=True)
class Bootstrap:
    """Settings of the speaker bootstrap, for scores on other speakers and for best-layer
    candidates."""

    resamples: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class Curves:
    """The scores of a run, by layer."""

    layers: pd.DataFrame
    """A row per point, ``layer_columns``; NaN where no cell of a point is done (``cells`` is 0)."""
    honest: Mapping[tuple[str, ...], Estimate]
    """R² or accuracy of the best layer by (model, target, probe), on speakers not used to choose
    it."""
    errors: Mapping[tuple[object, ...], SpeakerErrors]
    """Losses of every point that has a done cell, by ``CURVE``."""
    validated: Mapping[tuple[object, ...], ValidatedLayer | None] = field(default_factory=dict)
    """Losses by fold with validation losses, by ``CURVE``; None where a cell has none."""
    by_fold: bool = False
    """True if predictions are not available and folds take the place of speakers: see
    `jobs.statistics.fold_jackknife`."""


def layer_curves(
    points: pd.DataFrame,
    metrics: pd.DataFrame,
    read: ReadPredictions | None,
    speakers: Mapping[str, str],
    bootstrap: Bootstrap,
) -> Curves:
    """Score every model × layer × target × probe.

    Within a seed, errors are pooled over folds by sums (``r2`` = 1 − Σ SSE / Σ SST, SST about each
    fold's own training mean; ``accuracy`` and its like from summed counts) and correlations
    averaged over folds with weight ``n_test``; seeds are then averaged. A correlation that is
    undefined in every fold, or of predictions that hardly vary
    (`jobs.statistics.regression.is_near_constant`), is NaN. ``majority_accuracy`` is the
    accuracy of always predicting the most frequent class, of each training split or of all tested
    utterances, whichever is right more often. ``gain`` is the improvement over the no-skill
    prediction: ``mean_mse`` − ``mse``, for classes ``accuracy`` − ``majority_accuracy``.
    ``selectivity`` is the main score minus that of the control ``type``, or minus that of the
    no-skill prediction where the control is below it: it has learned nothing either, and its size
    shows only overfitting. ``…_control`` is the score on shuffled targets, which nothing can
    predict, ``…_speaker_control`` that on a random value per speaker, about 0 where no test speaker
    is in the training split;
    ``speaker_mean_…`` are the scores of `jobs.statistics.speaker_mean`, or those of the no-skill
    prediction where these are better.

    Args:
        points: ``POINT_COLUMNS``, a row per point that has a finished cell, done or failed.
        metrics: a row per done cell, the columns of ``metrics.csv``.
        read: reads the predictions of a cell by its id; those of one curve are in memory at a time.
            None: there are none, and intervals are over folds.
        speakers: speaker of every utterance id.
        bootstrap: resampling of speakers, for choices among layers. The ends of all other intervals
            (95 %) are those of ``jobs.statistics.intervals``.

    Returns:
        Layers sorted by model, layer index, target, probe, in the order of the categories where
        such a column is an ordered categorical. ``cells`` of the point are done, ``missing`` and
        ``missing_control`` are not. Columns about a control are NaN where there is none.
    """
    real = dict(_curves(metrics[metrics["control"] == "none"]))
    controls = {
        ending: dict(_curves(metrics[metrics["control"] == control]))
        for control, ending in CONTROLS.items()
    }
    none = metrics.iloc[:0]
    rows = []
    errors: dict[tuple[object, ...], SpeakerErrors] = {}
    validated: dict[tuple[object, ...], ValidatedLayer | None] = {}
    ordered = points.sort_values(["model", "layer_index", "target", "probe"], kind="stable")
    for point in ordered[POINT_COLUMNS].to_dict("records"):
        key = tuple(point[name] for name in CURVE)
        cells = real.get(key, none)
        of_controls = {ending: curves.get(key, none) for ending, curves in controls.items()}
        row = _counts(point, cells, sum(map(len, of_controls.values())))
        if len(cells):
            of_classes = point["target_kind"] == "classification"
            found = _scored(cells, read, speakers, of_classes=of_classes)
            controlled = control_scores(of_controls, of_classes=of_classes)
            row |= {**_tested(cells), **controlled, **found.columns}
            errors[key], validated[key] = found.errors, found.validated
        rows.append(row)
    layers, by_fold = _frame(rows, points), read is None
    honest = _honest(layers, errors, None if by_fold else bootstrap)
    return Curves(layers, honest, errors, validated, by_fold)


def _scored(
    cells: pd.DataFrame,
    read: ReadPredictions | None,
    speakers: Mapping[str, str],
    *,
    of_classes: bool,
) -> PointScores:
    if read is None:
        return point_of_folds(cells)
    return point_of_predictions(cells, read, speakers, of_classes=of_classes)


def _counts(
    point: Mapping[Hashable, Any], cells: pd.DataFrame, n_control: int
) -> dict[str, object]:
    """Key of a row, and the numbers of its cells that are done and missing."""
    lost = {
        "missing": point["planned"] - len(cells),
        "missing_control": point["planned_control"] - n_control,
    }
    named = {name: point[name] for name in (*CURVE, "probe_kind", "target_kind")}
    return named | {"cells": len(cells)} | lost


def _frame(rows: Sequence[Mapping[str, object]], points: pd.DataFrame) -> pd.DataFrame:
    columns = layer_columns()
    layers = pd.DataFrame(rows, columns=columns)
    counted = ["n_test", "n_speakers", "seeds", "folds"]
    layers[counted] = layers[counted].fillna(0).astype(int)
    layers[DECIDING_SPEAKER] = layers[DECIDING_SPEAKER].astype(object).fillna("").astype(str)
    scores = columns[columns.index("interval_over") + 1 :]
    layers[scores] = layers[scores].astype(np.float64)
    of_classes = layers["target_kind"] == "classification"
    selectivity = layers["r2"] - layers["r2_type_control"].clip(lower=0)
    control = layers["accuracy_type_control"].clip(lower=layers["majority_accuracy"])
    layers["selectivity"] = selectivity.where(~of_classes, layers["accuracy"] - control)
    gain = layers["mean_mse"] - layers["mse"]
    layers["gain"] = gain.where(~of_classes, layers["accuracy"] - layers["majority_accuracy"])
    for name in NAMES:  # the order of the categories is that of rows and legends
        layers[name] = layers[name].astype(points[name].dtype)
    return layers


def complete(curve: pd.DataFrame) -> pd.DataFrame:
    """Select the candidates for the best layer: the points with no missing cell, if there are any.

    A mean that lacks a diverged seed would be too good.
    """
    scored = curve[curve["cells"] > 0]
    whole = scored[scored["missing"] == 0]
    return scored if whole.empty else whole


def _honest(
    layers: pd.DataFrame,
    errors: Mapping[tuple[object, ...], SpeakerErrors],
    bootstrap: Bootstrap | None,
) -> dict[tuple[str, ...], Estimate]:
    """Score of the best layer on other speakers, by curve; on other folds without ``bootstrap``."""
    found = {}
    for key, curve in layers.groupby(list(NAMES), sort=False, observed=True):
        chosen = [errors[row] for row in complete(curve)[CURVE].itertuples(index=False, name=None)]
        if not chosen:
            continue
        kind: TargetKind = curve["target_kind"].iloc[0]
        scale = SCORES[MAIN_SCORE[kind]].scale
        assert scale
        found[tuple(map(str, key))] = (
            score_on_other_speakers(chosen, bootstrap.resamples, bootstrap.seed, scale)
            if bootstrap
            else score_on_other_folds(chosen)
        )
    return found


def _curves(metrics: pd.DataFrame) -> list[tuple[tuple[object, ...], pd.DataFrame]]:
    """Group the cells by key in ``CURVE``, in an order independent of that in which they
    finished."""
    order = ["model", "layer_index", "target", "probe", "layer", "seed", "fold"]
    ordered = metrics.sort_values(order, kind="stable")
    return list(ordered.groupby(CURVE, sort=False, observed=True))


def _tested(cells: pd.DataFrame) -> dict[str, int]:
    """Count the utterances, folds and seeds behind the scores of one point."""
    by_fold = cells.groupby("fold")["n_test"].first()
    seeds = cells["seed"].nunique()
    return {"n_test": int(by_fold.sum()), "folds": len(by_fold), "seeds": seeds}
