"""Heatmap of scores by model and layer."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure

from sweep.report.figures.layer_axis import Depth, axis_height, draw_depth, strips_height
from sweep.report.figures.scores import (
    Score,
    best_position,
    main_score,
    models_in,
    score_of_nothing,
)
from sweep.report.figures.style import SMALL, TEXT, WIDTH, new_figure, save_both, short, text_width

ROW = 0.24
"""Height in inches of a model's row; with more than ``TALL`` models, rows are lower."""
TALL = 30
_BELOW = "#6B6B6B"


def write_heatmap(
    folder: Path, name: str, title: str, rows: pd.DataFrame, depth: Depth
) -> Path | None:
    """Write R² or accuracy of one target and probe in two widths; None if no layer has a score."""
    models, score = models_in(rows), main_score(rows)
    values = rows.loc[rows["model"].isin(models), score.column].to_numpy(dtype=float)
    if not np.isfinite(values).any():
        return None
    return save_both(lambda width: _draw(width, title, rows, depth), folder, name)


def _draw(width: float, title: str, rows: pd.DataFrame, depth: Depth) -> Figure:
    models, score = models_in(rows), main_score(rows)
    values = rows.loc[rows["model"].isin(models), score.column].to_numpy(dtype=float)
    labels = [short(model, 34 if width >= WIDTH else 18) for model in models]
    left = 0.25 + max(text_width(label, SMALL) for label in labels)
    height = ROW * len(models) * min(1.0, TALL / len(models))
    top = 0.3 + strips_height(depth)
    right = 1.15 if len(depth.strips) > 1 else 0.75
    size = (width - left - right, height)
    bottom = axis_height(depth, size[0])
    figure = new_figure(top + height + bottom, width)
    total = top + height + bottom
    axes = figure.add_axes((left / width, bottom / total, size[0] / width, height / total))
    if (rows["model"].isin(models) & (rows["cells"] > 0) & (rows["missing"] > 0)).any():
        title += " · ×: fewer cells than planned"
    shown = short(title, int(width / text_width("n", 8)))
    figure.text(0.008, 1 - 0.06 / total, shown, va="top", fontsize=8)
    colours, scale = _colours(values, score_of_nothing(score, rows))
    for row, model in enumerate(models):
        _draw_row(axes, rows[rows["model"] == model], score, row, depth, colours, scale)
    axes.set_ylim(len(models) - 0.5, -0.5)
    axes.set_yticks(range(len(models)), labels)
    axes.tick_params(axis="y", length=0)
    axes.spines[:].set_visible(False)
    draw_depth(axes, depth, size)
    ends = (min(min(names) for names in depth.names), max(depth.last.values()))
    axes.set_xlim((0, 1) if depth.relative else (ends[0] - 0.5, ends[1] + 0.5))
    bar_left = 1 - 0.55 / width
    bar = figure.add_axes((bar_left, bottom / total, 0.1 / width, height / total))
    extend = "min" if np.nanmin(values) < float(scale.vmin or 0.0) else "neither"
    mappable = axes.collections[0]
    figure.colorbar(mappable, cax=bar, extend=extend, extendfrac=min(0.1, 0.06 / height))
    bar.tick_params(length=2, labelsize=SMALL, pad=1)
    bar.set_title(score.label, fontsize=TEXT, pad=5)  # clear of the uppermost tick
    return figure


def _colours(values: npt.NDArray[np.float64], nothing: float) -> tuple[Colormap, Normalize]:
    """Make the colour scale from ``nothing``, the no-skill score, to the best; below it, grey."""
    best = float(np.nanmax(values))
    low = nothing if best > nothing else float(np.nanmin(values))
    high = best if best > low else low + 1.0
    colours = colormaps["viridis"].with_extremes(under=_BELOW, bad="white")
    return colours, Normalize(low, high)


def _draw_row(
    axes: Axes,
    group: pd.DataFrame,
    score: Score,
    row: int,
    depth: Depth,
    colours: Colormap,
    scale: Normalize,
) -> None:
    """Draw one model: one cell per layer from edge to edge, and a circle on the best."""
    group = group.sort_values("layer_index")
    model = str(group["model"].iloc[0])
    last = depth.last[model]
    cells = np.full((1, last + 1), np.nan)
    index = group["layer_index"].to_numpy(dtype=int)
    cells[0, index] = group[score.column].to_numpy(dtype=float)
    edges = np.arange(last + 2, dtype=np.float64) - 0.5
    if depth.relative:
        edges = np.clip(depth.scaled(edges, last), 0, 1) if last else np.array([0.0, 1.0])
    rim = np.array([row - 0.46, row + 0.46])
    axes.pcolormesh(
        edges, rim, np.ma.masked_invalid(cells), cmap=colours, norm=scale, rasterized=True
    )
    lacking = index[((group["cells"] > 0) & (group["missing"] > 0)).to_numpy()]
    cross = {"markersize": 4.5, "markeredgecolor": "white", "markeredgewidth": 0.5}
    at = depth.x(model, lacking)
    axes.plot(at, np.full(at.size, row), "X", color="black", clip_on=False, **cross)  # type: ignore[arg-type]
    best = best_position(score, group)
    if best is not None:
        x = depth.x(model, index[best : best + 1])
        if depth.relative and last == 0:
            x = np.array([0.5])
        style = {"markerfacecolor": "white", "markeredgecolor": "black", "markeredgewidth": 0.6}
        axes.plot(x, [row], "o", markersize=4, clip_on=False, **style)  # type: ignore[arg-type]
