"""From the scores of cells to curves over layers and the table of models."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jobs.metrics import SpeakerSums, bootstrap_intervals, speaker_sums
from jobs.predictions import CellPredictions
from jobs.selection import Estimate, SpeakerErrors, r2_on_other_speakers, speaker_errors

CURVE = ["model", "layer", "layer_index", "target", "probe"]
"""What one point of one curve is: a row of ``layers.csv``."""

POINT_COLUMNS = [*CURVE, "probe_kind", "planned", "planned_control"]
"""Columns of the list of points; ``planned`` cells with and without the shuffled control."""

NAMES = ("model", "target", "probe")
"""The curve that a point is on."""

LAYER_COLUMNS = [
    *CURVE,
    *("probe_kind", "cells", "missing", "missing_control"),
    *("n_test", "n_speakers", "seeds", "folds"),
    *("r2", "r2_low", "r2_high", "mse", "mse_low", "mse_high", "mae", "mae_low", "mae_high"),
    *("rmse", "pearson", "pearson_low", "pearson_high", "spearman", "within_speaker"),
    *("r2_control", "selectivity", "mean_mse", "mean_mae", "gain"),
]
"""Columns of ``layers.csv``."""

MODEL_COLUMNS = [
    *("model", "target", "probe", "probe_kind", "n_layers", "missing"),
    *("embedding_mse", "embedding_r2"),
    *("best_layer", "best_layer_index", "best_mse", "best_r2", "best_r2_low", "best_r2_high"),
    *("best_r2_honest", "best_r2_honest_low", "best_r2_honest_high"),
    *("mean_pearson", "mean_mse"),
]
"""Columns of ``models.csv``."""

MEAN_PREDICTOR = "mean predictor"
"""Its name among the models; the name of its probe is empty."""

CORRELATIONS = ("pearson", "spearman", "within_speaker")
ERRORS = ("mse", "mae", "mean_mse", "mean_mae")


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are made; see ``jobs.metrics.bootstrap_intervals``."""

    resamples: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class Curves:
    """What ``layer_curves`` makes of a run's cells."""

    layers: pd.DataFrame
    """A row a point, ``LAYER_COLUMNS``; NaN where no cell of a point is done (``cells`` is 0)."""
    honest: Mapping[tuple[str, ...], Estimate]
    """By (model, target, probe): R² of the best layer, on speakers that did not choose it."""


def layer_curves(
    points: pd.DataFrame,
    metrics: pd.DataFrame,
    read: Callable[[str], CellPredictions],
    speakers: Mapping[str, str],
    bootstrap: Bootstrap,
) -> Curves:
    """A row per model × layer × target × probe.

    Within a seed, errors are pooled over folds by sums (``r2`` = 1 − Σ SSE / Σ SST, SST about each
    fold's own training mean) and correlations averaged over folds with weight ``n_test``; seeds are
    then averaged. A correlation that no fold defines is NaN. ``selectivity`` is ``r2`` minus that
    of the shuffled control where this is above 0: a control below 0 has learned nothing either, and
    how far below says only how badly it overfits.

    Args:
        points: ``POINT_COLUMNS``, a row a point that has a finished cell, done or failed.
        metrics: a row a done cell, the columns of ``metrics.csv``.
        read: the predictions of a cell by its id; held for one curve at a time.
        speakers: speaker of every utterance id.
        bootstrap: resampling of speakers for ``…_low`` and ``…_high`` (95 %).

    Returns:
        Layers sorted by model, layer index, target, probe (in the order of the categories where
        such a column is an ordered categorical, which it stays). ``cells`` of the point are done,
        ``missing`` and ``missing_control`` are not. ``r2_control`` and ``selectivity`` are NaN
        where there is no shuffled control.
    """
    real = dict(_curves(metrics[metrics["control"] == "none"]))
    control = dict(_curves(metrics[metrics["control"] == "shuffled"]))
    none = metrics.iloc[:0]
    rows = []
    errors: dict[tuple[object, ...], SpeakerErrors] = {}
    ordered = points.sort_values(["model", "layer_index", "target", "probe"], kind="stable")
    for point in ordered[POINT_COLUMNS].to_dict("records"):
        key = tuple(point[name] for name in CURVE)
        cells, shuffled = real.get(key, none), control.get(key, none)
        row = _counts(point, cells, shuffled)
        if len(cells):
            runs = _runs(cells, read, speakers)
            errors[key] = speaker_errors(runs)
            row |= _point(cells) | _intervals(runs, bootstrap)
        if len(cells) and len(shuffled):
            row["r2_control"] = _point(shuffled)["r2"]
        rows.append(row)
    layers = _frame(rows, points)
    return Curves(layers, _honest(layers, errors, bootstrap))


