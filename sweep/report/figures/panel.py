"""One panel of curves: a score over layers, one line per model, with its references."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes

from sweep.report.figures.layer_axis import Depth
from sweep.report.figures.lines import (
    CONTROL_LINES,
    GREY,
    OFF_PATH_DOT,
    SPEAKER_MEAN_LINE,
    Line,
    baseline_style,
)
from sweep.report.figures.scores import (
    Score,
    baselines_in,
    best_position,
    models_in,
    on_main_path,
    score_of_nothing,
    score_of_speaker_mean,
)
from sweep.report.figures.value_axis import Limits


def draw_panel(
    axes: Axes,
    rows: pd.DataFrame,
    score: Score,
    depth: Depth,
    styles: dict[str, Line],
    limit: Limits,
) -> None:
    """Draw the rows of one target and probe on ``axes``."""
    axes.set_ylim(limit.low, limit.high)
    nothing = score_of_nothing(score, rows)
    axes.axhline(nothing, color="black", linestyle="--", linewidth=0.9, zorder=2)
    speaker_mean = score_of_speaker_mean(score, rows)
    if speaker_mean is not None:
        axes.axhline(speaker_mean, **SPEAKER_MEAN_LINE, zorder=2)  # type: ignore[arg-type]
    for model in baselines_in(rows):
        value = rows.loc[rows["model"] == model, score.column].iloc[0]
        axes.axhline(value, **baseline_style(model), zorder=2)  # type: ignore[arg-type]
    coloured = sorted(models_in(rows), key=lambda model: styles[model][0] != GREY)
    for number, model in enumerate(coloured):
        group = rows[rows["model"] == model].sort_values("layer_index")
        x = depth.x(model, group["layer_index"])
        if max(depth.last.values()) == 0:  # one layer in all: beside, not above each other
            x = x + 0.8 * ((number + 0.5) / len(coloured) - 0.5)
        _draw_model(axes, group, score, x, styles[model])
        _mark_beyond(axes, group, score, x, styles[model], limit)


def _draw_model(
    axes: Axes, group: pd.DataFrame, score: Score, x: npt.NDArray[np.float64], style: Line
) -> None:
    colour, line = style
    y = group[score.column].to_numpy(dtype=float)
    low, high = (group[f"{score.column}_{end}"].to_numpy(dtype=float) for end in ("low", "high"))
    if colour == GREY:
        joined = on_main_path(group)
        dot = "." if len(x) == 1 else None
        axes.plot(x[joined], y[joined], color=colour, linewidth=0.5, marker=dot, zorder=1.5)
        return
    joined = on_main_path(group)
    marker = "o" if joined.sum() <= 12 else None
    path = {"color": colour, "linestyle": line, "marker": marker, "markersize": 2.5, "zorder": 3}
    axes.plot(x[joined], y[joined], **path)  # type: ignore[arg-type]
    if not joined.all():
        axes.plot(x[~joined], y[~joined], "o", color=colour, **OFF_PATH_DOT)
    if len(x) == 1:
        axes.vlines(x, low, high, color=colour, linewidth=1.0, zorder=3)
    else:
        axes.fill_between(
            x[joined], low[joined], high[joined], color=colour, alpha=0.15, linewidth=0, zorder=1
        )
    for column, dashes in zip(score.controls, CONTROL_LINES, strict=False):
        control = group[column].to_numpy(dtype=float)
        if np.isnan(control).all():
            continue
        dots = {"linestyle": dashes, "marker": "." if len(x) == 1 else None, "markersize": 2}
        axes.plot(x[joined], control[joined], color=colour, linewidth=0.8, zorder=2.5, **dots)
    alone = _alone(y[joined])
    axes.plot(x[joined][alone], y[joined][alone], "o", color=colour, markersize=2.5, zorder=3)
    lacking = (group["missing"] > 0).to_numpy() & ~np.isnan(y)
    open_dot = {"markerfacecolor": "white", "markeredgewidth": 0.7, "markersize": 3.5}
    axes.plot(x[lacking], y[lacking], "o", color=colour, zorder=3.5, **open_dot)  # type: ignore
    best = best_position(score, group)
    if best is not None:
        edge = {"markeredgecolor": "white", "markeredgewidth": 0.7, "markersize": 5.5}
        axes.plot(x[best], y[best], "o", color=colour, zorder=4, clip_on=False, **edge)  # type: ignore


def _mark_beyond(
    axes: Axes,
    group: pd.DataFrame,
    score: Score,
    x: npt.NDArray[np.float64],
    style: Line,
    limit: Limits,
) -> None:
    """Mark points beyond a cut axis by triangles at its edge."""
    if limit.cut is None:
        return
    y = group[score.column].to_numpy(dtype=float)
    beyond = y < limit.cut if score.high_is_good else y > limit.cut
    marker = "v" if score.high_is_good else "^"
    at = np.full(int(beyond.sum()), limit.cut)
    axes.plot(x[beyond], at, marker, color=style[0], markersize=2.5, clip_on=False, zorder=4)


def _alone(y: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Positions of isolated points between two gaps, which a line does not show."""
    gap = np.concatenate([[True], np.isnan(y), [True]])
    alone: npt.NDArray[np.bool_] = gap[:-2] & ~gap[1:-1] & gap[2:] & (y.size > 1)
    return alone
