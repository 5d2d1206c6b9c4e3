"""One panel of the summary: a target, its models' scores over layers, best layers and baselines.

Distances are in inches: a panel is a rectangle of known size, in which names must not collide.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes

from sweep.report.figures.layer_axis import Depth
from sweep.report.figures.lines import GREY, OFF_PATH_DOT, Line, baseline_label, baseline_style
from sweep.report.figures.scores import (
    Score,
    baselines_in,
    best_position,
    models_in,
    on_main_path,
    score_of_nothing,
)
from sweep.report.figures.style import TEXT, short, signed, text_width

MOST_BANDS = 4
"""Number of models up to which each has its interval drawn as a band, else at the best layer."""
MOST_NAMED = 3
"""Number of models up to which the best layer of each is named, else that of the best model."""
_LOWEST = 0.5
"""Part of the axis, relative to the part above the no-skill score, that may lie below it."""
_LINE = 0.115
"""Height in inches of a line of text."""

Box = tuple[float, float, float, float]
"""Left, bottom, right, top, in inches from the lower left corner of the panel."""


@dataclass(frozen=True)
class Panel:
    """A target's rows of one probe, and where they are drawn."""

    target: str
    probe: str
    rows: pd.DataFrame
    score: Score
    limits: tuple[float, float]
    size: tuple[float, float]
    """Width and height in inches."""


def panel_limits(rows: pd.DataFrame, score: Score) -> tuple[float, float]:
    """Limits of the axis of scores: from the best down to the worst, or to half as far below the
    no-skill score as the best lies above it. Intervals do not count: they are clipped."""
    shown = rows[rows["model"].isin([*models_in(rows), *baselines_in(rows)])]
    values = shown[score.column].to_numpy(dtype=float)
    nothing = score_of_nothing(score, rows)
    values = np.append(values[np.isfinite(values)], nothing)
    low, high = float(values.min()), float(values.max())
    if high > nothing:
        low = max(low, nothing - _LOWEST * (high - nothing))
    pad = 0.07 * (high - low) or 0.05
    return low - pad, high + pad


def reaches_below(panel: Panel) -> bool:
    """Return whether a score of a model lies below the axis."""
    rows = panel.rows[panel.rows["model"].isin(models_in(panel.rows))]
    return bool((rows[panel.score.column] < panel.limits[0]).any())


def draw_summary_panel(axes: Axes, panel: Panel, depth: Depth, styles: dict[str, Line]) -> None:
    """Draw scores, best layers and baselines; the axis of layers is drawn by `layer_names`."""
    axes.set_ylim(panel.limits)
    axes.locator_params(axis="y", nbins=5)
    axes.tick_params(axis="y", labelsize=TEXT, length=2.5)
    axes.yaxis.set_major_formatter(lambda value, _: signed(f"{value:.6g}"))
    _draw_references(axes, panel)
    models = sorted(models_in(panel.rows), key=lambda model: styles[model][0] != GREY)
    best: list[tuple[float, float, str, str]] = []
    points: list[npt.NDArray[np.float64]] = []
    for number, model in enumerate(models):
        group = panel.rows[panel.rows["model"] == model].sort_values("layer_index")
        x = depth.x(model, group["layer_index"])
        if max(depth.last.values()) == 0:  # one layer in all: beside, not above each other
            x = x + 0.8 * ((number + 0.5) / len(models) - 0.5)
        _draw_model(axes, panel, group, x, styles[model], bands=len(models) <= MOST_BANDS)
        y = group[panel.score.column].to_numpy(dtype=float)
        points.append(np.column_stack([x, y])[np.isfinite(y)])
        position = best_position(panel.score, group)
        if position is None or y[position] < panel.limits[0]:
            continue
        if styles[model][0] != GREY:
            label = f"{short(str(group['layer'].iloc[position]), 22)} {y[position]:z.2f}"
            best.append((float(x[position]), float(y[position]), signed(label), styles[model][0]))
    best.sort(key=lambda one: -one[1])
    _name_best(axes, panel, best[: MOST_NAMED if len(best) <= MOST_NAMED else 1], points)


def _draw_model(
    axes: Axes,
    panel: Panel,
    group: pd.DataFrame,
    x: npt.NDArray[np.float64],
    style: Line,
    *,
    bands: bool,
) -> None:
    colour, dashes = style
    column = panel.score.column
    y, low, high = (
        group[name].to_numpy(dtype=float) for name in (column, f"{column}_low", f"{column}_high")
    )
    joined = on_main_path(group)
    if colour == GREY:
        axes.plot(x[joined], y[joined], color=GREY, linewidth=0.5, marker="", zorder=1.5)
        return
    marker = "o" if joined.sum() <= 12 else ""
    axes.plot(
        x[joined], y[joined], color=colour, linestyle=dashes, marker=marker, markersize=2.2,
        linewidth=1.4, zorder=3,
    )  # fmt: skip
    axes.plot(x[~joined], y[~joined], "o", color=colour, **OFF_PATH_DOT)
    below = y < panel.limits[0]
    at = np.full(int(below.sum()), panel.limits[0])
    axes.plot(x[below], at, "v", color=colour, markersize=3, clip_on=False, zorder=4)
    best = best_position(panel.score, group)
    if bands and len(x) > 1:
        axes.fill_between(
            x[joined], low[joined], high[joined], color=colour, alpha=0.13, linewidth=0, zorder=1
        )
    elif best is not None and not below[best]:
        axes.vlines(x[best], low[best], high[best], color=colour, linewidth=1.0, zorder=3.5)
    if best is not None and not below[best]:
        edge = {"markeredgecolor": "white", "markeredgewidth": 0.7, "markersize": 6}
        axes.plot(x[best], y[best], "o", color=colour, zorder=4, clip_on=False, **edge)  # type: ignore[arg-type]


