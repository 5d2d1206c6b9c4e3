"""Curves on axes of a user's own figure."""

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sweep.report.figures.columns import merge_seeds
from sweep.report.figures.curve_panel import draw_curves
from sweep.report.figures.layer_axis import depth_of
from sweep.report.figures.layer_names import draw_layer_names, names_height
from sweep.report.figures.lines import Line, Twins, line_styles, marker_of
from sweep.report.figures.panel import Panel, panel_limits
from sweep.report.figures.scores import Score, models_in
from sweep.report.figures.style import TEXT, figure_style, short
from sweep.report.figures.summary import title_of

_OVERHANG = 0.25
"""Inches by which names of layers may reach beyond the axes."""


def draw_on(
    axes: Axes, rows: pd.DataFrame, score: Score, layers: pd.DataFrame, twins: Twins
) -> None:
    """Draw the ``score`` of ``rows``, one target and probe, with a title and a legend.

    Args:
        axes: in their final size, for which names are placed.
        rows: points of ``layers.csv``.
        score: a column of it.
        layers: all points of the run, which decide how lines look.
        twins: models and their untrained twins.
    """
    rows, _ = merge_seeds(rows, twins)
    merged, pairs = merge_seeds(layers, twins)
    styles = line_styles(merged, pairs)
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    box = axes.get_position()
    size = box.width * figure.get_figwidth(), box.height * figure.get_figheight()
    with figure_style():
        curves = rows[rows["model"].isin(models_in(rows))]
        depth = depth_of(curves)
        draw_layer_names(axes, depth, size[0], _OVERHANG)
        panel = Panel(rows, score, panel_limits(rows, score), size)
        draw_curves(axes, panel, depth, styles)
        target, probe = (str(rows[name].iloc[0]) for name in ("target", "probe"))
        axes.set_ylabel(score.axis(target), size=TEXT)
        axes.set_title(f"{title_of(target)}, {short(probe, 30)}", loc="left", size=8, pad=10)
        below = names_height(depth, size[0], _OVERHANG) + 0.05
        axes.legend(
            handles=_handles(models_in(rows), styles), loc="upper left", fontsize=TEXT,
            bbox_to_anchor=(-0.02, -below / size[1]), ncols=max(1, int(size[0] / 1.8)),
            borderpad=0, frameon=False,
        )  # fmt: skip


def _handles(models: list[str], styles: dict[str, Line]) -> list[Artist]:
    return [
        Line2D(
            [], [], color=styles[model][0], linestyle=styles[model][1],
            marker=marker_of(styles[model][0]), markersize=2.8, label=short(model, 30),
        )
        for model in models
    ]  # fmt: skip
