"""From the scores of cells to curves over layers and the table of models."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from jobs.metrics import SpeakerSums, bootstrap_intervals, speaker_sums
from jobs.predictions import CellPredictions

CURVE = ["model", "layer", "layer_index", "target", "probe"]
"""What one point of one curve is: a row of ``layers.csv``."""

LAYER_COLUMNS = [
    *CURVE,
    *("n_test", "n_speakers", "seeds", "folds"),
    *("r2", "r2_low", "r2_high", "mse", "mse_low", "mse_high", "mae", "mae_low", "mae_high"),
    *("rmse", "pearson", "pearson_low", "pearson_high", "spearman", "within_speaker"),
    *("r2_control", "selectivity", "mean_mse", "mean_mae", "gain"),
]
"""Columns of ``layers.csv``."""

MODEL_COLUMNS = [
    *("model", "target", "probe", "n_layers", "embedding_mse", "embedding_r2"),
    *("best_layer", "best_layer_index", "best_mse", "best_r2", "best_r2_low", "best_r2_high"),
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


def layer_curves(
    metrics: pd.DataFrame,
    read: Callable[[str], CellPredictions],
    speakers: Mapping[str, str],
    bootstrap: Bootstrap,
) -> pd.DataFrame:
    """A row per model × layer × target × probe.

    Within a seed, errors are pooled over folds by sums (``r2`` = 1 − Σ SSE / Σ SST, SST about each
    fold's own training mean) and correlations averaged over folds with weight ``n_test``; seeds are
    then averaged. A correlation that no fold defines is NaN.

    Args:
        metrics: a row a finished cell, the columns of ``metrics.csv``.
        read: the predictions of a cell by its id; held for one curve at a time.
        speakers: speaker of every utterance id.
        bootstrap: resampling of speakers for ``…_low`` and ``…_high`` (95 %).

    Returns:
        ``LAYER_COLUMNS``, sorted by model, layer index, target, probe (in the order of the
        categories where such a column is an ordered categorical). ``r2_control`` and
        ``selectivity`` are NaN where there is no shuffled control.
    """
    real = metrics[metrics["control"] == "none"]
    control = {
        key: _point(cells)["r2"]
        for key, cells in _curves(metrics[metrics["control"] == "shuffled"])
    }
    rows = []
    for key, cells in _curves(real):
        point = _point(cells)
        r2_control = control.get(key, float("nan"))
        rows.append(
            dict(zip(CURVE, key, strict=True))
            | point
            | _intervals(cells, read, speakers, bootstrap)
            | {
                "r2_control": r2_control,
                "selectivity": point["r2"] - r2_control,
                "gain": point["mean_mse"] - point["mse"],
            }
        )
    return pd.DataFrame(rows, columns=LAYER_COLUMNS)


def model_table(layers: pd.DataFrame) -> pd.DataFrame:
    """The comparison table: a row per model × target × probe, the baselines among the models.

    Args:
        layers: what ``layer_curves`` returned, not empty.

    Returns:
        ``MODEL_COLUMNS``. The best layer has the lowest MSE, of equal ones the first;
        ``mean_pearson`` is the mean over layers (of a CCA probe: the held-out canonical
        correlation). Embedding columns are NaN for a model without that layer. The last row of
        every target is the mean predictor's.
    """
    rows = []
    keys = ["model", "target", "probe"]
    for key, curve in layers.groupby(keys, sort=True, observed=True):
        best = curve.sort_values(["mse", "layer_index"]).iloc[0]
        embedding = curve[curve["layer"] == "embedding"].head(1)
        rows.append(
            dict(zip(keys, key, strict=True))
            | {
                "n_layers": len(curve),
                "embedding_mse": embedding["mse"].mean(),
                "embedding_r2": embedding["r2"].mean(),
                "best_layer": best["layer"],
                "best_layer_index": best["layer_index"],
                "best_mse": best["mse"],
                "best_r2": best["r2"],
                "best_r2_low": best["r2_low"],
                "best_r2_high": best["r2_high"],
                "mean_pearson": curve["pearson"].mean(),
                "mean_mse": curve["mean_mse"].mean(),
            }
        )
    rows += [_mean_predictor(target, curve) for target, curve in layers.groupby("target")]
    return pd.DataFrame(rows, columns=MODEL_COLUMNS)


def _mean_predictor(target: object, curves: pd.DataFrame) -> dict[str, object]:
    """Its row for ``target``; where models could not read the same files, on the most of them."""
    mse = curves.sort_values("n_test", kind="stable", ascending=False)["mean_mse"].iloc[0]
    nothing = dict.fromkeys(MODEL_COLUMNS, float("nan"))
    return nothing | {
        "model": MEAN_PREDICTOR,
        "target": target,
        "probe": "",
        "n_layers": 0,
        "best_layer": "",
        "best_mse": mse,
        "best_r2": 0.0,
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


def _intervals(
    cells: pd.DataFrame,
    read: Callable[[str], CellPredictions],
    speakers: Mapping[str, str],
    bootstrap: Bootstrap,
) -> dict[str, float]:
    runs = [
        [_sums(read(cell_id), speakers) for cell_id in folds["cell_id"]]
        for _, folds in cells.groupby("seed")
    ]
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
