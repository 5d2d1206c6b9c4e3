"""Curves and tables pinned to their definitions, on lopsided folds."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from jobs.protocol.predictions import CellPredictions
from jobs.statistics.classification import class_sums
from jobs.statistics.curves import CURVE, Bootstrap, layer_columns, layer_curves
from jobs.statistics.difference_table import difference_table
from jobs.statistics.model_table import (
    MAJORITY_CLASS,
    MEAN_PREDICTOR,
    SPEAKER_MEAN,
    model_columns,
    model_table,
)
from jobs.statistics.regression import speaker_sums
from jobs.statistics.scoring import score_classes, score_numbers
from jobs.statistics.speaker_intervals import class_intervals, regression_intervals
from jobs.statistics.speaker_mean import speaker_mean_scores

SPEAKERS = {f"s{i}-{j}": f"s{i}" for i in range(9) for j in range(4 + 3 * i)}
REFERENCES_OF_CPS = [(SPEAKER_MEAN, ""), (MEAN_PREDICTOR, "")]
NAMES = np.array(list(SPEAKERS))
FOLDS = [np.array([int(SPEAKERS[n][1:]) % 3 == fold for n in NAMES]) for fold in range(3)]


class Run:
    """Cells as a sweep would leave them: metrics, and predictions by id."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)
        self.truth = 12 + self.rng.standard_normal(len(NAMES)).astype(np.float32)
        self.rows, self.cells, self.reads = [], {}, []

    def add(self, model, layer, index, probe, noise, seeds=2, folds=(0, 1, 2), control="none"):
        for seed in range(seeds):
            for fold in folds:
                self._cell(model, layer, index, probe, noise, seed, fold, control)
        return self

    def _cell(self, model, layer, index, probe, noise, seed, fold, control):
        cell_id = f"{model}/{layer}/{probe}/{seed}/{fold}/{control}"
        tested = FOLDS[fold]
        y = self.truth[tested]
        y_pred = (y + noise * self.rng.standard_normal(len(y))).astype(np.float32)
        mean = float(self.truth[~tested].mean())
        groups = np.array([SPEAKERS[name] for name in NAMES[tested]])
        scores = score_numbers(y.astype(float), y_pred.astype(float), mean, groups)
        self.cells[cell_id] = CellPredictions(fold, mean, NAMES[tested], y, y_pred)
        self.rows.append(
            {"model": model, "layer": layer, "layer_index": index, "target": "cps", "probe": probe}
            | {"seed": seed, "fold": fold, "control": control, "n_test": len(y)}
            | scores
            | {"cell_id": cell_id}
        )

    def add_classes(self, model, layer, index, right, seeds=2, control="none"):
        """Cells of a target with two classes, of which a share ``right`` is found."""
        truth = (self.truth > 12.5).astype(np.float32)
        for seed in range(seeds):
            for fold, tested in enumerate(FOLDS):
                cell_id = f"{model}/{layer}/logistic/{seed}/{fold}/{control}"
                y = truth[tested]
                y_pred = np.where(self.rng.random(len(y)) < right, y, 1 - y).astype(np.float32)
                self.cells[cell_id] = CellPredictions(fold, 0.0, NAMES[tested], y, y_pred)
                self.rows.append(
                    {"model": model, "layer": layer, "layer_index": index, "target": "sex"}
                    | {"probe": "logistic", "seed": seed, "fold": fold, "control": control}
                    | {"n_test": len(y), "cell_id": cell_id}
                    | score_classes(y.astype(float), y_pred.astype(float), 0.0)
                )
        return self

    def read(self, cell_id):
        self.reads.append(cell_id)
        return self.cells[cell_id]

    def metrics(self):
        columns = [*CURVE, "seed", "fold", "control", "n_test", "cell_id"]
        frame = pd.DataFrame(self.rows, columns=columns if not self.rows else None)
        return frame.sample(frac=1, random_state=0)  # as cells finish

    def points(self, planned=None):
        """Every point with a cell; planned is what is there, or ``planned`` cells of each."""
        cells = pd.DataFrame(self.rows)
        counts = cells.groupby(CURVE, sort=False)["control"].value_counts().unstack(fill_value=0)
        counts = counts.reindex(columns=["none", "shuffled", "speaker", "type"], fill_value=0)
        points = counts.rename(columns={"none": "planned"})
        controls = ("shuffled", "speaker", "type")
        points["planned_control"] = sum(points.pop(name) for name in controls)
        if planned is not None:
            points["planned"] = planned
        return points.reset_index().assign(
            probe_kind=lambda frame: frame["probe"],
            target_kind=lambda frame: frame["target"].map(
                {"cps": "regression", "sex": "classification"}
            ),
        )

    def all_curves(self, resamples=200, points=None):
        points = self.points() if points is None else points
        return layer_curves(points, self.metrics(), self.read, SPEAKERS, Bootstrap(resamples))

    def curves(self, resamples=200, points=None):
        return self.all_curves(resamples, points).layers

    def folds(self, key):
        """Per seed, (y, y_pred, train mean, groups) of every fold of a curve's point."""
        picked = {}
        for cell_id, cell in self.cells.items():
            *start, seed, _, control = cell_id.split("/")
            if "/".join(start) == key and control == "none":
                groups = np.array([SPEAKERS[name] for name in cell.utterance_id])
                y, y_pred = cell.y_true.astype(float), cell.y_pred.astype(float)
                picked.setdefault(seed, []).append((y, y_pred, cell.train_mean, groups))
        return list(picked.values())


