"""Response of predictions to a changed rate: tables, two figures per target, a report section."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator

from jobs.storage.atomic import file_names
from sweep.analyses.tempo_tables import POINT, TempoTables
from sweep.plan.untrained_twins import twins
from sweep.report.figures.keys import Key, model_key, model_keys
from sweep.report.figures.lines import (
    FULL_LINE,
    Line,
    Twins,
    baseline_label,
    baseline_style,
    line_styles,
)
from sweep.report.figures.panel_grid import PanelGrid
from sweep.report.figures.plots import write_rows
from sweep.report.figures.scores import Score, baselines_in, best_position, models_in
from sweep.report.figures.style import figure_style, save_both
from sweep.report.figures.summary import title_of
from sweep.report.figures.units import with_unit
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
    "each other, so that whatever stretching adds to all of them cancels out. In the figure of "
    "changes, this offset is a line's distance from 0 at tempo 1, the original recording. "
    "Intervals are over speakers (Student's t with a jackknife), even where those of R² are over "
    "folds."
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
    full=(1.0, "1: follows fully"),
)
_NO_CHANGE: dict[str, object] = {"color": "black", "linewidth": 0.8}
_HEIGHT = 1.4
"""Height in inches of a panel of changes."""


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
    """Write ``tempo_<target>``, slopes over layers, and ``tempo_changes_<target>``, the changes at
    the layers of the best R², each in two widths.

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
    figures: list[Path] = []
    with figure_style():
        for target, rows in scores.groupby("target", sort=False, observed=True):
            probes = [(str(probe), cell) for probe, cell in rows.groupby("probe", observed=True)]
            titled = [(one_line(probe), cell) for probe, cell in probes]
            heading, name = f"{title_of(str(target))}: slope", names[str(target)]
            figures.append(
                write_rows(
                    plots, f"tempo_{name}", heading, titled, SLOPE, layers, twins, detailed=True
                )
            )
            grid = _changes(str(target), probes, tempo.changes, styles)
            figures.append(save_both(grid.draw, plots, f"tempo_changes_{name}"))
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


def _changes(
    target: str,
    probes: Sequence[tuple[str, pd.DataFrame]],
    changes: pd.DataFrame,
    styles: dict[str, Line],
) -> PanelGrid:
    """Make the figure of the changes, a panel per probe."""

    def draw(axes: Axes, number: int) -> None:
        _draw_probe(axes, probes[number][1], changes, styles)

    return PanelGrid(
        f"{title_of(target)}: changes at the layer of the best R²",
        _keys([rows for _, rows in probes], styles),
        [probe for probe, _ in probes],
        draw,
        with_unit("change", target),
        _HEIGHT,
    )


def _keys(panels: Sequence[pd.DataFrame], styles: dict[str, Line]) -> list[Key]:
    """Make the entries of models, of baselines and of what is known."""
    rows = pd.concat(panels)
    keys = model_keys(models_in(rows), styles)
    keys += [Key(baseline_label(model), baseline_style(model)) for model in baselines_in(rows)]
    known = [Key("true change", FULL_LINE), Key("no change", _NO_CHANGE)]
    return [*keys, *known]


def _draw_probe(
    axes: Axes, cell: pd.DataFrame, changes: pd.DataFrame, styles: dict[str, Line]
) -> None:
    """Draw the changes at each model's best layer and at that of the baselines, against the
    factor."""
    names = dict.fromkeys(("model", "target", "probe"), str)
    best = best_layers(cell).astype(names)[list(POINT)]
    shown = changes.astype(names).merge(best, on=list(POINT)).sort_values("factor")
    known = shown.groupby("factor")["known_change"].median()
    known = pd.concat([known, pd.Series({1.0: 0.0})]).sort_index()  # including the recording
    axes.plot(known.index, known, zorder=2, **FULL_LINE)  # type: ignore[arg-type]
    axes.axhline(0, zorder=2, **_NO_CHANGE)  # type: ignore[arg-type]
    for model, rows in shown.groupby("model", sort=False):
        x, y = rows["factor"], rows["predicted_change"]
        if str(model) in baselines_in(cell):
            axes.plot(x, y, **baseline_style(str(model)), zorder=2)  # type: ignore[arg-type]
            continue
        axes.plot(x, y, zorder=3, **model_key(str(model), styles[str(model)]).line)
        low, high = rows["predicted_change_low"], rows["predicted_change_high"]
        axes.vlines(x, low, high, color=styles[str(model)][0], linewidth=0.8, zorder=3)
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
