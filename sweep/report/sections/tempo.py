"""Response of predictions to a changed rate: tables, one figure per target, a report section."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

from jobs.storage.atomic import file_names
from sweep.analyses.tempo_tables import POINT, TempoTables
from sweep.plan.untrained_twins import twins
from sweep.report.figures.layer_axis import Depth, axis_height, depth_of, draw_depth, strips_height
from sweep.report.figures.legend import (
    heading_height,
    legend_columns,
    legend_entries,
    legend_height,
    write_below,
    write_heading,
)
from sweep.report.figures.lines import Line, Twins, baseline_style, line_styles
from sweep.report.figures.panel import draw_panel
from sweep.report.figures.scores import Score, baselines_in, best_position, models_in
from sweep.report.figures.style import WIDTH, figure_style, new_figure, save, short, text_width
from sweep.report.figures.units import with_unit
from sweep.report.figures.value_axis import Limits, limits
from sweep.report.section import Content, Section, as_svg
from sweep.report.tables.cells import assemble, interval, number, several, text
from sweep.report.tables.markup import Table, one_line
from sweep.results.run import Run
from sweep.wording import listed

READING = (
    "Test utterances were played faster and slower at unchanged pitch, and the probes, fitted on "
    "speech as it was recorded, predicted them again. The <em>slope</em> is the change of the "
    "prediction per unit of change of the true value, which is known: 1 means that predictions "
    "follow it fully, 0 that they do not follow it. A probe shrinks its predictions as far as it "
    "is uncertain: for a layer that carries the rate beside noise, so that R² is 0.4, the slope is "
    "about 0.4 and not 1. Neither network nor probe was trained on stretched speech, which can "
    "also lower the slope; the filter-bank baseline, stretched as well, shows the effect of the "
    "input alone. Slope and <em>correlation</em> compare each utterance's stretched versions with "
    "each other, so that whatever stretching adds to all of them cancels out; in the lower panels "
    "that offset is the distance from 0 at which a line passes tempo 1, the recording. Intervals "
    "are over speakers (Student's t with a jackknife), even where those of R² are over folds."
)
"""HTML."""
SLOPE = Score(
    "slope",
    "slope",
    high_is_good=True,
    nothing=None,
    worst=-1.0,
    knows_nothing="0: does not follow",
    decimals=2,
    best_by="r2",
)
_ACROSS = 3
"""Maximum number of probes side by side."""
_LEFT, _GAP, _RIGHT = 0.6, 0.46, 0.12
_SLOPES, _CHANGES = 1.7, 1.4
"""Heights in inches of the two panels of a probe."""
_BETWEEN = 0.1
"""Gap in inches between them, below the upper one's axis."""


def with_r2(scores: pd.DataFrame, layers: pd.DataFrame) -> pd.DataFrame:
    """``scores`` (``tempo.csv``) with ``r2`` and ``level`` of the layers, models, targets and
    probes in order."""
    known = layers[[*POINT, "r2", "level"]]
    rows = scores.assign(
        **{name: scores[name].astype(layers[name].dtype) for name in ("model", "target", "probe")}
    )
    return rows.merge(known, on=list(POINT), how="left")


def write_tempo(
    plots: Path, tempo: TempoTables, layers: pd.DataFrame, twins: Twins = ()
) -> tuple[list[Path], list[Table]]:
    """Write ``tempo_<target>.png`` and ``.svg``.

    Args:
        plots: folder of the figures.
        tempo: ``tempo.csv``.
        layers: ``layers.csv``, with the order of models, targets and probes.
        twins: models and their untrained twins.

    Returns:
        The PNG files, and the table of the report: every model's layer with the best R².
    """
    if tempo.scores.empty:
        return [], []
    scores = with_r2(tempo.scores, layers)
    names, styles = file_names(scores["target"].unique()), line_styles(layers, twins)
    with figure_style():
        figures = [
            _write_figure(plots, f"tempo_{names[str(target)]}", rows, tempo.changes, styles)
            for target, rows in scores.groupby("target", sort=False, observed=True)
        ]
    return figures, [_best_table(scores)]