def test_errors_are_pooled_over_folds_correlations_weighted_and_seeds_averaged():
    run = Run().add("m", "stem", 0, "mlp", 0.7)
    (row,) = run.curves().to_dict("records")
    r2, mse, rmse, mae, r = [], [], [], [], []
    for folds in run.folds("m/stem/mlp"):
        sse = sum(((y - p) ** 2).sum() for y, p, _, _ in folds)
        sst = sum(((y - mean) ** 2).sum() for y, _, mean, _ in folds)
        n = [len(y) for y, *_ in folds]
        r2.append(1 - sse / sst)
        mse.append(sse / sum(n))
        rmse.append(np.sqrt(sse / sum(n)))
        mae.append(sum(np.abs(y - p).sum() for y, p, _, _ in folds) / sum(n))
        r.append(np.average([np.corrcoef(y, p)[0, 1] for y, p, _, _ in folds], weights=n))
    found = [row[name] for name in ("r2", "mse", "rmse", "mae", "pearson")]
    assert found == pytest.approx([np.mean(v) for v in (r2, mse, rmse, mae, r)], rel=1e-9)
    assert row["gain"] == pytest.approx(row["mean_mse"] - row["mse"], rel=1e-12)
    counts = [row[name] for name in ("n_test", "n_speakers", "seeds", "folds")]
    assert counts == [len(NAMES), 9, 2, 3]


def test_intervals_are_those_of_the_same_folds_and_hold_the_point():
    run = Run().add("m", "stem", 0, "ridge", 0.7, seeds=1).add("m", "top", 1, "ridge", 1.2)
    curves = run.curves().set_index("layer")
    sums = [[speaker_sums(*fold) for fold in folds] for folds in run.folds("m/top/ridge")]
    for name, (low, high) in regression_intervals(sums).items():
        row = curves.loc["top"]
        assert (row[f"{name}_low"], row[f"{name}_high"]) == (low, high)
        assert low < row[name] < high


def test_selectivity_is_the_distance_from_a_control_that_found_something():
    run = Run().add("m", "stem", 0, "ridge", 0.5).add("m", "top", 1, "ridge", 0.5)
    run.add("m", "stem", 0, "ridge", 0.8, control="type")
    stem, top = run.curves().to_dict("records")
    assert 0 < stem["r2_type_control"] < stem["r2"]
    assert stem["selectivity"] == stem["r2"] - stem["r2_type_control"]
    assert np.isnan(top["r2_type_control"]) and np.isnan(top["selectivity"])
    assert not any("type" in cell_id for cell_id in run.reads)


def test_other_controls_have_columns_of_their_own_and_no_part_in_selectivity():
    run = Run().add("m", "stem", 0, "ridge", 0.5)
    run.add("m", "stem", 0, "ridge", 0.8, control="shuffled")
    run.add("m", "stem", 0, "ridge", 0.6, control="speaker")
    run.add_classes("m", "stem", 0, 0.8).add_classes("m", "stem", 0, 0.6, control="speaker")
    points = run.points()
    numbers, classes = run.curves(10, points).to_dict("records")
    assert 0 < numbers["r2_control"] < numbers["r2_speaker_control"] < numbers["r2"]
    assert np.isnan(numbers["selectivity"]) and np.isnan(numbers["r2_type_control"])
    assert 0.5 < classes["accuracy_speaker_control"] < classes["accuracy"]
    assert np.isnan(classes["selectivity"]) and np.isnan(classes["r2_speaker_control"])
    lost = next(row for row in run.rows if row["control"] == "speaker" and row["target"] == "cps")
    run.rows.remove(lost)
    assert run.curves(10, points)["missing_control"].tolist() == [1, 0]