def _counts(
    point: Mapping[Hashable, Any], cells: pd.DataFrame, shuffled: pd.DataFrame
) -> dict[str, object]:
    """Which point a row is, and how many of its cells are there."""
    lost = {
        "missing": point["planned"] - len(cells),
        "missing_control": point["planned_control"] - len(shuffled),
    }
    return {name: point[name] for name in (*CURVE, "probe_kind")} | {"cells": len(cells)} | lost


def _frame(rows: Sequence[Mapping[str, object]], points: pd.DataFrame) -> pd.DataFrame:
    layers = pd.DataFrame(rows, columns=LAYER_COLUMNS)
    counted = ["n_test", "n_speakers", "seeds", "folds"]
    layers[counted] = layers[counted].fillna(0).astype(int)
    layers["selectivity"] = layers["r2"] - layers["r2_control"].clip(lower=0)
    layers["gain"] = layers["mean_mse"] - layers["mse"]
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


def model_table(curves: Curves) -> pd.DataFrame:
    """The comparison table: a row per model × target × probe, the baselines among the models.

    Returns:
        ``MODEL_COLUMNS``, in the order of ``curves.layers``. The best layer has the lowest MSE, of
        equal ones the first, among those that lack no cell; ``best_r2`` is the best of many and
        too good, ``best_r2_honest`` is not (see ``jobs.selection``). ``mean_pearson`` is the mean
        over layers (of a CCA probe: the held-out canonical correlation). Embedding columns are NaN
        for a model without that layer. The last row of every target is the mean predictor's.
    """
    rows = []
    layers = curves.layers
    for key, curve in layers.groupby(list(NAMES), sort=True, observed=True):
        scored = curve[curve["cells"] > 0]
        if scored.empty:
            continue
        best = complete(curve).sort_values(["mse", "layer_index"]).iloc[0]
        embedding = scored[scored["layer"] == "embedding"].head(1)
        honest = curves.honest[tuple(map(str, key))]
        rows.append(
            dict(zip(NAMES, key, strict=True))
            | {
                "probe_kind": best["probe_kind"],
                "n_layers": len(scored),
                "missing": curve["missing"].sum(),
                "embedding_mse": embedding["mse"].mean(),
                "embedding_r2": embedding["r2"].mean(),
                "best_layer": best["layer"],
                "best_layer_index": best["layer_index"],
                "best_mse": best["mse"],
                "best_r2": best["r2"],
                "best_r2_low": best["r2_low"],
                "best_r2_high": best["r2_high"],
                "best_r2_honest": honest.value,
                "best_r2_honest_low": honest.low,
                "best_r2_honest_high": honest.high,
                "mean_pearson": scored["pearson"].mean(),
                "mean_mse": scored["mean_mse"].mean(),
            }
        )
    by_target = layers[layers["cells"] > 0].groupby("target", sort=False, observed=True)
    rows += [_mean_predictor(target, curve) for target, curve in by_target]
    return pd.DataFrame(rows, columns=MODEL_COLUMNS)


