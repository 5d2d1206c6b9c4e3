"""The figures of a run, drawn from layers.csv alone."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from jobs.statistics.scores import main_score_first
from jobs.storage.atomic import slug
from sweep.report.figures.heatmap import write_heatmap
from sweep.report.figures.layer_axis import Depth, axis_height, depth_of, draw_depth, strips_height
from sweep.report.figures.legend import legend_columns, legend_entries, legend_height, write_below
from sweep.report.figures.lines import Line, Twins, line_styles
from sweep.report.figures.panel import draw_panel
from sweep.report.figures.scores import (
    CCA,
    Score,
    curve_of,
    main_score,
    models_in,
)
from sweep.report.figures.style import (
    WIDTH,
    figure_style,
    new_figure,
    save,
    short,
    text_width,
)
from sweep.report.figures.value_axis import Limits, limits
from sweep.report.tables.markup import one_line
from sweep.report.tables.model_tables import CCA as CCA_KIND

PANELS_A_ROW = 4


def write_plots(folder: Path, layers: pd.DataFrame, twins: Twins = ()) -> list[Path]:
    """Write every figure as ``.png`` (300 dpi) and ``.svg``; equal numbers give equal bytes.

    For each target ``overview_<target>`` (R² of all probes; for classes, accuracy), then for each
    of its probes ``r2_…``, ``mse_…``, ``mae_…``, ``pearson_<target>_<probe>`` (for CCA:
    ``cca_<target>``, of several ``cca_<target>_<probe>``), of classes ``accuracy_…`` instead, and
    ``heatmap_<target>_<probe>``. A score that no layer has gets no figure. Rows without scores are
    gaps in their curves.

    Returns:
        The PNG files in reading order; the SVG beside each has the same stem.
    """
    curves = layers[layers["model"].isin(models_in(layers))]
    if curves.empty:
        return []
    depth, styles = depth_of(curves), line_styles(layers, twins)
    taken: set[str] = set()
    paths: list[Path | None] = []
    with figure_style():
        for target, rows in layers.groupby("target", sort=False):
            name = _file_name(f"overview_{target}", taken)
            paths.append(_write_overview(folder, name, str(target), rows, depth, styles))
            for probe, cell in rows.groupby("probe", sort=False):
                title = f"{one_line(str(target))} · {one_line(str(probe))}"
                for score, stem in _scores(str(target), str(probe), rows):
                    name = _file_name(stem, taken)
                    paths.append(_write_curves(folder, name, title, cell, score, depth, styles))
                name = _file_name(f"heatmap_{target}_{probe}", taken)
                paths.append(write_heatmap(folder, name, title, cell, depth))
    return [path for path in paths if path is not None]


def _scores(target: str, probe: str, rows: pd.DataFrame) -> Iterator[tuple[Score, str]]:
    canonical = rows.loc[rows["probe_kind"] == CCA_KIND, "probe"].unique()
    for row in main_score_first(rows["target_kind"].iloc[0]):
        if row.name == CCA.column and probe in canonical:
            yield CCA, f"cca_{target}_{probe}" if len(canonical) > 1 else f"cca_{target}"
        elif row.drawn:
            yield curve_of(row), f"{row.name}_{target}_{probe}"


def _file_name(stem: str, taken: set[str]) -> str:
    """Make a file name for ``stem`` that no other figure has."""
    name, number = slug(stem), 2
    while name in taken:
        name = f"{slug(stem)}-{number}"
        number += 1
    taken.add(name)
    return name


def _write_curves(
    folder: Path,
    name: str,
    title: str,
    rows: pd.DataFrame,
    score: Score,
    depth: Depth,
    styles: dict[str, Line],
) -> Path | None:
    if rows.loc[rows["model"].isin(models_in(rows)), score.column].isna().all():
        return None
    limit = limits(score, [rows])
    entries = legend_entries(rows, score, styles, name_best=True)
    score = replace(score, label=score.axis(str(rows["target"].iloc[0])), squared=None)
    return write_panels(folder, name, [(title, rows)], score, depth, styles, limit, entries)


def _write_overview(
    folder: Path,
    name: str,
    target: str,
    rows: pd.DataFrame,
    depth: Depth,
    styles: dict[str, Line],
) -> Path | None:
    panels = [(one_line(str(probe)), cell) for probe, cell in rows.groupby("probe", sort=False)]
    score = main_score(rows)
    if rows.loc[rows["model"].isin(models_in(rows)), score.column].isna().all():
        return None
    limit = limits(score, [cell for _, cell in panels])
    entries = legend_entries(rows, score, styles, name_best=False)
    heading = one_line(target)
    return write_panels(folder, name, panels, score, depth, styles, limit, entries, heading)


def write_panels(
    folder: Path,
    name: str,
    panels: Sequence[tuple[str, pd.DataFrame]],
    score: Score,
    depth: Depth,
    styles: dict[str, Line],
    limit: Limits,
    entries: Sequence[tuple[Artist, str]],
    heading: str = "",
) -> Path:
    """Write a grid of panels with one value axis and one legend for all.

    ``heading`` names what all panels share; the names of ``panels`` say how they differ. Everything
    is laid out in inches, so that a figure is exactly ``WIDTH`` wide and no text is cut.
    """
    across = min(len(panels), PANELS_A_ROW)
    down = math.ceil(len(panels) / across)
    columns = legend_columns(entries)
    height = 2.5 if len(panels) == 1 else 1.9
    left, gap = 0.6, 0.16
    right = 0.55 if len(depth.strips) > 1 else 0.12
    width = (WIDTH - left - right - gap * (across - 1)) / across
    top, axis = 0.26 + strips_height(depth), axis_height(depth, width)
    below = legend_height(entries, limit.note)
    rows_top = down * (top + height + axis) + below
    total = rows_top + heading_height(heading)
    figure = new_figure(total)
    write_heading(figure, heading, left, total)
    for number, (title, rows) in enumerate(panels):
        row, column = divmod(number, across)
        x = left + column * (width + gap)
        y = rows_top - row * (top + height + axis) - top - height
        axes = figure.add_axes((x / WIDTH, y / total, width / WIDTH, height / total))
        draw_panel(axes, rows, score, depth, styles, limit)
        draw_depth(axes, depth, (width, height), at_edge=column == across - 1)
        characters = int(width / text_width("n", 8))
        figure.text(
            x / WIDTH, (y + height + top - 0.06) / total, short(title, characters), va="top", size=8
        )
        if column == 0:
            axes.set_ylabel(score.label)
            axes.yaxis.set_label_coords(-0.44 / width, 0.5)
        else:
            axes.tick_params(labelleft=False)
    write_below(figure, entries, columns, limit.note, left / WIDTH, below, total)
    return save(figure, folder, name)


def heading_height(heading: str) -> float:
    """Height in inches of ``heading`` above the panels."""
    return 0.2 * bool(heading)


def write_heading(figure: Figure, heading: str, left: float, total: float) -> None:
    """Write the heading ``left`` inches from the edge of a figure of this height."""
    shown = short(heading, int((WIDTH - left) / text_width("n", 9)))
    figure.text(left / WIDTH, 1 - 0.06 / total, shown, va="top", size=9)