def test_the_speaker_mean_is_that_of_what_was_tested():
    run = Run()
    run.truth += np.array([int(SPEAKERS[name][1:]) % 4 for name in NAMES], dtype=np.float32)
    run.add("m", "stem", 0, "ridge", 0.5, seeds=1)
    row = run.curves(10).iloc[0]
    parts = [(y, groups, mean) for y, _, mean, groups in run.folds("m/stem/ridge")[0]]
    for name, value in speaker_mean_scores(parts, of_classes=False).items():
        assert row[name] == pytest.approx(value, rel=1e-12), name


def test_a_control_below_zero_earns_no_selectivity():
    run = Run().add("m", "stem", 0, "ridge", 0.5)
    run.add("m", "stem", 0, "ridge", 2.0, control="type")
    (stem,) = run.curves().to_dict("records")
    assert stem["r2_type_control"] < 0 < stem["r2"]
    assert stem["selectivity"] == stem["r2"]


def test_selectivity_is_undefined_where_r2_is():
    run = Run().add("m", "stem", 0, "ridge", 0.5)
    run.add("m", "stem", 0, "ridge", 2.0, control="type")
    for row in run.rows:
        if row["control"] == "none":
            row["mean_mse"] = 0.0  # a constant target
    (stem,) = run.curves(10).to_dict("records")
    assert np.isnan(stem["r2"]) and np.isnan(stem["selectivity"])
    assert stem["r2_type_control"] < 0


@pytest.mark.parametrize("by_fold", [False, True])
def test_a_constant_target_has_no_score_however_its_mean_is_rounded(by_fold):
    run = Run()
    run.truth = np.full(len(NAMES), 0.1, dtype=np.float32)
    run.add("m", "stem", 0, "ridge", 0.0).add("m", "top", 1, "ridge", 1e-8)
    run.cells = {
        name: dataclasses.replace(cell, train_mean=cell.train_mean * (1 + 1e-15))
        for name, cell in run.cells.items()
    }
    metrics = run.metrics().assign(
        mean_mse=1e-34, speaker_mean_mse=0.0, speaker_mean_mae=0.0, speaker_mean_pearson=None,
        n_speakers=9,
    )  # fmt: skip
    read = None if by_fold else run.read
    curves = layer_curves(run.points(), metrics, read, SPEAKERS, Bootstrap(100))
    scores = curves.layers[["r2", "r2_low", "r2_high", "speaker_mean_r2", "selectivity"]]
    assert scores.isna().all(axis=None)
    assert (curves.layers["mse"] < 1e-15).all()
    for estimate in curves.honest.values():
        assert np.isnan([estimate.value, estimate.low, estimate.high]).all()
    assert difference_table(curves, set(), Bootstrap(100)).empty
    table = model_table(curves).set_index("probe").loc["ridge"]
    assert np.isnan([table["best_r2"], table["best_r2_honest"]]).all()


def test_rows_come_in_one_order_and_predictions_a_curve_at_a_time():
    run = Run()
    for model in ("b", "a"):
        for index in (10, 2):
            run.add(model, f"layer{index}", index, "ridge", 1).add(
                model, f"layer{index}", index, "cca", 1
            )
    curves = run.curves(resamples=10)
    assert list(curves.columns) == layer_columns()
    keys = list(curves[["model", "layer_index", "probe"]].itertuples(index=False, name=None))
    assert keys == [(m, i, p) for m in "ab" for i in (2, 10) for p in ("cca", "ridge")]
    points = [cell_id.rsplit("/", 3)[0] for cell_id in run.reads]
    assert len(list(dict.fromkeys(points))) == 8
    assert points == sorted(points, key=list(dict.fromkeys(points)).index)


