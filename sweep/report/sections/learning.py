"""Learning curves: one figure per target, and the report's table."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from jobs.protocol.training_fractions import DRAWS, FEWEST
from jobs.statistics.model_table import MAJORITY_CLASS, MEAN_PREDICTOR
from jobs.statistics.scores import MAIN_SCORE
from jobs.storage.atomic import file_names
from jobs.ties import first_lowest
from sweep.plan.untrained_twins import twins
from sweep.report.figures.keys import Key, model_key, model_keys
from sweep.report.figures.lines import (
    GREY,
    Line,
    Twins,
    baseline_label,
    baseline_style,
    line_styles,
)
from sweep.report.figures.panel_grid import PanelGrid
from sweep.report.figures.scores import Score, baselines_in, models_in, score_of_nothing
from sweep.report.figures.style import figure_style, save_both
from sweep.report.figures.summary import title_of
from sweep.report.figures.value_axis import Limits, limits
from sweep.report.section import Content, Section, drawn
from sweep.report.tables.cells import CLASSES, assemble, interval, number, several, text
from sweep.report.tables.markup import Table
from sweep.results.run import Run
from sweep.wording import listed

READING = (
    "The same probes, fitted to a part of the training speakers. A curve that still rises at its "
    "right end says that the layer holds more than the probe could learn from these speakers; one "
    "that is flat, that more speakers of this kind would not help. Values are means over "
    f"{DRAWS} random orders of the speakers; the interval is over test speakers, given the "
    "training speakers that were drawn, and <em>draws</em> shows the lowest and highest value of a "
    "single order. The layer shown is the one with the best score on all training speakers. All "
    "layers are in <code>tables/learning.csv</code>."
)
"""HTML."""
_NAMES: dict[str, str] = {"r2": "R²", "accuracy": "accuracy"}
_HEIGHT = 1.9
"""Height in inches of a panel."""
_NO_SKILL: dict[str, object] = {"color": "black", "linewidth": 0.8}
_POINT = ["model", "layer", "target", "probe"]


def write_learning(
    plots: Path, learning: pd.DataFrame, layers: pd.DataFrame, twins: Twins = ()
) -> tuple[list[Path], list[Table]]:
    """Write ``learning_<target>`` with one panel per probe, in two widths.

    Args:
        plots: folder of the figures.
        learning: ``learning.csv``.
        layers: ``layers.csv``, with the order of models, targets and probes.
        twins: models and their untrained twins.

    Returns:
        The PNG files, and the table of the report: every model's best layer, by fraction.
    """
    if learning.empty:
        return [], []
    names = {name: layers[name].dtype for name in ("model", "target", "probe")}
    rows = learning.astype(names)
    shown = rows.merge(_shown_layers(rows), on=_POINT)
    files, styles = file_names(rows["target"].unique()), line_styles(layers, twins)
    with figure_style():
        figures = [
            save_both(_figure(of_target, styles).draw, plots, f"learning_{files[str(target)]}")
            for target, of_target in shown.groupby("target", sort=True, observed=True)
        ]
    return figures, [_table(shown)]


def _shown_layers(rows: pd.DataFrame) -> pd.DataFrame:
    """Select the layers to show of each curve: the best one, and the last one if it is another.

    Columns: those of a point, and ``which``: ``best`` or ``last``.
    """
    found = []
    for key, curve in rows[rows["fraction"] == 1].groupby(
        ["model", "target", "probe"], sort=True, observed=True
    ):
        model, target, probe = key
        best = curve["layer"].iloc[int(first_lowest(-curve["value"]))]
        last = curve.sort_values("layer_index")["layer"].iloc[-1]
        found.append((model, best, target, probe, "best"))
        if last != best:
            found.append((model, last, target, probe, "last"))
    chosen = pd.DataFrame(found, columns=[*_POINT, "which"])
    return chosen.astype({name: rows[name].dtype for name in ("model", "target", "probe")})


def _score(rows: pd.DataFrame) -> Score:
    kind = rows["target_kind"].iloc[0]
    is_class = kind == CLASSES
    return Score(
        "value",
        _NAMES[MAIN_SCORE[kind]],
        high_is_good=True,
        nothing="no_skill" if is_class else None,
        worst=None if is_class else -1.0,
        knows_nothing=MAJORITY_CLASS if is_class else MEAN_PREDICTOR,
        decimals=3,
    )


def _figure(rows: pd.DataFrame, styles: dict[str, Line]) -> PanelGrid:
    """Make the figure of one target, a panel per probe."""
    probes = [(str(probe), cell) for probe, cell in rows.groupby("probe", observed=True)]
    score = _score(rows)
    limit = limits(score, [rows])

    def draw(axes: Axes, number: int) -> None:
        _draw(axes, probes[number][1], score, styles, limit)

    return PanelGrid(
        f"{title_of(str(rows['target'].iloc[0]))}: learning curves",
        _keys(rows, score, styles),
        [probe for probe, _ in probes],
        draw,
        score.label,
        _HEIGHT,
        shared=True,
        note=limit.note,
    )


def _draw(
    axes: Axes, cell: pd.DataFrame, score: Score, styles: dict[str, Line], limit: Limits
) -> None:
    axes.set_ylim(limit.low, limit.high)
    axes.set_xscale("log")
    nothing = score_of_nothing(score, cell)
    axes.axhline(nothing, zorder=2, **_NO_SKILL)  # type: ignore[arg-type]
    for model in baselines_in(cell):
        rows = cell[cell["model"] == model].sort_values("fraction")
        style = baseline_style(model)
        axes.plot(rows["n_train_speakers"], rows["value"], **style, zorder=2)  # type: ignore[arg-type]
    for model in models_in(cell):
        colour, dashes = styles[model]
        for which, rows in cell[cell["model"] == model].groupby("which"):
            rows = rows.sort_values("fraction")
            x, y = rows["n_train_speakers"], rows["value"]
            if limit.cut is not None:
                beyond = x[y < limit.cut]
                at = np.full(len(beyond), limit.cut)
                axes.plot(beyond, at, "v", color=colour, markersize=2.5, clip_on=False, zorder=4)
            if which == "last" or colour == GREY:
                axes.plot(x, y, color=colour, linestyle=dashes, linewidth=0.6, zorder=3)
                continue
            axes.plot(x, y, zorder=4, **model_key(model, styles[model]).line)
            low, high = rows["value_low"].astype(float), rows["value_high"].astype(float)
            axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0, zorder=1)
    ticks = np.unique(cell["n_train_speakers"].round().astype(int))
    axes.xaxis.set_major_locator(FixedLocator(ticks.tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("training speakers")


def _keys(rows: pd.DataFrame, score: Score, styles: dict[str, Line]) -> list[Key]:
    keys = model_keys(models_in(rows), styles)
    keys.append(Key("best layer, with 95 % interval", {"color": "#555555", "linewidth": 1.3}))
    if (rows["which"] == "last").any():
        keys.append(Key("last layer", {"color": "#555555", "linewidth": 0.6}))
    keys.append(Key(score.knows_nothing, _NO_SKILL))
    baselines = baselines_in(rows)
    return [*keys, *(Key(baseline_label(model), baseline_style(model)) for model in baselines)]


def _table(shown: pd.DataFrame) -> Table:
    columns = [
        ("Model", False), ("Probe", False), ("Best layer", False), ("Speakers", True),
        ("Utterances", True), ("Score [95 %]", True), ("Draws", True),
    ]  # fmt: skip
    best = shown[shown["which"] == "best"].sort_values(
        ["target", "model", "probe", "fraction"], kind="stable"
    )
    return assemble(
        several(best),
        columns,
        [
            (
                text(row["target"]), text(row["model"]), text(row["probe"]), text(row["layer"]),
                number(row["n_train_speakers"], 0), number(row["n_train"], 0),
                interval(row, "value"), text(_draws(row["value_smallest"], row["value_largest"])),
            )
            for row in best.to_dict("records")
        ],
    )  # fmt: skip


def _draws(smallest: float | None, largest: float | None) -> str:
    if smallest is None or largest is None or math.isnan(smallest) or math.isnan(largest):
        return ""
    return f"{smallest:z.3f} to {largest:z.3f}"


def _render(run: Run) -> Content | None:
    figures, tables = write_learning(
        run.folder.plots, run.table("learning"), run.curves.layers, twins(run.plan)
    )
    return drawn(READING, figures, tables)


def _methods(run: Run) -> Iterator[str]:
    fractions = [fraction for fraction in run.plan.train_fractions if fraction < 1]
    if not fractions:
        return
    shown = listed(f"{fraction:.3g}" for fraction in fractions)
    yield (
        f"For learning curves, the probes were also fitted to {shown} of the training speakers "
        f"(at least {FEWEST}), with all utterances of each, in {DRAWS} random orders in which a "
        "smaller part is contained in a larger one; probes with several seeds used one a draw. "
        "Validation and test data stayed the same, and R² was taken against the mean of all "
        "training utterances. Scores were averaged over the draws; their intervals are over test "
        "speakers and do not include the variation of the training speakers."
    )


SECTION = Section("learning", "Learning curves", _render, _methods)