def best_layers(scores: pd.DataFrame) -> pd.DataFrame:
    """Select the row with the best R² of each curve."""
    curves = scores.groupby(["target", "model", "probe"], sort=True, observed=True)
    positions = [best_position(SLOPE, curve) for _, curve in curves]
    rows = [
        curve.iloc[[position]]
        for (_, curve), position in zip(curves, positions, strict=True)
        if position is not None
    ]
    return pd.concat(rows) if rows else scores.iloc[:0]


def _best_table(scores: pd.DataFrame) -> Table:
    columns = [
        ("Model", False), ("Probe", False), ("Layer of best R²", False), ("R²", True),
        ("Slope [95 %]", True), ("Correlation [95 %]", True), ("Utterances", True),
        ("Speakers", True),
    ]  # fmt: skip
    rows = [
        (
            text(row["target"]), text(row["model"]), text(row["probe"]), text(row["layer"]),
            number(row["r2"], 3), interval(row, "slope"), interval(row, "correlation"),
            number(row["n_utterances"], 0), number(row["n_speakers"], 0),
        )
        for row in best_layers(scores).to_dict("records")
    ]  # fmt: skip
    return assemble(several(scores), columns, rows)


@dataclass(frozen=True)
class _Layout:
    """Layout of the figure in inches."""

    across: int
    down: int
    depth: Depth
    below: float
    """Height of the legend."""
    above: float
    """Height of the heading."""

    @property
    def width(self) -> float:
        """Width of a panel."""
        return (WIDTH - _LEFT - _RIGHT - _GAP * (self.across - 1)) / self.across

    @property
    def top(self) -> float:
        """Space above a panel of slopes."""
        return 0.26 + strips_height(self.depth)

    @property
    def row(self) -> float:
        """Height of a row of probes, both panels and their axes."""
        return self.top + _SLOPES + axis_height(self.depth, self.width) + _BETWEEN + _CHANGES + 0.42

    @property
    def total(self) -> float:
        """Height of the figure."""
        return self.above + self.down * self.row + self.below

    def place(self, probe: int) -> tuple[float, float]:
        """Left edge, and top edge measured from below, of the panels of a probe."""
        row, column = divmod(probe, self.across)
        return _LEFT + column * (self.width + _GAP), self.total - self.above - row * self.row

    def inches(self, x: float, y: float, height: float) -> tuple[float, float, float, float]:
        """Convert a panel to matplotlib's figure coordinates."""
        return x / WIDTH, y / self.total, self.width / WIDTH, height / self.total


def _write_figure(
    folder: Path, name: str, rows: pd.DataFrame, changes: pd.DataFrame, styles: dict[str, Line]
) -> Path:
    """Write the figure of one target: slopes over layers, and below them changes at the best
    layers."""
    curves = rows[rows["model"].isin(models_in(rows))]
    depth = depth_of(curves if len(curves) else rows)
    probes = [(str(probe), cell) for probe, cell in rows.groupby("probe", observed=True)]
    limit = _limits([cell for _, cell in probes])
    entries = _entries(rows, styles)
    across = math.ceil(len(probes) / math.ceil(len(probes) / _ACROSS))
    below = legend_height(entries, limit.note)
    target = str(rows["target"].iloc[0])
    above = heading_height(target)
    layout = _Layout(across, math.ceil(len(probes) / across), depth, below, above)
    figure = new_figure(layout.total)
    write_heading(figure, one_line(target), _LEFT, layout.total)
    for position, (probe, cell) in enumerate(probes):
        x, y = layout.place(position)
        title = short(one_line(probe), int(layout.width / text_width("n", 8)))
        figure.text(x / WIDTH, (y - 0.06) / layout.total, title, va="top", size=8)
        y -= layout.top + _SLOPES
        axes = figure.add_axes(layout.inches(x, y, _SLOPES))
        draw_panel(axes, cell, SLOPE, depth, styles, limit)
        axes.axhline(1, color="black", linewidth=0.9, zorder=2)
        draw_depth(axes, depth, (layout.width, _SLOPES), at_edge=False)
        y -= axis_height(depth, layout.width) + _BETWEEN + _CHANGES
        below_it = figure.add_axes(layout.inches(x, y, _CHANGES))
        _draw_changes(below_it, cell, changes, styles)
        if position % across == 0:
            axes.set_ylabel(SLOPE.label)
            below_it.set_ylabel(with_unit("change", target))
    columns = legend_columns(entries)
    write_below(figure, entries, columns, limit.note, _LEFT / WIDTH, below, layout.total)
    return save(figure, folder, name)


