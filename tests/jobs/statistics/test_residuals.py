"""Errors by speaker and over duration, against plain loops; the table and figures of a run."""

import numpy as np
import pandas as pd
import pytest

from jobs.statistics.residuals import (
    RESIDUAL_COLUMNS,
    running_mean,
    speaker_residuals,
    utterance_errors,
)
from sweep.report.sections.residuals import write_residuals
from tests.sweep.report.test_build import make_run  # noqa: F401 (a fixture)


def predictions():
    rng = np.random.default_rng(0)
    names = [f"u{i:02d}" for i in range(12)]
    table = pd.DataFrame(
        {
            "utterance_id": names * 2,
            "speaker_id": ["a"] * 2 + ["b"] * 9 + ["c"] + ["a"] * 2 + ["b"] * 9 + ["c"],
            "seed": [0] * 12 + [1] * 12,
            "y_true": np.tile(rng.normal(12, 2, 12), 2).astype(np.float32),
            "y_pred": rng.normal(12, 2, 24).astype(np.float32),
        }
    )
    return table.sample(frac=1, random_state=0)


def test_errors_are_averaged_over_seeds_then_told_by_speaker():
    table = predictions()
    errors = utterance_errors(table)
    expected = {}
    for name, rows in table.groupby("utterance_id"):
        differences = rows["y_pred"].astype(float) - rows["y_true"].astype(float)
        expected[name] = differences.mean()
    found = dict(zip(errors["utterance_id"], errors["error"], strict=True))
    assert found == pytest.approx(expected, rel=1e-12)
    by_speaker = speaker_residuals(errors)
    assert by_speaker["mean_error"].is_monotonic_increasing
    rows = by_speaker.set_index("speaker_id")
    for name in "abc":
        own = errors.loc[errors["speaker_id"] == name, "error"].to_numpy()
        assert rows.loc[name, "n"] == len(own)
        assert rows.loc[name, "mean_error"] == pytest.approx(own.mean(), rel=1e-12)
        assert rows.loc[name, "rmse"] == pytest.approx(np.sqrt((own**2).mean()), rel=1e-12)
    assert rows.loc["b", "sd_error"] == pytest.approx(
        errors.loc[errors["speaker_id"] == "b", "error"].std(), rel=1e-12
    )
    assert np.isnan(rows.loc["c", "sd_error"])


def test_the_running_mean_goes_over_a_fifth_of_the_points_in_order():
    rng = np.random.default_rng(1)
    x, y = rng.random(30), rng.random(30)
    at, mean = running_mean(x, y)
    order = np.argsort(x)
    assert len(at) == 25
    for i in range(25):
        window = order[i : i + 6]
        assert at[i] == pytest.approx(x[window].mean(), rel=1e-12)
        assert mean[i] == pytest.approx(y[window].mean(), rel=1e-12)
    assert [len(part) for part in running_mean(x[:1], y[:1])] == [0, 0]


def test_a_run_has_a_table_of_all_models_and_a_figure_for_every_probe(
    make_run,  # noqa: F811
    tmp_path,
):
    run = make_run(lambda task, cell: None)
    paths = write_residuals(tmp_path, tmp_path, run)
    assert [path.name for path in paths] == [
        f"residuals_cps_{probe}.png" for probe in run.plan.probes
    ]
    assert all(path.with_suffix(".svg").exists() for path in paths)
    table = pd.read_csv(tmp_path / "residuals.csv")
    assert list(table.columns) == RESIDUAL_COLUMNS
    assert set(table["model"]) == set(run.models.loc[run.models["probe"] != "", "model"])
    best = run.models.set_index(["model", "probe"])["best_layer"]
    for (model, probe), rows in table.groupby(["model", "probe"]):
        assert set(rows["layer"]) == {best[model, probe]}
        assert len(rows) == 5 and rows["n"].sum() == 20
    before = paths[0].read_bytes()
    write_residuals(tmp_path, tmp_path, run)
    assert paths[0].read_bytes() == before


def test_without_scores_the_table_is_empty_with_its_columns(make_run, tmp_path):  # noqa: F811
    run = make_run(lambda task, cell: "the probe diverged")
    assert write_residuals(tmp_path, tmp_path, run) == []
    assert list(pd.read_csv(tmp_path / "residuals.csv").columns) == RESIDUAL_COLUMNS
