"""From the scores of cells to curves over layers."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jobs.arrays import FloatArray
from jobs.protocol.folds import StrArray
from jobs.protocol.predictions import CellPredictions
from jobs.statistics.best_layer import (
    Estimate,
    SpeakerErrors,
    class_errors,
    score_on_other_speakers,
    speaker_errors,
)
from jobs.statistics.class_scores import (
    CLASS_SCORES,
    ClassSums,
    class_intervals,
    class_sums,
    pooled_scores,
)
from jobs.statistics.fold_jackknife import (
    fold_errors,
    fold_intervals,
    score_on_other_folds,
    speaker_mean_of_folds,
)
from jobs.statistics.intervals import ScaleName
from jobs.statistics.scores import SpeakerSums, score_intervals, speaker_sums
from jobs.statistics.speaker_mean import SPEAKER_MEAN_COLUMNS, speaker_mean_scores

CURVE = ["model", "layer", "layer_index", "target", "probe"]
"""What one point of one curve is: a row of ``layers.csv``."""

POINT_COLUMNS = [*CURVE, "probe_kind", "target_kind", "planned", "planned_control"]
"""Columns of the list of points; ``planned`` cells of the target itself and of its controls."""

NAMES = ("model", "target", "probe")
"""The curve that a point is on."""

CLASS_COLUMNS = [f"{score}{end}" for score in CLASS_SCORES for end in ("", "_low", "_high")]

LAYER_COLUMNS = [
    *CURVE,
    *("probe_kind", "target_kind", "cells", "missing", "missing_control"),
    *("n_test", "n_speakers", "seeds", "folds", "interval_over"),
    *("r2", "r2_low", "r2_high", "mse", "mse_low", "mse_high", "mae", "mae_low", "mae_high"),
    *("rmse", "rmse_low", "rmse_high", "pearson", "pearson_low", "pearson_high"),
    *("spearman", "within_speaker"),
    *("r2_control", *CLASS_COLUMNS, "majority_accuracy", "accuracy_control"),
    *("selectivity", "mean_mse", "mean_mae", "gain"),
    *("r2_speaker_control", "accuracy_speaker_control", *SPEAKER_MEAN_COLUMNS),
]
"""Columns of ``layers.csv``; of a kind of target that a score is not for, it is NaN.
``interval_over`` is ``speakers``, or ``folds`` where nothing is known of a speaker."""

CONTROLS = {"shuffled": "control", "speaker": "speaker_control"}
"""Control → how its columns of ``layers.csv`` end."""

SCALES: Mapping[str, ScaleName] = {"regression": "rest", "classification": "share"}
"""Of the intervals of R² and of accuracy, by the kind of the target."""

SPEAKERS, FOLDS = "speakers", "folds"
"""What intervals are over."""

CORRELATIONS = ("pearson", "spearman", "within_speaker")
ERRORS = ("mse", "mae", "mean_mse", "mean_mae")


OF_R2 = ("r2_low", "r2_high", "speaker_mean_r2")
"""What is not defined where ``r2`` is not, whatever sums of squares make of the rounding of a
constant target."""


@dataclass(frozen=True)
class Bootstrap:
    """How scores on other speakers, and layers with the best one, are resampled."""

    resamples: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class Curves:
    """What ``layer_curves`` makes of a run's cells."""

    layers: pd.DataFrame
    """A row a point, ``LAYER_COLUMNS``; NaN where no cell of a point is done (``cells`` is 0)."""
    honest: Mapping[tuple[str, ...], Estimate]
    """By (model, target, probe): R² or accuracy of the best layer, on speakers that did not choose
    it."""
    errors: Mapping[tuple[object, ...], SpeakerErrors]
    """By ``CURVE``: of every point that has a done cell."""
    by_fold: bool = False
    """No utterance is known, and a fold stands in the place of a speaker: see
    `jobs.statistics.fold_jackknife`."""