def test_an_ordered_categorical_keeps_the_order_of_its_categories():
    run = Run().add("b", "stem", 0, "ridge", 1).add("a", "stem", 0, "ridge", 1)
    run.add("b", "stem", 0, "mlp", 1, seeds=1).add("a", "stem", 0, "mlp", 1, seeds=1)
    points = run.points()
    points["model"] = pd.Categorical(points["model"], ["b", "a", "unused"], ordered=True)
    points["probe"] = pd.Categorical(points["probe"], ["ridge", "mlp"], ordered=True)
    curves = run.all_curves(10, points)
    expected = [("b", "ridge"), ("b", "mlp"), ("a", "ridge"), ("a", "mlp")]
    for table, last in ((curves.layers, []), (model_table(curves), REFERENCES_OF_CPS)):
        rows = list(table[["model", "probe"]].itertuples(index=False, name=None))
        assert rows == expected + last
    assert curves.layers["model"].dtype == points["model"].dtype


def test_a_correlation_that_is_not_defined_is_nan_and_others_are_averaged_without_it():
    run = Run().add("m", "stem", 0, "cca", 0.5, seeds=1)
    run.rows[0] |= {"pearson": None}
    row = run.curves(10).iloc[0]
    left = run.rows[1:]
    expected = np.average([r["pearson"] for r in left], weights=[r["n_test"] for r in left])
    assert row["pearson"] == pytest.approx(expected, rel=1e-12)
    for one in run.rows:
        one["spearman"] = None
    assert np.isnan(run.curves(10).iloc[0]["spearman"])


def test_a_fold_that_failed_leaves_the_rest_of_its_curve_and_is_counted():
    run = Run().add("m", "stem", 0, "ridge", 0.5, seeds=1, folds=(0, 2))
    row = run.curves(10, run.points(planned=3)).iloc[0]
    assert (row["folds"], row["n_test"]) == (2, FOLDS[0].sum() + FOLDS[2].sum())
    assert (row["cells"], row["missing"], row["missing_control"]) == (2, 1, 0)


def test_a_control_cell_that_failed_is_counted():
    run = Run().add("m", "stem", 0, "ridge", 0.5, seeds=1)
    run.add("m", "stem", 0, "ridge", 2.0, seeds=1, control="shuffled")
    points = run.points()
    run.rows.pop()
    row = run.curves(10, points).iloc[0]
    assert (row["cells"], row["missing"], row["missing_control"]) == (3, 0, 1)


def test_a_point_that_lacks_cells_is_no_best_layer_unless_all_do():
    run = Run().add("m", "a", 0, "ridge", 0.2, folds=(0, 1)).add("m", "b", 1, "ridge", 0.9)
    best = model_table(run.all_curves(10, run.points(planned=6))).iloc[0]
    assert (best["best_layer"], best["missing"], best["n_layers"]) == ("b", 2, 2)
    best = model_table(run.all_curves(10, run.points(planned=7))).iloc[0]
    assert (best["best_layer"], best["missing"]) == ("a", 4)


def test_a_point_without_a_done_cell_has_a_row_without_scores():
    run = Run().add("m", "stem", 0, "ridge", 0.5).add("m", "top", 1, "ridge", 0.5)
    points = run.points()
    run.rows = [row for row in run.rows if row["layer"] == "stem"]
    curves = run.all_curves(10, points)
    lost = curves.layers.iloc[1]
    assert (lost["layer"], lost["cells"], lost["missing"], lost["n_test"]) == ("top", 0, 6, 0)
    assert np.isnan(lost["r2"]) and np.isnan(lost["mse_low"])
    assert model_table(curves).iloc[0]["n_layers"] == 1


def test_no_finished_cell_gives_empty_tables_with_their_columns():
    run = Run().add("m", "stem", 0, "ridge", 0.5)
    points = run.points()
    run.rows = []
    for some in (points, points.iloc[:0]):
        curves = run.all_curves(10, some)
        assert list(curves.layers.columns) == layer_columns()
        assert len(curves.layers) == len(some)
        table = model_table(curves)
        assert table.empty and list(table.columns) == model_columns()


