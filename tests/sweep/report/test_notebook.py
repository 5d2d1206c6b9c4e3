"""A run in a notebook: plots, tables, and names that are corrected."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import sweep
from sweep.errors import RunError
from sweep.report.notebook import NotebookRun
from sweep.results.run import Run
from tests.sweep.report.test_build import make_run  # noqa: F401

MakeRun = Callable[..., Run]


@pytest.fixture
def run(make_run: MakeRun) -> NotebookRun:  # noqa: F811
    made = make_run(lambda task, cell: None, probes=[{"kind": "ridge"}, {"kind": "knn"}])
    return sweep.open_run(made.folder.root)


@pytest.fixture
def ax() -> Axes:
    figure = Figure(figsize=(5, 3))
    FigureCanvasAgg(figure)
    return figure.add_axes((0.15, 0.2, 0.65, 0.6))


def test_a_plot_draws_the_chosen_models_on_the_given_axes(run: NotebookRun, ax: Axes) -> None:
    assert run.plot("cps", probe="knn", models=["b"], ax=ax) is ax
    rows = run.layers[(run.layers["model"] == "b") & (run.layers["probe"] == "knn")]
    values = [list(line.get_ydata()) for line in ax.lines]
    assert rows["r2"].tolist() in values
    legend = ax.get_legend()
    assert legend is not None and [text.get_text() for text in legend.get_texts()] == ["b"]
    assert {"layer0", "layer3", "mean predictor"} <= {text.get_text() for text in ax.texts}
    assert ax.get_ylabel() == "R²"


def test_a_plot_of_another_score_has_its_unit(run: NotebookRun, ax: Axes) -> None:
    assert run.plot("cps", metric="mse", ax=ax).get_ylabel() == "MSE ((characters/s)²)"
    legend = ax.get_legend()
    assert legend is not None and [text.get_text() for text in legend.get_texts()] == ["a", "b"]


def test_misspelt_names_are_corrected(run: NotebookRun, ax: Axes) -> None:
    for wrong, call in (
        ("no target 'cqs'; did you mean 'cps'", lambda: run.plot("cqs", ax=ax)),
        ("no probe 'rigde'; did you mean 'ridge'", lambda: run.plot("cps", probe="rigde", ax=ax)),
        ("no model 'c'; expected one of a, b", lambda: run.plot("cps", models=["c"], ax=ax)),
        ("no score 'mes'; did you mean 'mse'", lambda: run.plot("cps", metric="mes", ax=ax)),
        ("no layer 'layer9'; did you mean", lambda: run.predictions("a", "layer9")),
        ("no model 'aa'", lambda: run.activations("aa", "layer0")),
        ("no probe 'rige'; did you mean", lambda: run.predictions("a", "layer0", probe="rige")),
        ("no table 'temop'; did you mean 'tempo'", lambda: run.table("temop")),
    ):
        with pytest.raises(RunError, match=wrong):
            call()


def test_a_run_shows_what_it_holds_and_its_table_with_names_escaped(
    make_run: MakeRun,  # noqa: F811
) -> None:
    made = make_run(lambda task, cell: None, probes=[{"kind": "ridge", "name": "<b>&"}])
    run = sweep.open_run(made.folder.root)
    n = run.plan.n_cells
    assert repr(run).endswith(f": 4 models, 1 target, 1 probe, {n} of {n} cells done)")
    html = run._repr_html_()
    assert "<table>" in html and "&lt;b&gt;&amp;" in html and "<b>" not in html
    assert html.count("<tr>") > len(run.models["model"].unique())


def test_the_package_shows_its_public_names_and_is_imported_at_once() -> None:
    assert dir(sweep) == ["load_probe", "open_run"]
    heavy = ("torch", "pandas", "matplotlib", "ray")
    code = f"import sys, sweep; print([name for name in {heavy} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
