"""The study's figures of one model: scores over its layers, and its CCA as bars."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sweep.report.figures.columns import Column
from sweep.report.figures.layer_axis import depth_of
from sweep.report.figures.layer_names import draw_layer_names, names_height
from sweep.report.figures.lines import line_styles
from sweep.report.figures.multiples import Multiples, Row
from sweep.report.figures.panel import panel_limits
from sweep.report.figures.scores import ACCURACY, CCA, MAE, MSE, Score, models_in
from sweep.report.figures.style import COLOURS, figure_style, new_figure, save_both
from sweep.report.tables.markup import one_line

_LEFT, _HEIGHT, _OVERHANG = 0.6, 1.7, 0.1
"""Inches: left margin, height of a panel, how far names of layers may reach beyond it."""


def write_layer_metrics(
    folder: Path, name: str, title: str, curves: pd.DataFrame, cca_probes: Sequence[str]
) -> Path | None:
    """Draw MSE, MAE and held-out CCA over the layers of one model, one line per probe.

    For a target that is classes, draw accuracy instead.

    Args:
        folder: where to write.
        name: file name without its suffix.
        title: text above the panels.
        curves: the rows of ``layers.csv`` of one model and one target.
        cca_probes: names of the CCA probes; they are drawn in the third panel only, unless there
            are no other probes.

    Returns:
        The PNG; None where no layer has a score.
    """
    lines = curves.assign(model=curves["probe"].astype(str))
    is_cca = lines["probe"].isin(cca_probes)
    errors = lines if is_cca.all() else lines[~is_cca]
    panels = [(MSE, errors), (MAE, errors), (CCA, lines[is_cca]), (ACCURACY, lines)]
    panels = [(score, rows) for score, rows in panels if rows[score.column].notna().any()]
    if not panels:
        return None
    with figure_style():
        return save_both(_draw_panels(title, lines, panels).draw, folder, name)


def _draw_panels(
    title: str, lines: pd.DataFrame, panels: Sequence[tuple[Score, pd.DataFrame]]
) -> Multiples:
    target = str(lines["target"].iloc[0])
    probes = Column(tuple((name,) for name in models_in(lines)), depth_of(lines))
    rows = [
        Row("", rows, score, panel_limits(rows, score), score.axis(target))
        for score, rows in panels
    ]
    return Multiples(
        rows, [probes], line_styles(lines), one_line(title), height=_HEIGHT, detailed=True
    )


def write_cca_bars(folder: Path, name: str, title: str, curves: pd.DataFrame) -> Path | None:
    """Draw a bar per layer: the held-out canonical correlation with its 95 % interval.

    Args:
        folder: where to write.
        name: file name without its suffix.
        title: text above the bars.
        curves: the rows of ``layers.csv`` of one model, one target and one CCA probe.

    Returns:
        The PNG; None where no layer has a correlation.
    """
    if curves["pearson"].isna().all():
        return None
    with figure_style():
        return save_both(lambda width: _draw_bars(width, title, curves), folder, name)


def _draw_bars(across: float, title: str, curves: pd.DataFrame) -> Figure:
    depth = depth_of(curves)
    width = across - _LEFT - 0.12
    above, below = 0.26, names_height(depth, width, _OVERHANG)
    total = above + _HEIGHT + below
    figure = new_figure(total, across)
    figure.text(_LEFT / across, 1 - 0.06 / total, one_line(title), va="top", size=8)
    place = (_LEFT / across, below / total, width / across, _HEIGHT / total)
    axes = figure.add_axes(place)
    draw_layer_names(axes, depth, width, _OVERHANG)
    x = depth.x(str(curves["model"].iloc[0]), curves["layer_index"])
    y, low, high = (
        curves[column].to_numpy(dtype=float)
        for column in ("pearson", "pearson_low", "pearson_high")
    )
    axes.bar(x, y, width=0.8, color=COLOURS[0])
    axes.vlines(x, low, high, color="black", linewidth=0.6)
    axes.axhline(0, color="black", linewidth=0.6)
    reach = np.concatenate([y, low, high, [0.0]])
    reach = reach[np.isfinite(reach)]
    axes.set_ylim(1.05 * float(reach.min()), 1.05 * float(reach.max()) or 1.0)
    axes.set_ylabel(CCA.label)
    return figure
