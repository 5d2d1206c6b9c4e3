"""Which differences are told, of which family each is part, and what is said of them."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from jobs.statistics.best_layer import Estimate, SpeakerErrors
from jobs.statistics.curves import CURVE, Bootstrap, Curves, layer_columns
from jobs.statistics.difference_table import (
    DIFFERENCE_COLUMNS,
    LAYER_BEST,
    LAYER_NOTHING,
    MODELS,
    TRAINED,
    TRAINED_LAYER,
    difference_table,
)
from jobs.statistics.differences import between_layers
from tests.jobs.statistics.test_differences import make_errors

SPEAKERS = tuple(f"s{i:02d}" for i in range(40))


HONEST = Estimate(0.5, 0.4, 0.6)


def make_curves(
    models, probe="ridge", target="cps", kind="regression", lacking=(), seed=0, honest_score=HONEST
):
    """Curves of ``models``: name → R² of its layers; points in ``lacking`` have no complete cells.

    Errors of all layers of all models are correlated.
    """
    rng = np.random.default_rng(seed)
    places = [(m, f"layer{i}", i) for m, levels in models.items() for i in range(len(levels))]
    values = make_errors(rng, [r2 for levels in models.values() for r2 in levels], 40, shared=0.9)
    rows, errors, honest = [], {}, {}
    for (model, layer, index), value in zip(places, values, strict=True):
        key = (model, layer, index, target, probe)
        errors[key] = SpeakerErrors(SPEAKERS, value)
        score = 1 - value[:, 1].sum() / value[:, 2].sum()
        rows.append(
            dict(zip(CURVE, key, strict=True))
            | {"probe_kind": probe, "target_kind": kind, "cells": 1, "mse": 1 - score}
            | {"missing": int(key[:2] in lacking), "missing_control": 0}
            | {"influential_speaker": "", "interval_over": "speakers"}
            | {"r2" if kind == "regression" else "accuracy": score}
            | ({"majority_accuracy": 0.3} if kind == "classification" else {})
        )
        honest[model, target, probe] = honest_score
    return Curves(pd.DataFrame(rows).reindex(columns=layer_columns()), honest, errors)


def table_of(curves, twins=()):
    return difference_table(curves, set(twins), Bootstrap(200))


def test_every_family_is_there_and_corrected_by_itself():
    curves = make_curves({"a": [0.2, 0.5, 0.4], "b": [0.1, 0.3, 0.2], "fbank": [0.25]})
    found = table_of(curves, twins=[("a", "b")])
    assert list(found.columns) == DIFFERENCE_COLUMNS
    counts = found["comparison"].value_counts()
    assert counts.to_dict() == {
        LAYER_NOTHING: 7, LAYER_BEST: 4, TRAINED_LAYER: 3, MODELS: 2, TRAINED: 1,
    }  # fmt: skip
    families = found[found["comparison"] != LAYER_BEST].groupby(["comparison", "model_a"])
    for (comparison, _), family in families:
        if comparison != MODELS:
            expected = multipletests(family["p"], method="holm")[1]
            assert family["p_holm"].to_numpy() == pytest.approx(expected, rel=1e-12)
    models = found[found["comparison"] == MODELS]  # a family of all pairs
    expected = multipletests(models["p"], method="holm")[1]
    assert models["p_holm"].to_numpy() == pytest.approx(expected, rel=1e-12)
    best = found[found["comparison"] == LAYER_BEST]
    assert (best["p"] == best["p_holm"]).all() and set(best["layer_b"]) == {"layer1"}
    assert (found["low"] <= found["difference"]).all()
    assert (found["difference"] <= found["high"]).all()


def test_a_twin_is_compared_layer_by_layer_whichever_comes_first():
    curves = make_curves({"random": [0.1, 0.3], "trained": [0.2, 0.5]})
    found = table_of(curves, twins=[("trained", "random")])
    layers = found[found["comparison"] == TRAINED_LAYER]
    assert list(layers["model_a"]) == ["trained"] * 2 and list(layers["layer_b"]) == [
        "layer0",
        "layer1",
    ]
    errors = [curves.errors[m, "layer1", 1, "cps", "ridge"].values for m in ("trained", "random")]
    expected = between_layers(*(value[None] for value in errors))
    row = layers.iloc[1]
    assert row["difference"] == pytest.approx(expected.value[0], rel=1e-12)
    assert row["p"] == pytest.approx(expected.p[0], rel=1e-12)
    at_best = found[found["comparison"] == TRAINED].iloc[0]
    assert (at_best["model_a"], at_best["layer_a"], at_best["p"] < 0.05) == ("trained", "", True)


def test_speakers_of_one_model_alone_count_in_its_score():
    curves = make_curves({"a": [0.5], "b": [0.2]})
    key = ("b", "layer0", 0, "cps", "ridge")
    curves.errors[key] = SpeakerErrors(SPEAKERS[5:], curves.errors[key].values[5:])
    found = table_of(curves).set_index("comparison").loc[MODELS]
    scores = [1 - e.values[:, 1].sum() / e.values[:, 2].sum() for e in curves.errors.values()]
    assert found["difference"] == pytest.approx(scores[0] - scores[1], rel=1e-9)


def test_points_that_lack_cells_are_not_compared():
    curves = make_curves({"a": [0.2, 0.9, 0.4]}, lacking=[("a", "layer1")])
    found = table_of(curves)
    assert "layer1" not in {*found["layer_a"], *found["layer_b"]}


def test_without_a_done_cell_the_table_is_empty_with_its_columns():
    curves = make_curves({"a": [0.2]})
    curves = Curves(curves.layers.assign(cells=0), {}, {})
    found = table_of(curves)
    assert found.empty and list(found.columns) == DIFFERENCE_COLUMNS