def layer_curves(
    points: pd.DataFrame,
    metrics: pd.DataFrame,
    read: Callable[[str], CellPredictions] | None,
    speakers: Mapping[str, str],
    bootstrap: Bootstrap,
) -> Curves:
    """A row per model × layer × target × probe.

    Within a seed, errors are pooled over folds by sums (``r2`` = 1 − Σ SSE / Σ SST, SST about each
    fold's own training mean; ``accuracy`` and its like from summed counts) and correlations
    averaged over folds with weight ``n_test``; seeds are then averaged. A correlation that no fold
    defines is NaN. ``selectivity`` is ``r2`` minus that of the shuffled control where this is above
    0: a control below 0 has learned nothing either, and how far below says only how badly it
    overfits; of classes it is ``accuracy`` minus that of the control. ``gain`` is what is better
    than knowing nothing: ``mean_mse`` − ``mse``, of classes ``accuracy`` − ``majority_accuracy``.
    ``…_speaker_control`` is the score on a random value per speaker, which is about 0 where no
    speaker is trained and tested on; ``speaker_mean_…`` are the scores of
    `jobs.statistics.speaker_mean`.

    Args:
        points: ``POINT_COLUMNS``, a row a point that has a finished cell, done or failed.
        metrics: a row a done cell, the columns of ``metrics.csv``.
        read: the predictions of a cell by its id; held for one curve at a time. None: there are
            none, and intervals come of the folds.
        speakers: speaker of every utterance id.
        bootstrap: resampling of speakers, for what is chosen among layers. The ends of all other
            intervals (95 %), ``…_low`` and ``…_high``, come of ``jobs.statistics.intervals``.

    Returns:
        Layers sorted by model, layer index, target, probe (in the order of the categories where
        such a column is an ordered categorical, which it stays). ``cells`` of the point are done,
        ``missing`` and ``missing_control`` are not. What is told of a control is NaN where there is
        none of its kind.
    """
    real = dict(_curves(metrics[metrics["control"] == "none"]))
    controls = {
        column: dict(_curves(metrics[metrics["control"] == control]))
        for control, column in CONTROLS.items()
    }
    none = metrics.iloc[:0]
    rows = []
    errors: dict[tuple[object, ...], SpeakerErrors] = {}
    ordered = points.sort_values(["model", "layer_index", "target", "probe"], kind="stable")
    for point in ordered[POINT_COLUMNS].to_dict("records"):
        key = tuple(point[name] for name in CURVE)
        cells = real.get(key, none)
        of_controls = {column: curves.get(key, none) for column, curves in controls.items()}
        row = _counts(point, cells, sum(map(len, of_controls.values())))
        if len(cells):
            of_classes = point["target_kind"] == "classification"
            row |= {**_tested(cells), **_control_scores(of_controls, of_classes)}
            if read is None:
                errors[key] = fold_errors(cells)
                row |= {**_point(cells), **_ends(fold_intervals(cells)), "interval_over": FOLDS}
                row |= speaker_mean_of_folds(cells)
            else:
                reduce = _classes if of_classes else _numbers
                scores, errors[key] = reduce(cells, read, speakers)
                row |= {**scores, "n_speakers": len(errors[key].speakers)}
                row["interval_over"] = SPEAKERS
                row |= speaker_mean_scores(_test_parts(cells, read, speakers), of_classes)
            if row.get("r2") != row.get("r2"):  # NaN
                row |= dict.fromkeys(OF_R2, np.nan)
                errors[key] = errors[key].without_reference()
        rows.append(row)
    layers, by_fold = _frame(rows, points), read is None
    return Curves(layers, _honest(layers, errors, None if by_fold else bootstrap), errors, by_fold)


def _counts(
    point: Mapping[Hashable, Any], cells: pd.DataFrame, n_control: int
) -> dict[str, object]:
    """Which point a row is, and how many of its cells are there."""
    lost = {
        "missing": point["planned"] - len(cells),
        "missing_control": point["planned_control"] - n_control,
    }
    named = {name: point[name] for name in (*CURVE, "probe_kind", "target_kind")}
    return named | {"cells": len(cells)} | lost


def _frame(rows: Sequence[Mapping[str, object]], points: pd.DataFrame) -> pd.DataFrame:
    layers = pd.DataFrame(rows, columns=LAYER_COLUMNS)
    counted = ["n_test", "n_speakers", "seeds", "folds"]
    layers[counted] = layers[counted].fillna(0).astype(int)
    scores = LAYER_COLUMNS[LAYER_COLUMNS.index("r2") :]
    layers[scores] = layers[scores].astype(np.float64)
    of_classes = layers["target_kind"] == "classification"
    selectivity = layers["r2"] - layers["r2_control"].clip(lower=0)
    of_them = layers["accuracy"] - layers["accuracy_control"]
    layers["selectivity"] = selectivity.where(~of_classes, of_them)
    gain = layers["mean_mse"] - layers["mse"]
    layers["gain"] = gain.where(~of_classes, layers["accuracy"] - layers["majority_accuracy"])
    for name in NAMES:  # the order of the categories is that of rows and legends
        layers[name] = layers[name].astype(points[name].dtype)
    return layers


def complete(curve: pd.DataFrame) -> pd.DataFrame:
    """The points that the best layer is chosen among: those that lack no cell, if there are any.

    A seed that diverged is missing from the mean of the others, which flatters a point without it.
    """
    scored = curve[curve["cells"] > 0]
    whole = scored[scored["missing"] == 0]
    return scored if whole.empty else whole


def _honest(
    layers: pd.DataFrame,
    errors: Mapping[tuple[object, ...], SpeakerErrors],
    bootstrap: Bootstrap | None,
) -> dict[tuple[str, ...], Estimate]:
    """Of every curve; without a ``bootstrap`` by fold."""
    found = {}
    for key, curve in layers.groupby(list(NAMES), sort=False, observed=True):
        chosen = [errors[row] for row in complete(curve)[CURVE].itertuples(index=False, name=None)]
        if not chosen:
            continue
        scale = SCALES[str(curve["target_kind"].iloc[0])]
        found[tuple(map(str, key))] = (
            score_on_other_speakers(chosen, bootstrap.resamples, bootstrap.seed, scale)
            if bootstrap
            else score_on_other_folds(chosen)
        )
    return found


