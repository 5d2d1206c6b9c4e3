"""The first figure of a run: one panel per target, one line per model, readable on its own."""

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jobs.statistics.points import FOLDS, SPEAKERS
from jobs.targets.registry import TARGETS
from sweep.report.figures.layer_axis import depth_of
from sweep.report.figures.layer_names import draw_layer_names
from sweep.report.figures.lines import GREY, Line, Twins, line_styles
from sweep.report.figures.scores import main_score, models_in, on_main_path
from sweep.report.figures.style import (
    TEXT,
    WIDTH,
    figure_style,
    new_figure,
    save,
    short,
    text_width,
)
from sweep.report.figures.summary_panel import (
    MOST_BANDS,
    MOST_NAMED,
    Panel,
    draw_summary_panel,
    panel_limits,
    reaches_below,
)
from sweep.report.tables.cells import by_fold
from sweep.report.tables.markup import one_line

NAME = "summary"
HEADING = "How well each property of the speech can be predicted from each layer"
MEANING = {
    "r2": "R²: 1 is perfect, 0 no better than guessing the mean",
    "accuracy": "accuracy: share of utterances put into the right class",
}
"""Meaning of the main scores, by column."""
_HEAD = 9.5
"""Size of the heading in points."""
_ACROSS = 2
_LEFT, _RIGHT, _GAP = 0.42, 0.8, 0.08
"""Inches beside a panel, for numbers of the axis and names of baselines, and between columns."""
_ABOVE, _HEIGHT, _BELOW = 0.54, 1.45, 0.34
"""Inches above a panel (title), of the panel, and below it (names of layers)."""
_HEADING, _LINE = 0.27, 0.13
"""Height in inches of the heading, and of a line of the legend or caption."""
_HANDLE = 0.26
"""Length in inches of a line in the legend."""


def write_summary(folder: Path, layers: pd.DataFrame, twins: Twins = ()) -> Path | None:
    """Write ``summary.png`` and ``.svg``: R² or accuracy of every target over the layers.

    Each target is shown with the first probe of the spec that predicts it.

    Returns:
        The path of the PNG; None if no model has a score.
    """
    curves = layers[layers["model"].isin(models_in(layers))]
    shown = [found for _, rows in layers.groupby("target", sort=False) if (found := _shown(rows))]
    if not shown:
        return None
    depth, styles = depth_of(curves), line_styles(layers, twins)
    across = min(len(shown), _ACROSS)
    down = math.ceil(len(shown) / across)
    width = (WIDTH - (across - 1) * _GAP) / across - _LEFT - _RIGHT
    size = (width, _HEIGHT)
    panels = [_panel(target, probe, rows, size) for target, probe, rows in shown]
    with figure_style():
        legend = _in_lines(_legend(styles), _HANDLE + 0.2)
        caption = _wrapped(_caption(panels))
        row_height = _ABOVE + _HEIGHT + _BELOW
        top = _HEADING + _LINE * len(legend) + 0.04
        total = top + down * row_height + 0.06 + _LINE * len(caption)
        figure = new_figure(total)
        figure.text(0.06 / WIDTH, 1 - 0.06 / total, HEADING, va="top", size=_HEAD, weight="bold")
        _write_legend(figure, legend, total)
        for number, panel in enumerate(panels):
            row, column = divmod(number, across)
            x = column * (_LEFT + width + _RIGHT + _GAP) + _LEFT
            y = total - top - row * row_height - _ABOVE - _HEIGHT
            axes = figure.add_axes((x / WIDTH, y / total, width / WIDTH, _HEIGHT / total))
            draw_layer_names(axes, depth, width)
            draw_summary_panel(axes, panel, depth, styles)
            _write_title(figure, panel, x - _LEFT + 0.06, y + _HEIGHT, total)
        for number, line in enumerate(caption):
            y = _LINE * (len(caption) - number) / total
            figure.text(0.06 / WIDTH, y, line, va="top", size=TEXT, color="#444444")
        return save(figure, folder, NAME)


def title_of(target: str) -> str:
    """Readable name of a target: ``Speech rate (cps)``."""
    known = TARGETS.get(target)
    if known is None or not known.title:
        return one_line(target)
    return f"{known.title[:1].upper()}{known.title[1:]} ({target})"


