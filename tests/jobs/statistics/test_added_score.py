"""A statistic added as one row has its columns in every table, with an interval."""

import numpy as np
import pandas as pd
import pytest

from jobs.protocol.predictions import CellPredictions
from jobs.statistics.curves import Bootstrap, layer_columns, layer_curves
from jobs.statistics.model_table import model_table
from jobs.statistics.regression import HeldOut, mae_of
from jobs.statistics.scores import SCORES, RegressionScore, score_columns
from jobs.statistics.scoring import score_numbers


def median_error(test: HeldOut) -> float:
    return float(np.median(np.abs(test.y_pred - test.y)))


def row(name, of_test):
    return RegressionScore(
        name=name,
        label="an error",
        definition="An error.",
        of_test=of_test,
        unit="target",
        higher_is_better=False,
        scale="error",
        compared=True,
        drawn=True,
    )


def curves_of_one_layer(seed=0):
    rng = np.random.default_rng(seed)
    speakers = np.repeat([f"s{i}" for i in range(8)], rng.integers(3, 20, 8))
    ids = np.array([f"u{i:03d}" for i in range(len(speakers))])
    y = rng.standard_normal(len(ids)).astype(np.float32)
    y_pred = (0.5 * y + rng.standard_normal(len(ids))).astype(np.float32)
    scores = score_numbers(y.astype(float), y_pred.astype(float), 0.1, speakers)
    point = {"model": "a", "layer": "l", "layer_index": 0, "target": "t", "probe": "p"}
    kinds = {"probe_kind": "ridge", "target_kind": "regression"}
    counts = {"planned": 1, "planned_control": 0}
    cell = {"seed": 0, "fold": 0, "control": "none", "n_test": len(ids), "cell_id": "c"}
    metrics = pd.DataFrame([point | cell | dict.fromkeys(score_columns()) | scores])
    curves = layer_curves(
        pd.DataFrame([point | kinds | counts]),
        metrics,
        lambda _: CellPredictions(0, 0.1, ids, y, y_pred),
        dict(zip(ids, speakers, strict=True)),
        Bootstrap(resamples=20),
    )
    return curves, np.median(np.abs(y_pred.astype(float) - y))


def test_a_row_has_columns_with_an_interval_in_the_tables(monkeypatch):
    before = layer_columns()
    monkeypatch.setitem(SCORES, "median_error", row("median_error", median_error))
    curves, expected = curves_of_one_layer()
    layer, model = curves.layers.iloc[0], model_table(curves).iloc[0]
    assert "median_error" in score_columns()
    assert layer["median_error"] == model["best_median_error"] == pytest.approx(expected)
    assert layer["median_error_low"] < expected < layer["median_error_high"]
    assert [name for name in layer_columns() if "median_error" not in name] == before


def test_an_interval_by_evaluation_is_that_of_sums(monkeypatch):
    monkeypatch.setitem(SCORES, "copy", row("copy", mae_of))
    layer = curves_of_one_layer()[0].layers.iloc[0]
    for end in ("", "_low", "_high"):
        assert layer[f"copy{end}"] == pytest.approx(layer[f"mae{end}"], rel=1e-9)
