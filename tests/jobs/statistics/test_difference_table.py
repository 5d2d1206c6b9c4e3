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
from jobs.statistics.model_table import model_table
from sweep.commands.run_output import print_findings
from sweep.report.text.findings import differences_tables, findings
from sweep.state.run_folder import RunFolder
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
            | {"r2" if kind == "regression" else "accuracy": score}
            | ({"majority_accuracy": 0.3} if kind == "classification" else {})
        )
        honest[model, target, probe] = honest_score
    return Curves(pd.DataFrame(rows).reindex(columns=layer_columns()), honest, errors)


def table_of(curves, twins=()):
    return difference_table(curves, set(twins), Bootstrap(200))


def said_of(curves):
    return findings(curves.layers, model_table(curves), table_of(curves))


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
    assert findings(curves.layers, model_table(curves), found) == []
    assert differences_tables(found) == []


def test_a_peak_is_named_with_the_neighbours_that_it_cannot_be_told_from():
    (said,) = said_of(make_curves({"a": [0.1, 0.68, 0.7, 0.69, 0.1, 0.695, 0.1]}))
    assert said.startswith("a: peak at layer")
    assert said.endswith(
        ", selection-corrected R² 0.50 [0.40, 0.60]; layer1 to layer3, layer5 not distinguishable "
        "from it."
    )


def test_a_peak_that_stands_alone_and_one_that_does_not_stand_out_are_told():
    (alone,) = said_of(make_curves({"a": [0.1, 0.7, 0.2]}))
    assert alone.startswith("a: peak at layer1, ") and alone.endswith("every other layer is worse.")
    (flat,) = said_of(make_curves({"a": [0.5, 0.5, 0.5]}, seed=1))
    assert flat.endswith("no layer is distinguishable from it.")


def test_where_nothing_is_known_that_is_said():
    (said,) = said_of(make_curves({"a": [-0.05, -0.02, -0.08]}))
    told = "(selection-corrected R² 0.50 [0.40, 0.60])"
    assert said == f"a: no layer is clearly above the mean predictor {told}."
    (said,) = said_of(make_curves({"a": [-0.05]}))
    assert said == "a: layer0 is not clearly above the mean predictor (R² 0.50 [0.40, 0.60])."
    (said,) = said_of(make_curves({"a": [-0.5, -0.3]}, target="sex", kind="classification"))
    told = "(selection-corrected accuracy 0.50 [0.40, 0.60])"
    assert said == f"a: no layer is clearly above the majority class {told}."


@pytest.mark.parametrize("low", [-0.2, 0.0, float("nan")])
def test_no_peak_is_named_whose_interval_holds_knowing_nothing(low):
    levels = {"a": [0.1, 0.7, 0.2]}
    (said,) = said_of(make_curves(levels, honest_score=Estimate(0.3, low, 0.8)))
    assert said.startswith(
        "a: no layer is clearly above the mean predictor (selection-corrected R² 0.30"
    )
    (said,) = said_of(make_curves({"a": [0.7]}, honest_score=Estimate(0.3, low, 0.8)))
    assert said.startswith("a: layer0 is not clearly above")
    guessed = Estimate(0.5, 0.25, 0.7)  # the majority class has 0.3
    (said,) = said_of(
        make_curves(levels, target="sex", kind="classification", honest_score=guessed)
    )
    assert said.startswith("a: no layer is clearly above the majority class")


def test_the_terminal_shows_the_peak_alone(tmp_path, capsys):
    (said,) = said_of(make_curves({"a": [0.1, 0.7, 0.2]}))
    folder = RunFolder(tmp_path)
    folder.findings.parent.mkdir(parents=True)
    folder.findings.write_text(f"{said}\n", encoding="utf-8")
    print_findings(folder)
    expected = "a: peak at layer1, selection-corrected R² 0.50 [0.40, 0.60].\n"
    assert capsys.readouterr().out == expected


def test_probe_and_target_are_named_where_there_are_several_and_baselines_have_no_sentence():
    one = make_curves({"a": [0.6], "baseline:fbank": [0.3]})
    other = make_curves({"a": [0.6]}, probe="mlp")
    both = Curves(
        pd.concat([one.layers, other.layers], ignore_index=True),
        {**one.honest, **other.honest},
        {**one.errors, **other.errors},
    )
    assert said_of(one) == ["a: R² 0.50 [0.40, 0.60] at layer0."]
    assert [said.partition(":")[0] for said in said_of(both)] == ["a, mlp", "a, ridge"]


def test_the_table_to_read_has_the_models_with_untrained_ones_marked():
    curves = make_curves({"a": [0.5, 0.6], "b": [0.1, 0.2], "baseline:fbank": [0.3]})
    (table,) = differences_tables(table_of(curves, twins=[("a", "b")]))
    cells = [[cell.text for cell in row] for row in table.rows]
    assert ["ridge", "a", "b (untrained)"] in [row[:3] for row in cells]
    assert len(cells) == 3 and all(row[3].count("[") == 1 for row in cells)
