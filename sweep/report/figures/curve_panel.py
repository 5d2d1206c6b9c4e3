"""One panel of curves: a score over layers, one line per model, with references and best layers."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes

from jobs.statistics.points import DECIDING_SPEAKER
from sweep.report.figures.best_names import LINE, BestLayer, name_best
from sweep.report.figures.layer_axis import Depth
from sweep.report.figures.lines import (
    CONTROL_LINES,
    FULL_LINE,
    GREY,
    OFF_PATH_DOT,
    SPEAKER_MEAN_LINE,
    Line,
    baseline_label,
    baseline_style,
    marker_of,
)
from sweep.report.figures.panel import Panel, beyond, edge
from sweep.report.figures.scores import (
    baselines_in,
    best_position,
    models_in,
    on_main_path,
    score_of_nothing,
    score_of_speaker_mean,
)
from sweep.report.figures.style import TEXT, short, signed, text_width
from sweep.report.tables.cells import Row

MOST_BANDS = 4
"""Number of models up to which each has its interval drawn as a band, else at the best layer."""
MOST_NAMED = 3
"""Number of models up to which the best layer of each is named, else that of the best model."""
DECIDED = "◇"
"""Mark of a score that one speaker decides."""
_NAMING_WIDTH = 1.3
"""Width in inches of a panel from which more than one best layer is named."""
_MARKS = 10
"""Approximate number of markers on a line."""


def draw_curves(axes: Axes, panel: Panel, depth: Depth, styles: dict[str, Line]) -> None:
    """Draw scores, best layers and references; the axis of layers is drawn by `layer_names`."""
    axes.set_ylim(panel.limits)
    axes.locator_params(axis="y", nbins=max(2, int(panel.size[1] * 3.6)))
    axes.tick_params(axis="y", labelsize=TEXT, length=2.5)
    axes.yaxis.set_major_formatter(lambda value, _: signed(f"{value:.6g}"))
    _draw_references(axes, panel)
    _draw_context(axes, panel, depth)
    models = sorted(models_in(panel.rows), key=lambda model: styles[model][0] != GREY)
    best: list[BestLayer] = []
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
        if position is None or beyond(panel, y[position : position + 1])[0]:
            continue
        if styles[model][0] != GREY:
            at = float(x[position]), float(y[position])
            text = _best_text(panel, group.iloc[position].to_dict())
            best.append(BestLayer(*at, text, styles[model][0]))
    best.sort(key=lambda one: -one.y if panel.score.high_is_good else one.y)
    most = MOST_NAMED if panel.size[0] >= _NAMING_WIDTH else 1
    if points:
        name_best(axes, panel.size, best[: most if len(best) <= MOST_NAMED else 1], points)


def _best_text(panel: Panel, row: Row) -> str:
    """Name and score of a layer: in one line, or in two where the panel is narrow."""
    score = panel.score
    value = format(row[score.column], ".3g" if score.decimals is None else "z.2f")
    mark = f" {DECIDED}" if row.get(DECIDING_SPEAKER) else ""
    name, end = short(str(row["layer"]), 22), f"{signed(value)}{mark}"
    whole = text_width(f"{name} {end}", TEXT) < 0.8 * panel.size[0]
    return f"{name} {end}" if whole else f"{name}\n{end}"


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
    y = group[column].to_numpy(dtype=float)
    joined = on_main_path(group)
    if colour == GREY:
        axes.plot(x[joined], y[joined], color=GREY, linewidth=0.5, marker="", zorder=1.5)
        return
    marker, face = marker_of(colour), colour if dashes == "-" else "white"
    every = max(1, round(joined.sum() / _MARKS))
    axes.plot(
        x[joined], y[joined], color=colour, linestyle=dashes, linewidth=1.3, zorder=3,
        marker=marker, markersize=2.8, markevery=every, markerfacecolor=face, markeredgewidth=0.6,
    )  # fmt: skip
    alone = _alone(y[joined])
    axes.plot(x[joined][alone], y[joined][alone], marker, color=colour, markersize=2.8, zorder=3)
    axes.plot(x[~joined], y[~joined], "o", color=colour, **OFF_PATH_DOT)
    below = beyond(panel, y)
    at = np.full(int(below.sum()), edge(panel))
    mark = "v" if panel.score.high_is_good else "^"
    axes.plot(x[below], at, mark, color=colour, markersize=3, clip_on=False, zorder=4)
    if panel.detailed:
        _draw_details(axes, panel, group, x, colour)
    marked = _decided(group) & joined & ~below & np.isfinite(y)
    ring = {"markerfacecolor": "white", "markeredgecolor": colour, "markeredgewidth": 0.7}
    axes.plot(x[marked], y[marked], "D", markersize=3.2, zorder=3.6, **ring)  # type: ignore[arg-type]
    _draw_interval(axes, panel, group, x, style, bands=bands)


def _alone(y: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Mask of points between two gaps, which a line does not show."""
    gap = np.concatenate([[True], np.isnan(y), [True]])
    return np.asarray(gap[:-2] & ~gap[1:-1] & gap[2:])


