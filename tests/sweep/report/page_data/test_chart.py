"""The data of the chart is that of ``layers.csv``."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from sweep.report.page_data.chart import chart_data
from sweep.report.page_data.maps import _principal
from tests.support.report_data import make_layers

TWINS = (("SimAMResNet34 vb", "SimAMResNet34 random"),)


def test_curves_hold_the_scores_with_their_ends_in_order_of_depth():
    table = make_layers(probes=("ridge", "mlp"), classes=("sex",))
    chart = chart_data(table, TWINS)
    assert [target["name"] for target in chart["targets"]] == ["cps", "sex"]
    curves = [c for c in chart["curves"] if (c["t"], c["p"], c["m"]) == (0, "mlp", 1)]
    own = table[(table["model"] == TWINS[0][1]) & (table["probe"] == "mlp")]
    own = own[own["target"] == "cps"].sort_values("layer_index")
    for name, values in zip(("r2", "r2_low", "r2_high"), curves[0]["v"]["r2"], strict=True):
        assert values == pytest.approx(own[name].tolist(), rel=1e-3)
    assert curves[0]["best"]["r2"] == int(np.argmax(own["r2"]))
    assert curves[0]["best"]["mse"] == int(np.argmin(own["mse"]))
    assert (curves[0]["at"], curves[0]["n"], curves[0]["s"]) == (51, 400, 24)


def test_models_know_their_colours_twins_and_which_layers_a_line_joins():
    trained, untrained = chart_data(make_layers(), TWINS, {(TWINS[0][0], "stem"): 64})["models"]
    assert (trained["dashed"], untrained["untrained"]) == (False, True)
    assert (trained["widths"][0], trained["widths"][1]) == (64, None)
    joined = [name for name, on in zip(trained["layers"], trained["joined"], strict=True) if on]
    assert joined[:2] == ["stem", "layer1.0.relu2"] and joined[-1] == "embedding"
    assert len(joined) == 1 + 16 + 2


def test_references_are_those_of_the_target():
    table = make_layers(probes=("ridge",))
    (target,) = chart_data(table)["targets"]
    assert target["nothing"]["r2"] == 0.0 and target["speaker"]["r2"] == 0.35
    assert {(b["label"], b["probe"]) for b in target["baselines"]} == {
        ("duration only", "ridge"),
        ("fbank only", "ridge"),
    }
    assert "rmse" not in target["metrics"] and "beyond" not in target["metrics"]


def test_slopes_at_other_tempos_are_a_metric_where_the_run_has_them():
    table = make_layers(probes=("ridge",), baselines=False)
    slopes = table[["model", "layer", "layer_index", "target", "probe"]].astype(
        {"model": str, "target": str, "probe": str}
    )
    slopes = slopes.assign(slope=0.5, slope_low=0.25, slope_high=0.75)
    chart = chart_data(table, (), None, slopes)
    assert "slope" in chart["targets"][0]["metrics"]
    assert chart["curves"][0]["v"]["slope"] == [[0.5] * 51, [0.25] * 51, [0.75] * 51]


def test_a_target_whose_cells_all_failed_is_left_out():
    table = make_layers(targets=("cps", "duration"))
    scores = table.columns[table.columns.get_loc("r2") :]
    table.loc[table["target"] == "duration", scores] = np.nan
    assert [target["name"] for target in chart_data(table)["targets"]] == ["cps"]


def test_the_map_shows_the_first_two_principal_components():
    values = np.random.default_rng(0).normal(size=(50, 8)) * np.arange(1, 9)
    found, share = _principal(values)
    oracle = PCA(2).fit(values)
    expected = oracle.transform(values).T
    for ours, theirs in zip(found, expected, strict=True):
        assert np.abs(ours) == pytest.approx(np.abs(theirs), abs=1e-8)
    assert share == pytest.approx(oracle.explained_variance_ratio_)