def _draw_references(axes: Axes, panel: Panel) -> None:
    """Draw the no-skill score and the baselines as lines, named at the right of the panel."""
    nothing = score_of_nothing(panel.score, panel.rows)
    lines = [(nothing, panel.score.knows_nothing, {"color": "black", "linewidth": 0.8})]
    for model in baselines_in(panel.rows):
        value = float(panel.rows.loc[panel.rows["model"] == model, panel.score.column].iloc[0])
        if np.isfinite(value):
            style = baseline_style(model) | {"linewidth": 0.8}
            lines.append((value, baseline_label(model), style))
    low, high = panel.limits
    lines.sort(key=lambda line: line[0])
    inches = [(value - low) / (high - low) * panel.size[1] for value, _, _ in lines]
    for (value, name, style), y in zip(lines, _spread(inches, panel.size[1]), strict=True):
        axes.axhline(value, zorder=2, **style)  # type: ignore[arg-type]
        text = name if value >= low else f"{name} ▼"
        axes.annotate(
            text,
            (1, y / panel.size[1]),
            xycoords="axes fraction",
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=TEXT,
            color=style["color"],
        )


def _spread(positions: Sequence[float], height: float) -> list[float]:
    """Move sorted positions as little apart as needed to be ``_LINE`` from each other."""
    placed = np.clip(np.array(positions, dtype=float), 0, height)
    for _ in range(200):
        gaps = _LINE - np.diff(placed)
        if (gaps < 1e-6).all():
            break
        for number in np.flatnonzero(gaps > 1e-6):
            placed[number] -= gaps[number] / 2
            placed[number + 1] += gaps[number] / 2
        placed += max(0.0, -placed[0]) - max(0.0, placed[-1] - height)
    return [float(value) for value in placed]


def _name_best(
    axes: Axes,
    panel: Panel,
    best: Sequence[tuple[float, float, str, str]],
    points: Sequence[npt.NDArray[np.float64]],
) -> None:
    """Write the names of the best layers where they cover the fewest points."""
    low, high = np.array([axes.get_xlim(), panel.limits]).T
    scale = np.array(panel.size) / (high - low)
    covered = np.concatenate([(one - low) * scale for one in points])
    taken: list[Box] = [
        (px - 0.05, py - 0.05, px + 0.05, py + 0.05)
        for x, y, *_ in best
        for px, py in [(np.array([x, y]) - low) * scale]
    ]
    for x, y, text, colour in best:
        px, py = (np.array([x, y]) - low) * scale
        boxes = list(_candidates(px, py, text_width(text, TEXT), panel.size))
        costs = [_cost(box, covered, taken, (px, py)) for box in boxes]
        box = boxes[int(np.argmin(costs))]
        taken.append(box)
        left, bottom, right, top = box
        axes.annotate(
            text,
            (x, y),
            xytext=((left + right) / 2 / panel.size[0], (bottom + top) / 2 / panel.size[1]),
            textcoords="axes fraction",
            ha="center",
            va="center_baseline",
            fontsize=TEXT,
            color=colour,
            zorder=5,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.4},
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkB": 3},
        )


def _candidates(px: float, py: float, width: float, size: tuple[float, float]) -> Iterator[Box]:
    """Places of a name around a point, within the panel."""
    for dy, dx in product((0.15, -0.15, 0.3, -0.3, 0.45, -0.45, 0.6, -0.6), (0.0, 0.5, -0.5)):
        centre = float(np.clip(px + dx * (width + 0.1), width / 2, size[0] - width / 2))
        middle = py + dy
        if _LINE / 2 <= middle <= size[1] + 0.06:
            yield centre - width / 2, middle - _LINE / 2, centre + width / 2, middle + _LINE / 2
    yield px - width / 2, py + 0.1, px + width / 2, py + 0.1 + _LINE


def _cost(
    box: Box,
    points: npt.NDArray[np.float64],
    taken: Sequence[Box],
    at: tuple[float, float],
) -> float:
    left, bottom, right, top = box
    x, y = points.T
    covered = ((x > left) & (x < right) & (y > bottom) & (y < top)).sum()
    overlaps = sum(a < right and left < c and b < top and bottom < d for a, b, c, d in taken)
    distance = abs((bottom + top) / 2 - at[1]) + 0.3 * abs((left + right) / 2 - at[0])
    return float(covered + 50 * overlaps + 6 * distance)