def _shown(rows: pd.DataFrame) -> tuple[str, str, pd.DataFrame] | None:
    """Return target, probe and rows of the first probe that gives some model a score."""
    score = main_score(rows)
    for probe, cell in rows.groupby("probe", sort=True, observed=True):
        if cell.loc[cell["model"].isin(models_in(cell)), score.column].notna().any():
            return str(rows["target"].iloc[0]), str(probe), cell
    return None


def _panel(target: str, probe: str, rows: pd.DataFrame, size: tuple[float, float]) -> Panel:
    score = main_score(rows)
    return Panel(target, probe, rows, score, panel_limits(rows, score), size)


def _write_title(figure: Figure, panel: Panel, x: float, top: float, total: float) -> None:
    """Write the target above its panel, and what its score means."""
    room = int((panel.size[0] + _LEFT + _RIGHT) / text_width("n", 8.5))
    title = short(title_of(panel.target), room)
    figure.text(x / WIDTH, (top + 0.33) / total, title, va="bottom", size=8.5, weight="bold")
    meaning = MEANING[panel.score.column]
    figure.text(x / WIDTH, (top + 0.19) / total, meaning, va="bottom", size=TEXT, color="#444444")


def _legend(styles: dict[str, Line]) -> list[tuple[str, Line]]:
    """Names of the models with their lines; those in grey are counted."""
    entries = [(short(one_line(m), 44), line) for m, line in styles.items() if line[0] != GREY]
    others = len(styles) - len(entries)
    return entries + ([(f"{others} other models", (GREY, "-"))] if others else [])


def _in_lines(
    entries: Sequence[tuple[str, Line]], extra: float
) -> list[list[tuple[str, Line, float]]]:
    """Break a legend into lines; each entry gets the distance in inches of its left edge."""
    lines: list[list[tuple[str, Line, float]]] = [[]]
    x = 0.06
    for name, line in entries:
        width = text_width(name, TEXT) + extra
        if lines[-1] and x + width > WIDTH:
            lines.append([])
            x = 0.06
        lines[-1].append((name, line, x))
        x += width
    return lines


def _write_legend(
    figure: Figure, lines: Sequence[Sequence[tuple[str, Line, float]]], total: float
) -> None:
    for row, entries in enumerate(lines):
        y = 1 - (_HEADING + _LINE * (row + 0.5)) / total
        for name, (colour, dashes), x in entries:
            ends = (x / WIDTH, (x + _HANDLE) / WIDTH)
            figure.add_artist(Line2D(ends, (y, y), color=colour, linestyle=dashes, linewidth=1.6))
            figure.text(
                (x + _HANDLE + 0.05) / WIDTH,
                y,
                name,
                va="center_baseline",
                size=TEXT,
                color="black",
            )


def _caption(panels: Sequence[Panel]) -> str:
    """Say what is drawn: only what is there."""
    rows = pd.concat([panel.rows for panel in panels])
    rows = rows[rows["model"].isin(models_in(rows))]
    n_models = rows["model"].nunique()
    said = []
    if not on_main_path(rows).all():
        said.append(
            "Lines join the input, the outputs of blocks and the embedding; faint dots are layers "
            "inside or between blocks."
        )
    named = "named with its score" if n_models <= MOST_NAMED else "that of the best model named"
    said.append(f"Large dot: best layer, {named}.")
    over = FOLDS if by_fold(rows) else SPEAKERS
    where = "Shaded" if n_models <= MOST_BANDS else "Bars at the best layers"
    several = rows.groupby("model", observed=True)["layer"].nunique().max() > 1
    ends = [f"{panel.score.column}_low" for panel in panels]
    if rows[ends].notna().any(axis=None):  # with few speakers there are none
        said.append(f"{where if several else 'Bars'}: 95 % interval over {over}.")
    if any(reaches_below(panel) for panel in panels):
        said.append("▼: below the axis.")
    probes: dict[str, list[str]] = {}
    for panel in panels:
        probes.setdefault(panel.probe, []).append(panel.target)
    if len(probes) == 1:
        said.append(f"Probe: {one_line(panels[0].probe)}.")
    else:
        each = (f"{one_line(p)} ({', '.join(map(one_line, ts))})" for p, ts in probes.items())
        said.append(f"Probes: {', '.join(each)}.")
    return " ".join(said)


def _wrapped(text: str) -> list[str]:
    """Break a text into lines of the figure's width."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, TEXT) <= WIDTH - 0.12:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