def _decided(group: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Mask of the layers whose score one speaker decides."""
    if DECIDING_SPEAKER not in group:
        return np.zeros(len(group), dtype=np.bool_)
    return (group[DECIDING_SPEAKER] != "").to_numpy(dtype=np.bool_)


def _draw_interval(
    axes: Axes,
    panel: Panel,
    group: pd.DataFrame,
    x: npt.NDArray[np.float64],
    style: Line,
    *,
    bands: bool,
) -> None:
    """Draw the interval as a band or at the best layer, and a large dot there."""
    (colour, dashes), column = style, panel.score.column
    y = group[column].to_numpy(dtype=float)
    best, joined = best_position(panel.score, group), on_main_path(group)
    shown = best is not None and not beyond(panel, y)[best]
    if f"{column}_low" in group:
        low, high = (group[f"{column}_{end}"].to_numpy(dtype=float) for end in ("low", "high"))
        if bands and len(x) > 1:
            axes.fill_between(
                x[joined], low[joined], high[joined], color=colour, alpha=0.15, linewidth=0,
                zorder=1,
            )  # fmt: skip
        elif shown:
            axes.vlines(x[best], low[best], high[best], color=colour, linewidth=1.0, zorder=3.5)
    if shown:
        edge: dict[str, object] = {"markeredgecolor": "white", "markeredgewidth": 0.6}
        edge |= {"markersize": 5.5}
        if dashes != "-":
            edge |= {"markeredgecolor": colour, "markerfacecolor": "white", "markeredgewidth": 1.0}
        marker = marker_of(colour)
        axes.plot(x[best], y[best], marker, color=colour, zorder=4, clip_on=False, **edge)  # type: ignore[arg-type]


def _draw_details(
    axes: Axes, panel: Panel, group: pd.DataFrame, x: npt.NDArray[np.float64], colour: str
) -> None:
    """Draw controls, and open dots where cells are missing."""
    joined = on_main_path(group)
    for column, dashes in zip(panel.score.controls, CONTROL_LINES, strict=False):
        control = group[column].to_numpy(dtype=float)
        if np.isfinite(control).any():
            dots = {"linestyle": dashes, "marker": "." if len(x) == 1 else None, "markersize": 2}
            axes.plot(x[joined], control[joined], color=colour, linewidth=0.8, zorder=2.5, **dots)
    y = group[panel.score.column].to_numpy(dtype=float)
    lacking = (group["missing"] > 0).to_numpy() & np.isfinite(y)
    open_dot = {"markerfacecolor": "white", "markeredgewidth": 0.7, "markersize": 3.5}
    axes.plot(x[lacking], y[lacking], "s", color=colour, zorder=3.5, **open_dot)  # type: ignore[arg-type]


def _draw_context(axes: Axes, panel: Panel, depth: Depth) -> None:
    """Draw the lines of other models in grey."""
    if panel.context is None:
        return
    for model, group in panel.context.groupby("model", observed=True):
        group = group[on_main_path(group)].sort_values("layer_index")
        x, y = depth.x(str(model), group["layer_index"]), group[panel.score.column]
        axes.plot(x, y, color="#CFCFCF", linewidth=0.6, marker="", zorder=1.2)


def _draw_references(axes: Axes, panel: Panel) -> None:
    """Draw the no-skill score and the baselines as lines, named at the right of the panel."""
    score, rows = panel.score, panel.rows
    nothing = {"color": "black", "linewidth": 0.8}
    lines = [(score_of_nothing(score, rows), score.knows_nothing, nothing)]
    if score.full is not None:
        lines.append((*score.full, FULL_LINE))
    for model in baselines_in(rows):
        value = float(rows.loc[rows["model"] == model, score.column].iloc[0])
        if np.isfinite(value):
            lines.append((value, baseline_label(model), baseline_style(model) | {"linewidth": 0.8}))
    speaker_mean = score_of_speaker_mean(score, rows) if panel.detailed else None
    if speaker_mean is not None:
        lines.append((speaker_mean, "speaker mean", dict(SPEAKER_MEAN_LINE)))
    for value, _, style in lines:
        axes.axhline(value, zorder=2, **style)  # type: ignore[arg-type]
    if panel.named_references:
        _name_references(axes, panel, lines)


def _name_references(
    axes: Axes, panel: Panel, lines: list[tuple[float, str, dict[str, object]]]
) -> None:
    low, high = panel.limits
    lines.sort(key=lambda line: line[0])
    inches = [(value - low) / (high - low) * panel.size[1] for value, _, _ in lines]
    for (value, name, style), y in zip(lines, _spread(inches, panel.size[1]), strict=True):
        beyond = "" if low <= value <= high else " ▼" if value < low else " ▲"
        axes.annotate(
            f"{name}{beyond}",
            (1, y / panel.size[1]),
            xycoords="axes fraction",
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=TEXT,
            color=style["color"],
        )


def _spread(positions: Sequence[float], height: float) -> list[float]:
    """Move sorted positions as little apart as needed to be ``LINE`` from each other."""
    placed = np.clip(np.array(positions, dtype=float), 0, height)
    for _ in range(200):
        gaps = LINE - np.diff(placed)
        if (gaps < 1e-6).all():
            break
        for number in np.flatnonzero(gaps > 1e-6):
            placed[number] -= gaps[number] / 2
            placed[number + 1] += gaps[number] / 2
        placed += max(0.0, -placed[0]) - max(0.0, placed[-1] - height)
    return [float(value) for value in placed]
