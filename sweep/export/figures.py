"""The study's figures of one model: scores over its layers, and its CCA as bars."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from sweep.report.figures.layer_axis import axis_height, depth_of, draw_depth, strips_height
from sweep.report.figures.legend import legend_entries
from sweep.report.figures.lines import line_styles
from sweep.report.figures.panel import draw_panel
from sweep.report.figures.scores import ACCURACY, CCA, MAE, MSE, Score
from sweep.report.figures.style import COLOURS, SMALL, WIDTH, figure_style, new_figure, save
from sweep.report.figures.value_axis import limits
from sweep.report.tables.markup import one_line

_LEFT, _PANEL, _HEIGHT, _LEGEND_ROW = 0.6, 4.2, 1.7, 0.17
"""Inches: left margin, width and height of a panel, height of a row of its legend."""


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
        return _write_panels(folder, name, title, lines, panels)


def _write_panels(
    folder: Path,
    name: str,
    title: str,
    lines: pd.DataFrame,
    panels: Sequence[tuple[Score, pd.DataFrame]],
) -> Path:
    depth, styles = depth_of(lines), line_styles(lines)
    above, below = strips_height(depth) + 0.22, axis_height(depth, _PANEL)
    each = above + _HEIGHT + below
    total = 0.25 + each * len(panels)
    figure = new_figure(total)
    figure.text(_LEFT / WIDTH, 1 - 0.06 / total, one_line(title), va="top", size=8)
    for number, (score, rows) in enumerate(panels):
        y = total - 0.25 - number * each - above - _HEIGHT
        place = (_LEFT / WIDTH, y / total, _PANEL / WIDTH, _HEIGHT / total)
        axes = figure.add_axes(place)
        limit = limits(score, [rows])
        draw_panel(axes, rows, score, depth, styles, limit)
        draw_depth(axes, depth, (_PANEL, _HEIGHT), at_edge=False)
        axes.set_ylabel(score.label)
        entries = legend_entries(rows, score, styles, name_best=True)
        x = (_LEFT + _PANEL + 0.1) / WIDTH
        figure.legend(
            [handle for handle, _ in entries],
            [label for _, label in entries],
            loc="upper left",
            bbox_to_anchor=(x, (y + _HEIGHT) / total),
            borderaxespad=0,
        )
        if limit.note:
            lower = (y + _HEIGHT - _LEGEND_ROW * (len(entries) + 1)) / total
            note = limit.note.replace(": ", ":\n").replace(", the", ",\nthe")
            figure.text(x, lower, note, va="top", size=SMALL, style="italic")
    return save(figure, folder, name)


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
        depth = depth_of(curves)
        width = WIDTH - _LEFT - 0.12
        above, below = 0.26 + strips_height(depth), axis_height(depth, width)
        total = above + _HEIGHT + below
        figure = new_figure(total)
        figure.text(_LEFT / WIDTH, 1 - 0.06 / total, one_line(title), va="top", size=8)
        place = (_LEFT / WIDTH, below / total, width / WIDTH, _HEIGHT / total)
        axes = figure.add_axes(place)
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
        draw_depth(axes, depth, (width, _HEIGHT), at_edge=False)
        return save(figure, folder, name)