def _honest(
    layers: pd.DataFrame, errors: Mapping[tuple[object, ...], SpeakerErrors], bootstrap: Bootstrap
) -> dict[tuple[str, ...], Estimate]:
    found = {}
    for key, curve in layers.groupby(list(NAMES), sort=False, observed=True):
        chosen = [errors[row] for row in complete(curve)[CURVE].itertuples(index=False, name=None)]
        if chosen:
            found[tuple(map(str, key))] = r2_on_other_speakers(
                chosen, bootstrap.resamples, bootstrap.seed
            )
    return found


def _mean_predictor(target: object, curves: pd.DataFrame) -> dict[str, object]:
    """Its row for ``target``; where models could not read the same files, on the most of them."""
    mse = curves.sort_values("n_test", kind="stable", ascending=False)["mean_mse"].iloc[0]
    nothing = dict.fromkeys(MODEL_COLUMNS, float("nan"))
    return nothing | {
        "model": MEAN_PREDICTOR,
        "target": target,
        "probe": "",
        "probe_kind": "",
        "n_layers": 0,
        "missing": 0,
        "best_layer": "",
        "best_mse": mse,
        "best_r2": 0.0,
        "best_r2_honest": 0.0,
        "mean_mse": mse,
    }


def _curves(metrics: pd.DataFrame) -> list[tuple[tuple[object, ...], pd.DataFrame]]:
    """(key in ``CURVE``, its cells) in a fixed order, whatever order cells finished in."""
    order = ["model", "layer_index", "target", "probe", "layer", "seed", "fold"]
    ordered = metrics.sort_values(order, kind="stable")
    return list(ordered.groupby(CURVE, sort=False, observed=True))


def _point(cells: pd.DataFrame) -> dict[str, float]:
    """The scores of one curve's point, over the folds and seeds of ``cells``."""
    seeds = [_pooled(folds) for _, folds in cells.groupby("seed")]
    point = {name: _mean([seed[name] for seed in seeds]) for name in seeds[0]}
    by_fold = cells.groupby("fold")["n_test"].first()
    counts = {"n_test": int(by_fold.sum()), "folds": len(by_fold), "seeds": len(seeds)}
    return point | counts


def _pooled(folds: pd.DataFrame) -> dict[str, float]:
    """One seed's scores over its folds."""
    n = folds["n_test"].to_numpy(dtype=np.float64)
    pooled = {name: float(np.average(folds[name].astype(float), weights=n)) for name in ERRORS}
    pooled["rmse"] = pooled["mse"] ** 0.5
    pooled["r2"] = _ratio(pooled["mse"], pooled["mean_mse"])
    for name in CORRELATIONS:
        values = folds[name].to_numpy(dtype=np.float64)
        defined = ~np.isnan(values)
        pooled[name] = (
            float(np.average(values[defined], weights=n[defined])) if defined.any() else np.nan
        )
    return pooled


def _runs(
    cells: pd.DataFrame, read: Callable[[str], CellPredictions], speakers: Mapping[str, str]
) -> list[list[SpeakerSums]]:
    """The sums of every fold, by seed."""
    return [
        [_sums(read(cell_id), speakers) for cell_id in folds["cell_id"]]
        for _, folds in cells.groupby("seed")
    ]


def _intervals(runs: list[list[SpeakerSums]], bootstrap: Bootstrap) -> dict[str, float]:
    intervals = bootstrap_intervals(runs, bootstrap.resamples, bootstrap.seed)
    found: dict[str, float] = {}
    for name, (low, high) in intervals.items():
        found |= {f"{name}_low": low, f"{name}_high": high}
    found["n_speakers"] = len({name for run in runs for sums in run for name in sums.speakers})
    return found


def _sums(cell: CellPredictions, speakers: Mapping[str, str]) -> SpeakerSums:
    groups = np.array([speakers[str(name)] for name in cell.utterance_id], dtype=np.str_)
    y, y_pred = cell.y_true.astype(np.float64), cell.y_pred.astype(np.float64)
    return speaker_sums(y, y_pred, cell.train_mean, groups)


def _ratio(mse: float, mean_mse: float) -> float:
    return 1 - mse / mean_mse if mean_mse > 0 else float("nan")


def _mean(values: list[float]) -> float:
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")