def _limits(panels: Sequence[pd.DataFrame]) -> Limits:
    """Limits of the value axis that include 1 and the baselines."""
    found = limits(SLOPE, panels)
    return Limits(found.low, max(found.high, 1.08), found.cut, found.note)


def _entries(rows: pd.DataFrame, styles: dict[str, Line]) -> list[tuple[Artist, str]]:
    entries = legend_entries(rows, SLOPE, styles, name_best=False)
    line = Line2D([], [], color="black", linewidth=0.9)
    dot = Line2D([], [], color="#555555", linestyle="", marker="o", markersize=4)
    return [*entries, (line, "1: follows fully"), (dot, "layer of best R², drawn below")]


def _draw_changes(
    axes: Axes, cell: pd.DataFrame, changes: pd.DataFrame, styles: dict[str, Line]
) -> None:
    """Draw the changes at each model's best layer and at that of the baselines, against the
    factor."""
    names = dict.fromkeys(("model", "target", "probe"), str)
    best = best_layers(cell).astype(names)[list(POINT)]
    shown = changes.astype(names).merge(best, on=list(POINT)).sort_values("factor")
    known = shown.groupby("factor")["known_change"].median()
    known = pd.concat([known, pd.Series({1.0: 0.0})]).sort_index()  # including the recording
    axes.plot(known.index, known, color="black", linewidth=0.9, zorder=2)
    axes.axhline(0, color="black", linestyle="--", linewidth=0.9, zorder=2)
    for model, rows in shown.groupby("model", sort=False):
        x, y = rows["factor"], rows["predicted_change"]
        if str(model) in baselines_in(cell):
            axes.plot(x, y, **baseline_style(str(model)), zorder=2)  # type: ignore[arg-type]
            continue
        colour, line = styles[str(model)]
        axes.plot(x, y, color=colour, linestyle=line, marker="o", markersize=2.5, zorder=3)
        low, high = rows["predicted_change_low"], rows["predicted_change_high"]
        axes.vlines(x, low, high, color=colour, linewidth=0.8, zorder=3)
    axes.xaxis.set_major_locator(FixedLocator(list(known.index)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("tempo (new rate ÷ old rate)")


def _render(run: Run) -> Content | None:
    layers = run.curves.layers
    tempo = TempoTables(run.table("tempo"), run.table("tempo_changes"))
    figures, tables = write_tempo(run.folder.plots, tempo, layers, twins(run.plan))
    if not figures:
        return None
    return Content(introduction=READING, tables=tables, figures=as_svg(figures))


def _methods(run: Run) -> Iterator[str]:
    if run.spec.tempo is None:
        return
    factors = listed(f"{factor:g}" for factor in run.spec.tempo.factors)
    over_folds = ", not over folds" if run.plan.scored_by_sums else ""
    yield (
        f"Test utterances were played at {factors} times their rate with their pitch kept "
        "(Signalsmith Stretch), and the fitted probes were applied to them. Intervals of these "
        "predictions use Student's t with a jackknife over speakers (Efron & Stein 1981)"
        f"{over_folds}."
    )


SECTION = Section("tempo", "Other tempos", _render, _methods)