def test_the_model_table_compares_embedding_and_best_layer_beside_the_baselines():
    run = Run().add("m", "stem", 0, "ridge", 1.5).add("m", "layer1", 1, "ridge", 0.3)
    run.add("m", "embedding", 2, "ridge", 0.8).add("baseline:duration", "duration", 0, "ridge", 1)
    found = run.all_curves(50)
    curves, table = found.layers, model_table(found).set_index("model")
    assert list(table.index) == ["baseline:duration", "m", SPEAKER_MEAN, MEAN_PREDICTOR]
    by_layer = curves[curves["model"] == "m"].set_index("layer")
    row = table.loc["m"]
    assert (row["best_layer"], row["best_layer_index"], row["n_layers"]) == ("layer1", 1, 3)
    assert row["best_mse"] == by_layer.loc["layer1", "mse"] == by_layer["mse"].min()
    assert row["best_r2_low"] == by_layer.loc["layer1", "r2_low"]
    honest = [row[f"best_r2_honest{end}"] for end in ("_low", "", "_high")]
    assert honest == sorted(honest) and honest[1] == pytest.approx(row["best_r2"], abs=0.05)
    alone = table.loc["baseline:duration"]
    for end in ("", "_low", "_high"):  # nothing was chosen
        assert alone[f"best_r2_honest{end}"] == pytest.approx(alone[f"best_r2{end}"], abs=1e-9)
    assert row["embedding_mse"] == by_layer.loc["embedding", "mse"]
    assert row["mean_pearson"] == pytest.approx(by_layer["pearson"].mean())
    assert np.isnan(table.loc["baseline:duration", "embedding_mse"])
    of_speaker, point = table.loc[SPEAKER_MEAN], curves.iloc[0]
    assert of_speaker["best_r2"] == point["speaker_mean_r2"]
    assert of_speaker["best_mse"] == point["speaker_mean_mse"]
    mean = table.loc[MEAN_PREDICTOR]
    assert (mean["best_mse"], mean["best_r2"], mean["n_layers"]) == (row["mean_mse"], 0, 0)


def test_of_equally_good_layers_the_first_is_the_best():
    run = Run().add("m", "b", 0, "ridge", 0.5)
    later = [row | {"layer": "a", "layer_index": 1} for row in run.rows]
    run.rows += later
    assert model_table(run.all_curves(10)).iloc[0]["best_layer"] == "b"


def test_bootstrap_settings_reach_the_score_of_a_chosen_layer():
    run = Run().add("m", "stem", 0, "ridge", 0.7).add("m", "top", 1, "ridge", 0.7)
    base = Bootstrap(100, seed=0)
    one, two = (
        layer_curves(run.points(), run.metrics(), run.read, SPEAKERS, settings).honest
        for settings in (base, dataclasses.replace(base, seed=1))
    )
    assert one["m", "cps", "ridge"].low != two["m", "cps", "ridge"].low


def test_the_speaker_mean_is_no_worse_than_the_mean_predictor_where_speakers_do_not_differ():
    run = Run()
    run.truth = np.resize(np.array([11, 13], dtype=np.float32), len(NAMES))
    row = run.add("m", "stem", 0, "ridge", 0.5, seeds=1).curves(10).iloc[0]
    parts = [(y, groups, mean) for y, _, mean, groups in run.folds("m/stem/ridge")[0]]
    alone = speaker_mean_scores(parts, of_classes=False)
    assert alone["speaker_mean_r2"] < 0 and alone["speaker_mean_pearson"] < 0
    assert row["speaker_mean_r2"] == row["speaker_mean_pearson"] == 0
    assert row["speaker_mean_mse"] == row["mean_mse"] < alone["speaker_mean_mse"]
    assert row["speaker_mean_mae"] == row["mean_mae"] < alone["speaker_mean_mae"]


def test_no_reference_of_classes_is_below_the_best_constant_prediction():
    """The class that is most frequent in training, 0, is the rarer one in what is tested."""
    run = Run()
    of_fold = np.array([int(SPEAKERS[name][1:]) % 3 for name in NAMES])
    run.truth = np.where(of_fold == 0, 12, 13).astype(np.float32)
    run.add_classes("m", "stem", 0, 0.5).add_classes("m", "stem", 0, 0.1, control="type")
    found = run.all_curves(50)
    row, share = found.layers.iloc[0], np.mean(of_fold != 0)
    trained = run.metrics().query("control == 'none'")
    assert np.average(trained["majority_accuracy"], weights=trained["n_test"]) < 0.5 < share
    assert row["majority_accuracy"] == pytest.approx(share, rel=1e-12)
    assert row["gain"] == row["selectivity"] == row["accuracy"] - row["majority_accuracy"]
    assert row["speaker_mean_accuracy"] == 1
    (errors,) = found.errors.values()
    n, _, _, nothing = errors.values.sum(axis=0)
    assert 1 - nothing / n == pytest.approx(share, rel=1e-12)


