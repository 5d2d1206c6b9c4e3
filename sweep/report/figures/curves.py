"""One panel of curves: a score over layers, a line a model, with everything it is compared to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from jobs.models.settings import BASELINE_PREFIX
from jobs.statistics.curves import complete
from jobs.statistics.model_table import MAJORITY_CLASS, MEAN_PREDICTOR, SPEAKER_MEAN
from jobs.statistics.points import FOLDS, SPEAKERS
from jobs.ties import first_lowest
from sweep.report.figures.layer_axis import Depth
from sweep.report.figures.style import COLOURS, short
from sweep.report.figures.units import with_unit
from sweep.report.tables.cells import CLASSES, by_fold

Line = tuple[str, Literal["-"] | tuple[float, tuple[float, ...]]]
"""Colour and line style of a model."""
LINES: tuple[Literal["-"] | tuple[float, tuple[float, ...]], ...] = ("-", (0, (5, 1.5)))
"""Each goes once through the colours."""
MOST_LINES = len(COLOURS) * len(LINES)
"""Models that get a colour of their own, the best first; the others are thin grey lines."""
_GREY = "#BBBBBB"
_SPEAKER_MEAN = {"color": "black", "linestyle": (0, (1, 1)), "linewidth": 0.9}
_CONTROL_LINES: tuple[Any, ...] = (":", (0, (3, 1, 1, 1, 1, 1)))
_CONTROLS = ("shuffled targets", "random value per speaker")
_BASELINE_LINES = {"duration": (0, (4, 1.5, 1, 1.5)), "fbank": (0, (8, 2))}
"""By name, so that a baseline looks the same where another one has no score."""


@dataclass(frozen=True)
class Score:
    """A column of layers.csv as it is drawn."""

    column: str
    label: str
    high_is_good: bool
    nothing: str | None
    """Column of the score of knowing nothing; None where that is 0."""
    worst: float | None
    """Where the axis may be cut, in units of the score of knowing nothing (for R²: absolute)."""
    control: str | None = None
    """Column of the score of the shuffled control."""
    speaker_control: str | None = None
    """Column of the score on a random value per speaker."""
    knows_nothing: str = MEAN_PREDICTOR
    """What it is called that knows nothing."""
    decimals: int | None = None
    """Of a value in the legend; None: three significant digits."""
    best_by: str | None = None
    """Column of the score that tells which layer is the best; None: this one."""
    squared: bool | None = None
    """Whether it is in the square of the target's unit, or in the unit; None: it has none."""

    def axis(self, target: str) -> str:
        """Its name on an axis, with the unit that ``target`` gives it."""
        if self.squared is None:
            return self.label
        return with_unit(self.label, target, squared=self.squared)

    @property
    def controls(self) -> tuple[str, ...]:
        """Columns of its controls."""
        return tuple(name for name in (self.control, self.speaker_control) if name)


R2 = Score("r2", "R²", True, None, -1.0, "r2_control", "r2_speaker_control", decimals=3)
MSE = Score("mse", "MSE", False, "mean_mse", 2.0, squared=True)
MAE = Score("mae", "MAE", False, "mean_mae", 2.0, squared=False)
PEARSON = Score("pearson", "Pearson r", True, None, None, decimals=3)
CCA = Score("pearson", "held-out canonical correlation", True, None, None, decimals=3)
# The speaker control of classes has a largest class of its own, and no place on this axis.
ACCURACY = Score(
    "accuracy", "accuracy", True, "majority_accuracy", None, "accuracy_control",
    knows_nothing=MAJORITY_CLASS, decimals=3,
)  # fmt: skip


def main_score(rows: pd.DataFrame) -> Score:
    """What the rows of one target are ranked and coloured by."""
    return ACCURACY if (rows["target_kind"] == CLASSES).any() else R2


@dataclass(frozen=True)
class Limits:
    """The value axis, and where it was cut."""

    low: float
    high: float
    cut: float | None = None
    note: str = ""


def models_in(layers: pd.DataFrame) -> list[str]:
    """The models that have curves, in the order of the table: all but the baselines."""
    return [str(m) for m in layers["model"].unique() if not str(m).startswith(BASELINE_PREFIX)]


