"""Figures of a run that probes one layer of each model."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sweep.report.build import build_report
from sweep.results.run import Run
from sweep.running.options import RunOptions
from sweep.running.run import run_sweep
from sweep.state.events import EventLog
from tests.conftest import Values

KINDS = ("tsne", "true_vs_predicted", "errors", "metrics")


@pytest.fixture
def swept(
    spec_values: Values, write_spec: Callable[[Values], Path], cache: Path, tmp_path: Path
) -> Callable[[Values], Run]:
    def run(changes: Values) -> Run:
        values = spec_values | {"baselines": ["mean"], "controls": [], "layers": ["embedding"]}
        values |= {"probes": [{"kind": "ridge"}, {"kind": "logistic"}], "targets": ["cps", "sex"]}
        options = RunOptions(where="inline", out=tmp_path / "out", cache=cache)
        with EventLog() as events:
            assert run_sweep(write_spec(values | changes), options, events).status == "done"
        return Run.open(tmp_path / "out")

    return run


def test_every_model_and_number_has_its_figures_and_classes_a_map(
    swept: Callable[[Values], Run],
) -> None:
    run = swept({})
    drawn = {path.stem for path in run.folder.plots.glob("*.png")}
    of_numbers = {f"{kind}_{model}_cps" for kind in KINDS for model in ("a", "b")}
    assert of_numbers <= drawn
    assert {stem for stem in drawn - of_numbers if stem.startswith(KINDS)} == {
        "tsne_a_sex",
        "tsne_b_sex",
    }
    page = run.folder.report.read_text()
    assert 'href="plots/tsne_a_cps.png"' in page


def test_a_run_with_curves_draws_no_predictions(swept: Callable[[Values], Run]) -> None:
    run = swept(
        {"layers": ["stem", "embedding"], "targets": ["cps"], "probes": [{"kind": "ridge"}]}
    )
    assert not [path for path in run.folder.plots.iterdir() if path.name.startswith(KINDS)]
    assert "plots/tsne" not in run.folder.report.read_text()


def test_without_activations_the_rest_is_drawn_all_the_same(
    swept: Callable[[Values], Run], cache: Path, tmp_path: Path
) -> None:
    run = swept({"targets": ["cps"], "probes": [{"kind": "ridge"}]})
    kept = tmp_path / "kept"
    shutil.move(cache / "activations", kept)
    try:
        build_report(run)
    finally:
        shutil.move(kept, cache / "activations")
    drawn = {path.name for path in run.folder.plots.glob("*.png")}
    assert "true_vs_predicted_a_cps.png" in drawn
    assert "tsne_a_cps.png" not in drawn
