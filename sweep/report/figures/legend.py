"""Legends: their entries, and their place below the panels."""

import math
from collections.abc import Sequence

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from jobs.statistics.model_table import SPEAKER_MEAN
from jobs.statistics.points import FOLDS, SPEAKERS
from sweep.report.figures.lines import (
    CONTROL_LINES,
    GREY,
    OFF_PATH_DOT,
    SPEAKER_MEAN_LINE,
    Line,
    baseline_label,
    baseline_style,
)
from sweep.report.figures.scores import (
    Score,
    baselines_in,
    best_position,
    models_in,
    on_main_path,
    score_of_speaker_mean,
)
from sweep.report.figures.style import SMALL, WIDTH, short, signed, text_width
from sweep.report.tables.cells import by_fold

_CONTROLS = ("shuffled targets", "random value per type", "random value per speaker")
_ROW = 0.122
"""Height of a line in inches."""


def legend_entries(
    rows: pd.DataFrame, score: Score, styles: dict[str, Line], *, name_best: bool
) -> list[tuple[Artist, str]]:
    """Make the entries of the legend, models first; with ``name_best``, each with its best
    layer."""
    entries: list[tuple[Artist, str]] = []
    others = 0
    for model in models_in(rows):
        colour, line = styles[model]
        group = rows[rows["model"] == model].sort_values("layer_index")
        best = best_position(score, group)
        if colour == GREY:
            others += 1
            continue
        label = short(model, 44)
        if name_best and best is not None:
            row = group.iloc[best]
            form = ".3g" if score.decimals is None else f"z.{score.decimals}f"
            value = signed(format(row[score.column], form))
            label += f": best {short(row['layer'], 36)} ({value})"
        entries.append((Line2D([], [], color=colour, linestyle=line), label))
    if others:
        entries.append((Line2D([], [], color=GREY, linewidth=0.5), f"{others} other models"))
    dashed = Line2D([], [], color="black", linestyle="--", linewidth=0.9)
    entries.append((dashed, score.knows_nothing))
    if score_of_speaker_mean(score, rows) is not None:
        entries.append((Line2D([], [], **SPEAKER_MEAN_LINE), SPEAKER_MEAN))  # type: ignore[arg-type]
    for model in baselines_in(rows):
        handle = Line2D([], [], **baseline_style(model))  # type: ignore[arg-type]
        entries.append((handle, baseline_label(model)))
    for column, dashes, name in zip(score.controls, CONTROL_LINES, _CONTROLS, strict=False):
        if rows[column].notna().any():
            handle = Line2D([], [], color="#555555", linestyle=dashes, linewidth=0.8)
            entries.append((handle, name))
    shown = rows[rows["model"].isin(models_in(rows)) & rows[score.column].notna()]
    if (shown["missing"] > 0).any():
        dot = Line2D([], [], color="#555555", linestyle="", marker="o", markersize=3.5)
        dot.set_markerfacecolor("white")
        entries.append((dot, "fewer cells than planned"))
    if not on_main_path(rows[rows["model"].isin(models_in(rows))]).all():
        faint = Line2D([], [], color="#555555", linestyle="", marker="o", **OFF_PATH_DOT)
        entries.append((faint, "layer inside or between blocks"))
    over = FOLDS if by_fold(rows) else SPEAKERS
    if rows[f"{score.column}_low"].notna().any():  # with few speakers there are no intervals
        band = Patch(color="#555555", alpha=0.2, linewidth=0)
        entries.append((band, f"95 % interval over {over}"))
    return entries


def write_below(
    figure: Figure,
    entries: Sequence[tuple[Artist, str]],
    columns: int,
    note: str,
    left: float,
    below: float,
    total: float,
) -> None:
    """Write the note on a cut axis and the legend below the panels."""
    if note:
        figure.text(left, below / total, note, va="top", fontsize=SMALL, style="italic")
    figure.legend(
        [handle for handle, _ in entries],
        [label for _, label in entries],
        loc="upper left",
        bbox_to_anchor=(left - 0.008, (below - 0.16 * bool(note)) / total),
        ncols=columns,
        borderaxespad=0,
        borderpad=0.1,
        labelspacing=0.45,
        columnspacing=1.5,
    )


def legend_height(entries: Sequence[tuple[Artist, str]], note: str) -> float:
    """Height in inches of the legend and the note below the panels."""
    rows = math.ceil(len(entries) / legend_columns(entries))
    return 0.16 * bool(note) + _ROW * rows + 0.1


def legend_columns(entries: Sequence[tuple[Artist, str]]) -> int:
    """Number of columns that the longest label leaves room for."""
    widest = max(text_width(label, SMALL) for _, label in entries) + 0.5
    return max(1, min(len(entries), 4, int((WIDTH - 0.6) / widest)))


def heading_height(heading: str) -> float:
    """Height in inches of ``heading`` above the panels."""
    return 0.2 * bool(heading)


def write_heading(figure: Figure, heading: str, left: float, total: float) -> None:
    """Write the heading ``left`` inches from the edge of a figure of this height."""
    shown = short(heading, int((WIDTH - left) / text_width("n", 9)))
    figure.text(left / WIDTH, 1 - 0.06 / total, shown, va="top", size=9)
