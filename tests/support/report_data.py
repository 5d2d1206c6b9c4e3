"""Made-up results of a run, of the shape that the reducer gives, for the tests of the report."""

import numpy as np
import pandas as pd

from jobs.statistics.best_layer import Estimate
from jobs.statistics.curves import Curves, layer_columns
from jobs.statistics.model_table import model_table

BLOCKS = {51: (3, 4, 6, 3), 150: (6, 16, 24, 3)}
POINTS = ("relu1", "simam", "relu2")
MEAN_MSE, MEAN_MAE = 4.41, 1.68
MAJORITY = 0.55
SPEAKER_R2, SPEAKER_ACCURACY = 0.35, 0.7
SPEAKER_MSE = MEAN_MSE * (1 - SPEAKER_R2)


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


def level_of(name):
    """Level of a tap of a SimAM-ResNet; taps with plain names have none."""
    known = {"stem": "input", "pooling": "embedding", "embedding": "embedding"}
    if name in known or "." not in name:
        return known.get(name, "unspecified")
    return "block output" if name.endswith("relu2") else "inside a block"


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
            "target_kind": "regression",
            "probe_kind": {"study-mlp": "mlp"}.get(probe, probe),
            "cells": 5,
            "missing": 0,
            "missing_control": 0,
            "n_test": 400,
            "n_speakers": 24,
            "seeds": 1,
            "folds": 5,
            "influential_speaker": "",
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
            "r2_type_control": control,
            "selectivity": r2 - np.maximum(control, 0),
            "mean_mse": MEAN_MSE,
            "mean_mae": MEAN_MAE,
            "gain": MEAN_MSE - mse,
            "speaker_mean_r2": SPEAKER_R2,
            "speaker_mean_mse": SPEAKER_MSE,
            "speaker_mean_mae": MEAN_MAE * 0.8,
            "speaker_mean_pearson": 0.6,
        }
    ).reindex(columns=layer_columns())


def class_curve(model, names, target, probe, level, rng, spread=0.05):
    """Rows of layers.csv for one curve of a class: accuracy rises to ``level`` in the middle."""
    depth = np.linspace(0, 1, len(names)) if len(names) > 1 else np.array([0.4])
    accuracy = level - 0.5 * (depth - 0.4) ** 2 + rng.normal(0, 0.01, len(names))
    scores = {
        "accuracy": accuracy,
        "balanced_accuracy": accuracy - 0.03,
        "macro_f1": accuracy - 0.05,
    }
    ends = {
        f"{name}{end}": values + sign * spread
        for name, values in scores.items()
        for end, sign in (("_low", -1), ("_high", 1))
    }
    frame = pd.DataFrame(
        {
            "model": model,
            "layer": names,
            "layer_index": range(len(names)),
            "target": target,
            "probe": probe,
            "target_kind": "classification",
            "probe_kind": probe,
            **{"cells": 5, "missing": 0, "missing_control": 0},
            **{"n_test": 400, "n_speakers": 24, "seeds": 1, "folds": 5},
            "influential_speaker": "",
            **scores,
            **ends,
            "majority_accuracy": MAJORITY,
            "accuracy_control": MAJORITY - 0.04,
            "accuracy_type_control": MAJORITY - 0.04,
            "selectivity": accuracy - MAJORITY + 0.04,
            "gain": accuracy - MAJORITY,
            "speaker_mean_accuracy": SPEAKER_ACCURACY,
        }
    )
    return frame.reindex(columns=layer_columns())


def make_layers(
    models=(("SimAMResNet34 vb", 51), ("SimAMResNet34 random", 51)),
    probes=("ridge", "mlp", "study-mlp", "cca"),
    targets=("cps",),
    baselines=True,
    classes=(),
    seed=0,
):
    """layers.csv of a whole run; probe ``study-mlp`` goes badly wrong in the deep layers.

    ``classes`` are targets of the probe ``logistic``, beside those of the others.
    """
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
    for target in classes:
        for number, (model, n_layers) in enumerate(models):
            names, level = layer_names(n_layers), 0.9 - 0.1 * number
            frames.append(class_curve(model, names, target, "logistic", level, rng))
        if baselines:
            frame = class_curve("baseline:duration", ["duration"], target, "logistic", 0.58, rng)
            frames.append(frame)
    layers = pd.concat(frames, ignore_index=True)
    for column in ("model", "target", "probe"):  # ordered as in the spec, as the reducer has them
        names = pd.unique(layers[column])
        layers[column] = pd.Categorical(layers[column], categories=names, ordered=True)
    layers.insert(3, "level", layers["layer"].map(level_of))
    return layers.sort_values(["model", "layer_index", "target", "probe"], ignore_index=True)


def make_models(layers):
    """models.csv of ``layers``; on other speakers, every best layer is 0.05 worse."""
    honest = {}
    for key, curve in layers.groupby(["model", "target", "probe"], observed=True):
        best = curve[["r2", "accuracy"]].max().max() - 0.05
        honest[tuple(map(str, key))] = Estimate(best, best - 0.1, best + 0.07)
    return model_table(Curves(layers, honest, {}))


def make_metrics(layers):
    """metrics.csv with a cell a row of layers.csv."""
    kept = ["model", "layer", "layer_index", "target", "probe", "mse", "mae", "rmse", "r2"]
    kept += ["accuracy", "macro_f1"]
    metrics = layers[kept].assign(seed=0, fold=0, control="none", seconds=0.1)
    return metrics.assign(cell_id=[f"{number:016x}" for number in range(len(metrics))])