def test_the_speakers_most_frequent_class_is_no_worse_a_guess_than_one_class_for_all():
    run = Run()
    run.truth = np.resize(np.array([12, 13], dtype=np.float32), len(NAMES))
    row = run.add_classes("m", "stem", 0, 0.6).curves(10).iloc[0]
    assert row["speaker_mean_accuracy"] == row["majority_accuracy"] >= 0.5


def test_classes_are_pooled_over_folds_with_intervals_and_set_against_control_and_majority():
    run = Run().add_classes("m", "stem", 0, 0.8)
    run.add_classes("m", "stem", 0, 0.55, control="type")
    (row,) = run.curves().to_dict("records")
    per_seed, sums = [], []
    for folds in run.folds("m/stem/logistic"):
        y, y_pred = (np.concatenate([fold[i] for fold in folds]) for i in (0, 1))
        per_seed.append(score_classes(y, y_pred, 0.0))
        sums.append([class_sums(y, y_pred, groups) for y, y_pred, _, groups in folds])
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "majority_accuracy"):
        expected = np.mean([scores[name] for scores in per_seed])
        assert row[name] == pytest.approx(expected, rel=1e-12), name
    for name, (low, high) in class_intervals(sums).items():
        assert (row[f"{name}_low"], row[f"{name}_high"]) == (low, high)
        assert low < row[name] < high
    assert 0.4 < row["accuracy_type_control"] < 0.7
    control = max(row["accuracy_type_control"], row["majority_accuracy"])
    assert row["selectivity"] == row["accuracy"] - control
    assert row["gain"] == row["accuracy"] - row["majority_accuracy"]
    assert np.isnan([row[name] for name in ("r2", "mse", "r2_control", "mean_mse")]).all()
    counts = [row[name] for name in ("n_test", "n_speakers", "seeds", "folds", "cells", "missing")]
    assert counts == [len(NAMES), 9, 2, 3, 6, 0]


def test_the_best_layer_of_a_class_is_the_most_accurate_and_the_majority_stands_below():
    run = Run().add("m", "stem", 0, "ridge", 0.5).add("m", "embedding", 1, "ridge", 0.9)
    run.add_classes("m", "stem", 0, 0.6).add_classes("m", "embedding", 1, 0.9)
    found = run.all_curves(50)
    layers, table = found.layers.set_index(["layer", "target"]), model_table(found)
    assert list(table.columns) == model_columns()
    best = table[(table["target"] == "sex") & (table["model"] == "m")].iloc[0]
    top = layers.loc[("embedding", "sex")]
    assert (best["best_layer"], best["target_kind"]) == ("embedding", "classification")
    assert best["best_accuracy"] == best["embedding_accuracy"] == top["accuracy"]
    assert best["best_accuracy_low"] == top["accuracy_low"]
    honest = [best[f"best_accuracy_honest{end}"] for end in ("_low", "", "_high")]
    assert honest == sorted(honest) and honest[1] == pytest.approx(top["accuracy"], abs=0.03)
    assert np.isnan([best["best_r2"], best["best_mse"], best["best_r2_honest"]]).all()
    numbers = table[(table["target"] == "cps") & (table["model"] == "m")].iloc[0]
    assert numbers["best_layer"] == "stem" and np.isnan(numbers["best_accuracy"])
    last = table.set_index("model").loc[[MEAN_PREDICTOR, MAJORITY_CLASS]]
    assert list(last["target"]) == ["cps", "sex"]
    majority = last.loc[MAJORITY_CLASS]
    assert majority["best_accuracy"] == majority["majority_accuracy"] == top["majority_accuracy"]
    assert np.isnan(majority["best_mse"]) and np.isnan(last.loc[MEAN_PREDICTOR, "best_accuracy"])


@pytest.mark.parametrize(("share", "defined"), [(0.02, True), (0.005, False)])
def test_correlations_of_predictions_that_hardly_vary_are_not_given(share, defined):
    run = Run().add("m", "stem", 0, "ridge", 0.5, seeds=1)
    for name, cell in run.cells.items():
        centred = cell.y_pred - cell.y_pred.mean()
        y_pred = 12 + share * cell.y_true.std() / centred.std() * centred
        run.cells[name] = dataclasses.replace(cell, y_pred=y_pred.astype(np.float32))
    row = run.curves(10).iloc[0]
    for column in ("pearson", "pearson_low", "pearson_high", "spearman", "within_speaker"):
        assert np.isfinite(row[column]) == defined, column
    assert np.isfinite(row[["r2", "r2_low", "mse", "mae"]].astype(float)).all()
