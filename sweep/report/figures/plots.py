"""The figures of single targets, drawn from layers.csv alone."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from jobs.statistics.scores import SCORES
from jobs.storage.atomic import slug
from sweep.report.figures.columns import Column, columns_of, merge_seeds
from sweep.report.figures.heatmap import write_heatmap
from sweep.report.figures.layer_axis import depth_of
from sweep.report.figures.lines import Line, Twins, line_styles
from sweep.report.figures.multiples import Multiples, Row
from sweep.report.figures.panel import panel_limits
from sweep.report.figures.scores import CCA, Score, curve_of, main_score, models_in
from sweep.report.figures.style import figure_style, save_both
from sweep.report.figures.summary import title_of
from sweep.report.tables.markup import one_line
from sweep.report.tables.model_tables import CCA as CCA_KIND

MOST_COLUMNS = 7
"""Number of columns of models from which a heatmap shows all of them at once."""
METRICS = tuple(name for name, row in SCORES.items() if row.drawn or row.higher_is_better)
"""Scores that have figures on demand."""
_HEIGHT, _ALONE = 1.25, 1.45
"""Heights of a panel in inches, in a grid and where all models share one."""


def write_plots(folder: Path, layers: pd.DataFrame, twins: Twins = ()) -> list[Path]:
    """Write the figures of every target, each in two widths as PNG, SVG and PDF.

    ``overview_<target>`` has R² (for classes, accuracy) of all probes, ``cca_<target>`` the
    canonical correlation if there are CCA probes, and ``heatmap_<target>_<probe>`` R² or accuracy
    where there are more than ``MOST_COLUMNS`` networks. A score that no layer has gets no figure.
    Rows without scores are gaps in their curves. Equal numbers give equal bytes.

    Returns:
        The wide PNG files in reading order.
    """
    curves = layers[layers["model"].isin(models_in(layers))]
    if curves.empty:
        return []
    depth, taken = depth_of(curves), set[str]()
    paths: list[Path | None] = []
    with figure_style():
        grid = _Grid(folder, layers, twins)
        for target, rows in grid.layers.groupby("target", sort=False):
            name = _file_name(f"overview_{target}", taken)
            paths.append(grid.write(name, str(target), rows, main_score(rows)))
            canonical = rows[rows["probe_kind"] == CCA_KIND]
            if len(canonical):
                name = _file_name(f"cca_{target}", taken)
                paths.append(grid.write(name, str(target), canonical, CCA))
            if len(grid.columns) <= MOST_COLUMNS:
                continue
            for probe, cell in layers[layers["target"] == target].groupby("probe", sort=False):
                title = f"{one_line(str(target))} · {one_line(str(probe))}"
                name = _file_name(f"heatmap_{target}_{probe}", taken)
                paths.append(write_heatmap(folder, name, title, cell, depth))
    return [path for path in paths if path is not None]


def write_metrics(
    folder: Path, layers: pd.DataFrame, metrics: Sequence[str], twins: Twins = ()
) -> list[Path]:
    """Write ``<metric>_<target>`` for every target that has the metric, as `write_plots` does.

    Args:
        folder: where to.
        layers: ``layers.csv``.
        metrics: of ``METRICS``.
        twins: models and their untrained twins.
    """
    taken: set[str] = set()
    paths: list[Path | None] = []
    with figure_style():
        grid = _Grid(folder, layers, twins)
        for metric in dict.fromkeys(metrics):
            score, kind = curve_of(SCORES[metric]), SCORES[metric].kind
            of_kind = grid.layers[grid.layers["target_kind"] == kind]
            for target, rows in of_kind.groupby("target", sort=False):
                name = _file_name(f"{metric}_{target}", taken)
                paths.append(grid.write(name, str(target), rows, score))
    return [path for path in paths if path is not None]


def write_rows(
    folder: Path,
    name: str,
    heading: str,
    panels: Sequence[tuple[str, pd.DataFrame]],
    score: Score,
    layers: pd.DataFrame,
    twins: Twins = (),
    *,
    detailed: bool = False,
) -> Path:
    """Write a score of an analysis over layers, with a row per entry of ``panels``.

    Args:
        folder: where to.
        name: of the file.
        heading: of the figure.
        panels: title and points of each row.
        score: the column that is drawn.
        layers: ``layers.csv``, which decides how lines of models look.
        twins: models and their untrained twins.
        detailed: True to mark points that lack cells.
    """
    merged = [(title, merge_seeds(rows, twins)[0]) for title, rows in panels]
    pairs = merge_seeds(layers, twins)[1]
    everything = pd.concat([rows for _, rows in merged])
    columns = columns_of(everything, pairs)
    limits = panel_limits(everything, score)
    figure = Multiples(
        [Row(title, rows, score, limits, score.label) for title, rows in merged],
        columns,
        line_styles(merge_seeds(layers, twins)[0], pairs),
        heading,
        height=_ALONE if len(columns) == 1 else _HEIGHT,
        detailed=detailed,
        seeds=set(pairs) != set(twins),
    )
    return save_both(figure.draw, folder, name)


class _Grid:
    """What all figures of a run share: columns of models, and how their lines look."""

    def __init__(self, folder: Path, layers: pd.DataFrame, twins: Twins) -> None:
        self.folder = folder
        self.layers, pairs = merge_seeds(layers, twins)
        self.seeds = set(pairs) != set(twins)
        self.columns: list[Column] = columns_of(self.layers, pairs)
        self.styles: dict[str, Line] = line_styles(self.layers, pairs)

    def write(self, name: str, target: str, rows: pd.DataFrame, score: Score) -> Path | None:
        """Write a figure with a row per probe; None if no layer has the score."""
        shown = list(_probes(rows, score))
        if not shown:
            return None
        limits, label = panel_limits(rows, score), score.axis(target)
        alone = len(shown) == 1
        heading = f"{title_of(target)}: {score.label}"
        figure = Multiples(
            [
                Row("" if alone else one_line(probe), cell, score, limits, label)
                for probe, cell in shown
            ],
            self.columns,
            self.styles,
            f"{heading} of {one_line(shown[0][0])}" if alone else heading,
            height=_ALONE if len(self.columns) == 1 else _HEIGHT,
            detailed=True,
            seeds=self.seeds,
        )
        return save_both(figure.draw, self.folder, name)


def _probes(rows: pd.DataFrame, score: Score) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the probes that give some model the score, with their rows."""
    for probe, cell in rows.groupby("probe", sort=False, observed=True):
        if cell.loc[cell["model"].isin(models_in(cell)), score.column].notna().any():
            yield str(probe), cell


def _file_name(stem: str, taken: set[str]) -> str:
    """Make a file name for ``stem`` that no other figure has."""
    name, number = slug(stem), 2
    while name in taken:
        name = f"{slug(stem)}-{number}"
        number += 1
    taken.add(name)
    return name