def line_styles(layers: pd.DataFrame) -> dict[str, Line]:
    """Colour and line style of every model, the same in all figures of a run."""
    models = models_in(layers)
    chosen = models
    if len(models) > MOST_LINES:
        best = layers.groupby("model", sort=False)[["r2", "accuracy"]].max().fillna(-np.inf)
        chosen = sorted(models, key=lambda model: tuple(-best.loc[model]))[:MOST_LINES]
        chosen = [model for model in models if model in chosen]
    styles: dict[str, Line] = dict.fromkeys(models, (_GREY, "-"))
    for number, model in enumerate(chosen):
        styles[model] = (COLOURS[number % len(COLOURS)], LINES[number // len(COLOURS)])
    return styles


def score_of_nothing(score: Score, rows: pd.DataFrame) -> float:
    """What predicting the mean of the training targets, or their most frequent class, scores."""
    return float(rows[score.nothing].median()) if score.nothing else 0.0


def score_of_speaker_mean(score: Score, rows: pd.DataFrame) -> float | None:
    """What predicting the mean of the same speaker's other utterances scores; None if unknown."""
    column = f"speaker_mean_{score.column}"
    if column not in rows or rows[column].isna().all():  # of slopes: it hears no tempo
        return None
    return float(rows[column].median())


def limits(score: Score, panels: Sequence[pd.DataFrame]) -> Limits:
    """A value axis for ``panels`` that a few very bad layers cannot squeeze flat.

    Where some points are worse than R² = -1, or than twice the error of the mean predictor, and at
    least a quarter are not, it ends where these end; what lies beyond is told in the note.
    """
    rows = pd.concat(panels)
    nothing = score_of_nothing(score, rows)
    points = _finite(rows[score.column])
    ends = [rows[c] for c in (f"{score.column}_low", f"{score.column}_high")]
    speaker_mean = score_of_speaker_mean(score, rows)
    references = pd.Series([nothing] if speaker_mean is None else [nothing, speaker_mean])
    reach = _finite(pd.concat([rows[score.column], *ends, references]))
    for control in score.controls:
        reach = np.concatenate([reach, _finite(rows[control])])
    sign = 1.0 if score.high_is_good else -1.0
    inside = reach
    if score.worst is not None:
        inside = reach[sign * reach >= sign * score.worst * (nothing if score.nothing else 1.0)]
    cut = inside.size < reach.size and float(np.mean(np.isin(points, inside))) >= 0.25
    shown = inside if cut else reach
    pad = 0.05 * float(np.ptp(shown)) or 0.05 * abs(float(shown[0])) or 0.05
    low, high = float(shown.min()) - pad, float(shown.max()) + pad
    if not cut:
        return Limits(low, high)
    edge = low if score.high_is_good else high
    marked = _finite(rows.loc[rows["model"].isin(models_in(rows)), score.column])
    drawn = {
        _baseline_label(model): _finite(rows.loc[rows["model"] == model, score.column])
        for model in baselines_in(rows)
    }
    drawn[SPEAKER_MEAN] = _finite(references.iloc[1:])
    return Limits(low, high, edge, _cut_note(marked, drawn, edge, score))


def _cut_note(
    marked: npt.NDArray[np.float64],
    drawn: dict[str, npt.NDArray[np.float64]],
    cut: float,
    score: Score,
) -> str:
    """What lies beyond the ``cut``: of points, which are ``marked`` there, how many; of lines
    ``drawn`` from side to side, which a cut axis does not show at all, the names."""
    sign = 1.0 if score.high_is_good else -1.0
    furthest = np.min if score.high_is_good else np.max
    found, lines = [], []
    beyond = marked[sign * marked < sign * cut]
    if beyond.size:
        lie = "point lies" if beyond.size == 1 else "points lie"
        mark = "▼" if score.high_is_good else "▲"
        far = _signed(f"{furthest(beyond):.3g}")
        found.append(f"{beyond.size} {lie} beyond ({mark}), the furthest at {far}")
    for name, values in drawn.items():
        if (over := values[sign * values < sign * cut]).size:
            to = "to " if over.size > 1 else ""
            lines.append(f"{name} ({to}{_signed(f'{furthest(over):.3g}')})")
    if lines:
        also = ", too" if found else ""
        found.append(f"{', '.join(lines)} {'lie' if len(lines) > 1 else 'lies'} beyond{also}")
    said = "; ".join(found) or "some intervals reach further"
    return f"Axis cut at {_signed(f'{cut:.3g}')}: {said}."


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
        axes.axhline(speaker_mean, **_SPEAKER_MEAN, zorder=2)  # type: ignore[arg-type]
    for model in baselines_in(rows):
        value = rows.loc[rows["model"] == model, score.column].iloc[0]
        axes.axhline(value, **baseline_style(model), zorder=2)  # type: ignore[arg-type]
    coloured = sorted(models_in(rows), key=lambda model: styles[model][0] != _GREY)
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
    if colour == _GREY:
        dot = "." if len(x) == 1 else None
        axes.plot(x, y, color=colour, linewidth=0.5, marker=dot, zorder=1.5)
        return
    marker = "o" if len(x) <= 12 else None
    axes.plot(x, y, color=colour, linestyle=line, marker=marker, markersize=2.5, zorder=3)
    if len(x) == 1:
        axes.vlines(x, low, high, color=colour, linewidth=1.0, zorder=3)
    else:
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0, zorder=1)
    for column, dashes in zip(score.controls, _CONTROL_LINES, strict=False):
        control = group[column].to_numpy(dtype=float)
        if np.isnan(control).all():
            continue
        dots = {"linestyle": dashes, "marker": "." if len(x) == 1 else None, "markersize": 2}
        axes.plot(x, control, color=colour, linewidth=0.8, zorder=2.5, **dots)
    alone = _alone(y)
    axes.plot(x[alone], y[alone], "o", color=colour, markersize=2.5, zorder=3)
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
    """Triangles at the edge where points lie beyond a cut axis."""
    if limit.cut is None:
        return
    y = group[score.column].to_numpy(dtype=float)
    beyond = y < limit.cut if score.high_is_good else y > limit.cut
    marker = "v" if score.high_is_good else "^"
    at = np.full(int(beyond.sum()), limit.cut)
    axes.plot(x[beyond], at, marker, color=style[0], markersize=2.5, clip_on=False, zorder=4)


def best_position(score: Score, group: pd.DataFrame) -> int | None:
    """Row of the best layer in ``group``; None when no layer has the score.

    A point that lacks cells is no candidate unless there are no others, as in the tables.
    """
    candidate = group.index.isin(complete(group).index)
    y = group[score.best_by or score.column].to_numpy(dtype=float)
    y = np.where(candidate, y, np.nan)
    if np.isnan(y).all():
        return None
    return int(first_lowest(-y if score.high_is_good else y))


def _alone(y: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Points between two gaps, which a line does not show."""
    gap = np.concatenate([[True], np.isnan(y), [True]])
    alone: npt.NDArray[np.bool_] = gap[:-2] & ~gap[1:-1] & gap[2:] & (y.size > 1)
    return alone


def baselines_in(rows: pd.DataFrame) -> list[str]:
    """Names of the baseline models that have scores, in the order of the table."""
    rows = rows[rows["cells"] > 0]
    return [str(m) for m in rows["model"].unique() if str(m).startswith(BASELINE_PREFIX)]


def legend_entries(
    rows: pd.DataFrame, score: Score, styles: dict[str, Line], *, name_best: bool
) -> list[tuple[Artist, str]]:
    """What the lines are, the models first; with ``name_best`` each with its best layer."""
    entries: list[tuple[Artist, str]] = []
    others = 0
    for model in models_in(rows):
        colour, line = styles[model]
        group = rows[rows["model"] == model].sort_values("layer_index")
        best = best_position(score, group)
        if colour == _GREY:
            others += 1
            continue
        label = short(model, 44)
        if name_best and best is not None:
            row = group.iloc[best]
            form = ".3g" if score.decimals is None else f"z.{score.decimals}f"
            value = _signed(format(row[score.column], form))
            label += f": best {short(row['layer'], 36)} ({value})"
        entries.append((Line2D([], [], color=colour, linestyle=line), label))
    if others:
        entries.append((Line2D([], [], color=_GREY, linewidth=0.5), f"{others} other models"))
    dashed = Line2D([], [], color="black", linestyle="--", linewidth=0.9)
    entries.append((dashed, score.knows_nothing))
    if score_of_speaker_mean(score, rows) is not None:
        entries.append((Line2D([], [], **_SPEAKER_MEAN), SPEAKER_MEAN))  # type: ignore[arg-type]
    for model in baselines_in(rows):
        handle = Line2D([], [], **baseline_style(model))  # type: ignore[arg-type]
        entries.append((handle, _baseline_label(model)))
    for column, dashes, name in zip(score.controls, _CONTROL_LINES, _CONTROLS, strict=False):
        if rows[column].notna().any():
            handle = Line2D([], [], color="#555555", linestyle=dashes, linewidth=0.8)
            entries.append((handle, name))
    shown = rows[rows["model"].isin(models_in(rows)) & rows[score.column].notna()]
    if (shown["missing"] > 0).any():
        dot = Line2D([], [], color="#555555", linestyle="", marker="o", markersize=3.5)
        dot.set_markerfacecolor("white")
        entries.append((dot, "fewer cells than planned"))
    over = FOLDS if by_fold(rows) else SPEAKERS
    band = Patch(color="#555555", alpha=0.2, linewidth=0)
    entries.append((band, f"95 % interval over {over}"))
    return entries


def baseline_style(model: str) -> dict[str, object]:
    """Colour and dashes of a baseline's line, the same in all panels and figures."""
    dashes = _BASELINE_LINES[model.removeprefix(BASELINE_PREFIX)]
    return {"color": "#666666", "linestyle": dashes, "linewidth": 0.9}


def _baseline_label(model: str) -> str:
    return model.removeprefix(BASELINE_PREFIX) + " only"


def _signed(number: str) -> str:
    """A minus sign instead of a hyphen, as on the axes."""
    return number.replace("-", "−")


def _finite(values: "pd.Series[float]") -> npt.NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    return array[np.isfinite(array)]
