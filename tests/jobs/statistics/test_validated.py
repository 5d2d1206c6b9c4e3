"""Layers chosen on validation: from the columns of metrics.csv to a comparison of models."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from jobs.protocol.predictions import CellPredictions
from jobs.statistics.curves import POINT_COLUMNS, Bootstrap, layer_curves
from jobs.statistics.difference_table import MODELS, difference_table
from jobs.statistics.scores import VALIDATION_LOSS, score_columns

N_SPEAKERS, EACH = 8, 10
BOOTSTRAP = Bootstrap(resamples=40)


def run(losses, off, n_folds=1, of_classes=False):
    """(metrics, points, read, speakers): models m and n of layers with validation ``losses``
    (layer → one a fold) and an error SD ``off`` (layer → SD) on ``N_SPEAKERS``."""
    rng = np.random.default_rng(0)
    names = np.array([f"s{s}-{u}" for s in range(N_SPEAKERS) for u in range(EACH)])
    speakers = {name: name.split("-")[0] for name in names}
    y = rng.standard_normal(len(names))
    kind = "classification" if of_classes else "regression"
    cells, rows, points = {}, [], []
    for number, (model, layer) in enumerate(losses):
        noise = off[model, layer] * rng.standard_normal(len(names))
        place = {"model": model, "layer": layer, "layer_index": number, "target": "t", "probe": "p"}
        points.append({**place, "probe_kind": "ridge", "target_kind": kind, "planned": n_folds,
                       "planned_control": 0})  # fmt: skip
        for fold in range(n_folds):
            tested = np.arange(len(names)) // EACH % n_folds == fold
            known, predicted = y[tested], (y + noise)[tested]
            if of_classes:
                known, predicted = known > 0, predicted > 0
            name = f"{model} {layer} {fold}"
            cells[name] = CellPredictions(
                fold, 0.0, names[tested], known.astype(np.float32), predicted.astype(np.float32)
            )
            mse, mean_mse = np.mean((known * 1.0 - predicted) ** 2), np.mean(known**2)
            score = {"mse": mse, "mean_mse": mean_mse, "r2": 1 - mse / mean_mse}
            rows.append(
                {**place, "seed": 0, "fold": fold, "control": "none", "n_train": 50,
                 "n_test": int(tested.sum()), **dict.fromkeys(score_columns(), np.nan), **score,
                 "majority_accuracy": 0.5, VALIDATION_LOSS[kind]: losses[model, layer][fold],
                 "cell_id": name}
            )  # fmt: skip
    return pd.DataFrame(rows), pd.DataFrame(points)[POINT_COLUMNS], cells.__getitem__, speakers


def compared(metrics, points, read, speakers):
    curves = layer_curves(points, metrics, read, speakers, BOOTSTRAP)
    table = difference_table(curves, [], BOOTSTRAP)
    [row] = table[table["comparison"] == MODELS].to_dict("records")
    return row


GOOD_ON_VALIDATION = {("m", "a"): [1.0], ("m", "b"): [2.0], ("n", "a"): [5.0], ("n", "b"): [4.0]}
OFF = {("m", "a"): 0.5, ("m", "b"): 0.1, ("n", "a"): 0.2, ("n", "b"): 0.6}


def test_models_are_compared_at_the_layers_that_validation_chose_not_at_those_best_on_test():
    data = run(GOOD_ON_VALIDATION, OFF)
    row = compared(*data)
    assert (row["layer_a"], row["layer_b"]) == ("a", "b")
    cells = data[2]
    losses = [
        (cells(name).y_true - cells(name).y_pred).astype(float) ** 2 for name in ("m a 0", "n b 0")
    ]
    total = np.sum(cells("m a 0").y_true.astype(float) ** 2)
    assert row["difference"] == pytest.approx((losses[1].sum() - losses[0].sum()) / total, rel=1e-6)


def test_the_share_of_wrong_classes_chooses_for_targets_that_are_classes():
    row = compared(*run(GOOD_ON_VALIDATION, OFF, of_classes=True))
    assert (row["layer_a"], row["layer_b"]) == ("a", "b")
    assert -1 <= row["low"] < row["difference"] < row["high"] <= 1


def test_with_folds_every_fold_has_the_layer_that_its_own_validation_fold_chose():
    losses = {("m", "a"): [1, 2], ("m", "b"): [2, 1], ("n", "a"): [1, 1], ("n", "b"): [2, 2]}
    data = run(losses, OFF, n_folds=2)
    row = compared(*data)
    assert (row["layer_a"], row["layer_b"]) == ("a / b", "a")
    cells = data[2]

    def loss(*names):
        pairs = [(cells(name).y_true.astype(float), cells(name).y_pred) for name in names]
        return sum(np.sum((y - p) ** 2) for y, p in pairs) / sum(np.sum(y**2) for y, _ in pairs)

    expected = loss("n a 0", "n a 1") - loss("m a 0", "m b 1")
    assert row["difference"] == pytest.approx(expected, rel=1e-6)


def test_speakers_of_equal_weight_are_compared_as_by_a_paired_t_test():
    """Accuracies of equal numbers of utterances are means over speakers."""
    data = run(GOOD_ON_VALIDATION, OFF, of_classes=True)
    row, cells = compared(*data), data[2]
    right = [
        (cells(name).y_true == cells(name).y_pred).reshape(N_SPEAKERS, EACH).mean(axis=1)
        for name in ("m a 0", "n b 0")
    ]
    difference = right[0] - right[1]
    error = difference.std(ddof=1) / N_SPEAKERS**0.5
    # Degrees of freedom are at most S − 1, and at least half as many.
    most, least = (2 * stats.t(d).sf(abs(difference.mean()) / error) for d in (3.5, 7))
    assert least - 1e-9 <= row["p"] <= most + 1e-9


@pytest.mark.parametrize("lost", [slice(0, 1), slice(None)])
def test_without_validation_losses_of_all_layers_the_choice_is_that_of_other_speakers(lost):
    metrics, *rest = run(GOOD_ON_VALIDATION, OFF)
    metrics.loc[metrics.index[lost], "validation_mse"] = np.nan
    row = compared(metrics, *rest)
    assert (row["layer_a"], row["layer_b"]) == ("", "")
    assert np.isfinite(row["p"])
    assert compared(metrics.drop(columns="validation_mse"), *rest) == row