def _curves(metrics: pd.DataFrame) -> list[tuple[tuple[object, ...], pd.DataFrame]]:
    """(key in ``CURVE``, its cells) in a fixed order, whatever order cells finished in."""
    order = ["model", "layer_index", "target", "probe", "layer", "seed", "fold"]
    ordered = metrics.sort_values(order, kind="stable")
    return list(ordered.groupby(CURVE, sort=False, observed=True))


def _tested(cells: pd.DataFrame) -> dict[str, int]:
    """What the scores of one curve's point rest on."""
    by_fold = cells.groupby("fold")["n_test"].first()
    seeds = cells["seed"].nunique()
    return {"n_test": int(by_fold.sum()), "folds": len(by_fold), "seeds": seeds}


def _numbers(
    cells: pd.DataFrame,
    read: Callable[[str], CellPredictions],
    speakers: Mapping[str, str],
) -> tuple[dict[str, float], SpeakerErrors]:
    """The scores of one curve's point, over the folds and seeds of ``cells``."""

    def sums(cell: CellPredictions) -> SpeakerSums:
        return speaker_sums(*_values(cell), cell.train_mean, _speakers(cell, speakers))

    runs = [[sums(read(name)) for name in folds["cell_id"]] for _, folds in cells.groupby("seed")]
    scores = _point(cells) | _ends(score_intervals(runs))
    return scores, speaker_errors(runs)


def _classes(
    cells: pd.DataFrame,
    read: Callable[[str], CellPredictions],
    speakers: Mapping[str, str],
) -> tuple[dict[str, float], SpeakerErrors]:
    """As ``_numbers``, of a target that is a class."""

    def sums(cell: CellPredictions) -> ClassSums:
        return class_sums(*_values(cell), _speakers(cell, speakers))

    runs = [[sums(read(name)) for name in folds["cell_id"]] for _, folds in cells.groupby("seed")]
    scores = pooled_scores(runs) | _ends(class_intervals(runs))
    scores["majority_accuracy"] = _average(cells, "majority_accuracy")
    majority = [
        [read(name).train_mean for name in folds["cell_id"]] for _, folds in cells.groupby("seed")
    ]
    return scores, class_errors(runs, majority)


def _control_scores(controls: Mapping[str, pd.DataFrame], of_classes: bool) -> dict[str, float]:
    """By column, of the controls that have cells."""
    if of_classes:
        return {
            f"accuracy_{name}": _average(cells, "accuracy")
            for name, cells in controls.items()
            if len(cells)
        }
    return {f"r2_{name}": _point(cells)["r2"] for name, cells in controls.items() if len(cells)}


def _test_parts(
    cells: pd.DataFrame, read: Callable[[str], CellPredictions], speakers: Mapping[str, str]
) -> list[tuple[FloatArray, StrArray, float]]:
    """What was tested, of every fold: the same for all seeds."""
    tested = [read(name) for name in cells.drop_duplicates("fold")["cell_id"]]
    return [(_values(cell)[0], _speakers(cell, speakers), cell.train_mean) for cell in tested]


def _average(cells: pd.DataFrame, score: str) -> float:
    """Of a share of utterances: over folds weighted by utterances, then over seeds."""
    seeds = [
        float(np.average(folds[score].astype(float), weights=folds["n_test"]))
        for _, folds in cells.groupby("seed")
    ]
    return float(np.mean(seeds))


def _point(cells: pd.DataFrame) -> dict[str, float]:
    """The scores of one curve's point, over the folds and seeds of ``cells``."""
    seeds = [_pooled(folds) for _, folds in cells.groupby("seed")]
    return {name: _mean([seed[name] for seed in seeds]) for name in seeds[0]}


def _pooled(folds: pd.DataFrame) -> dict[str, float]:
    """One seed's scores over its folds."""
    n = folds["n_test"].to_numpy(dtype=np.float64)
    pooled = {name: float(np.average(folds[name].astype(float), weights=n)) for name in ERRORS}
    pooled["rmse"] = pooled["mse"] ** 0.5
    defined = folds["r2"].notna().any()  # a constant target has rounding for a spread
    pooled["r2"] = _ratio(pooled["mse"], pooled["mean_mse"]) if defined else np.nan
    for name in CORRELATIONS:
        values = folds[name].to_numpy(dtype=np.float64)
        known = ~np.isnan(values)
        pooled[name] = float(np.average(values[known], weights=n[known])) if known.any() else np.nan
    return pooled


def _ends(intervals: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, (low, high) in intervals.items():
        found |= {f"{name}_low": low, f"{name}_high": high}
    return found


def _values(cell: CellPredictions) -> tuple[FloatArray, FloatArray]:
    return cell.y_true.astype(np.float64), cell.y_pred.astype(np.float64)


def _speakers(cell: CellPredictions, speakers: Mapping[str, str]) -> StrArray:
    return np.array([speakers[str(name)] for name in cell.utterance_id], dtype=np.str_)


def _ratio(mse: float, mean_mse: float) -> float:
    return 1 - mse / mean_mse if mean_mse > 0 else float("nan")


def _mean(values: list[float]) -> float:
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")
