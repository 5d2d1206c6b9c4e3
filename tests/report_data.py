"""Made-up results of a run, of the shape that the reducer gives, for the tests of the report."""

import numpy as np
import pandas as pd

from jobs.reduce import Curves, model_table
from jobs.selection import Estimate

BLOCKS = {51: (3, 4, 6, 3), 150: (6, 16, 24, 3)}
POINTS = ("relu1", "simam", "relu2")
MEAN_MSE, MEAN_MAE = 4.41, 1.68


def layer_names(n_layers):
    """Names of the taps of a SimAM-ResNet; any other number of layers gets plain names."""
    if n_layers not in BLOCKS:
        return [f"layer{index}" for index in range(n_layers)]
    blocks = [
        f"layer{stage}.{block}.{point}"
        for stage, count in enumerate(BLOCKS[n_layers], start=1)
        for block in range(count)
        for point in POINTS
    ]
    return ["stem", *blocks, "pooling", "embedding"]


def curve(model, names, target, probe, level, rng, spread=0.06):
    """Rows of layers.csv for one curve: R² rises to ``level`` at two fifths of the depth."""
    depth = np.linspace(0, 1, len(names)) if len(names) > 1 else np.array([0.4])
    r2 = level - 0.8 * (depth - 0.4) ** 2 + rng.normal(0, 0.01, len(names))
    mse = MEAN_MSE * (1 - r2)
    mae = MEAN_MAE * np.sqrt(np.maximum(1 - r2, 0))
    pearson = np.sqrt(np.clip(r2, 0, None))
    control = rng.normal(-0.02, 0.01, len(names))
    return pd.DataFrame(
        {
            "model": model,
            "layer": names,
            "layer_index": range(len(names)),
            "target": target,
            "probe": probe,
            "probe_kind": {"study-mlp": "mlp"}.get(probe, probe),
            "cells": 5,
            "missing": 0,
            "missing_control": 0,
            "n_test": 400,
            "n_speakers": 24,
            "seeds": 1,
            "folds": 5,
            "r2": r2,
            "r2_low": r2 - spread,
            "r2_high": r2 + spread,
            "mse": mse,
            "mse_low": mse - MEAN_MSE * spread,
            "mse_high": mse + MEAN_MSE * spread,
            "mae": mae,
            "mae_low": mae - MEAN_MAE * spread,
            "mae_high": mae + MEAN_MAE * spread,
            "rmse": np.sqrt(mse),
            "pearson": pearson,
            "pearson_low": pearson - spread,
            "pearson_high": pearson + spread,
            "spearman": pearson,
            "within_speaker": pearson - 0.1,
            "r2_control": control,
            "selectivity": r2 - np.maximum(control, 0),
            "mean_mse": MEAN_MSE,
            "mean_mae": MEAN_MAE,
            "gain": MEAN_MSE - mse,
        }
    )


def make_layers(
    models=(("SimAMResNet34 vb", 51), ("SimAMResNet34 random", 51)),
    probes=("ridge", "mlp", "study-mlp", "cca"),
    targets=("cps",),
    baselines=True,
    seed=0,
):
    """layers.csv of a whole run; probe ``study-mlp`` goes badly wrong in the deep layers."""
    rng = np.random.default_rng(seed)
    frames = []
    for target in targets:
        for probe in probes:
            for number, (model, n_layers) in enumerate(models):
                frame = curve(
                    model, layer_names(n_layers), target, probe, 0.62 - 0.12 * number, rng
                )
                if probe == "study-mlp" and n_layers > 1:
                    bad = np.arange(n_layers) > 0.75 * n_layers
                    frame.loc[bad, ["r2", "r2_low", "r2_high"]] -= 20.0
                    frame.loc[bad, ["mse", "mse_low", "mse_high"]] += 20.0 * MEAN_MSE
                    frame.loc[bad, ["mae", "mae_low", "mae_high"]] += 4.0 * MEAN_MAE
                frames.append(frame)
            if baselines:
                frames.append(curve("baseline:duration", ["duration"], target, probe, 0.04, rng))
                frames.append(curve("baseline:fbank", ["statistics"], target, probe, 0.31, rng))
    layers = pd.concat(frames, ignore_index=True)
    for column in ("model", "target", "probe"):  # ordered as in the spec, as the reducer has them
        names = pd.unique(layers[column])
        layers[column] = pd.Categorical(layers[column], categories=names, ordered=True)
    return layers.sort_values(["model", "layer_index", "target", "probe"], ignore_index=True)


def make_models(layers):
    """models.csv of ``layers``; on other speakers, every best layer is 0.05 worse."""
    honest = {}
    for key, curve in layers.groupby(["model", "target", "probe"], observed=True):
        best = curve["r2"].max() - 0.05
        honest[tuple(map(str, key))] = Estimate(best, best - 0.1, best + 0.07)
    return model_table(Curves(layers, honest))


def make_metrics(layers):
    """metrics.csv with a cell a row of layers.csv."""
    kept = ["model", "layer", "layer_index", "target", "probe", "mse", "mae", "rmse", "r2"]
    metrics = layers[kept].assign(seed=0, fold=0, control="none", seconds=0.1)
    return metrics.assign(cell_id=[f"{number:016x}" for number in range(len(metrics))])
