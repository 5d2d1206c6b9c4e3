"""Errors of the best layer by speaker and over duration: a table, and one figure per probe."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from jobs.models.settings import BASELINE_PREFIX
from jobs.statistics.residuals import (
    RESIDUAL_COLUMNS,
    running_mean,
    speaker_residuals,
    utterance_errors,
)
from jobs.storage.atomic import slug, write_text
from sweep.plan.untrained_twins import twins
from sweep.report.figures.lines import line_styles
from sweep.report.figures.panel_grid import PanelGrid
from sweep.report.figures.style import figure_style, save_both, short
from sweep.report.figures.summary import title_of
from sweep.report.figures.units import with_unit
from sweep.report.section import Content, Section, as_svg
from sweep.report.tables.cells import NUMBERS
from sweep.report.tables.markup import one_line
from sweep.results.run import Run

MOST_MODELS = 6
"""Maximum number of models in a figure, in the order of the spec; the table has all."""
_HEIGHT = 1.35
"""Height in inches of a panel."""

READING = (
    "Predicted minus true value at the layer that is best on the test split, averaged over seeds. "
    "One point per speaker, the mean of that speaker's errors, with their standard deviation. A "
    "layer that tells utterances apart, but not how fast a speaker is, lies off 0 here. The "
    "figures <code>plots/residuals_*</code> also show errors over duration: a slope shows that the "
    "probe picks up something of the duration. All numbers are in "
    "<code>tables/residuals.csv</code>."
)
"""HTML."""


@dataclass(frozen=True)
class _Residuals:
    """Errors of one model's best layer."""

    model: str
    target: str
    probe: str
    layer: str
    errors: pd.DataFrame
    """A row per utterance: ``utterance_id, speaker_id, error``."""


def write_residuals(tables: Path, plots: Path, run: Run) -> list[Path]:
    """Write ``residuals.csv`` and, for every target of numbers and every probe of it, the figure
    ``residuals_<target>_<probe>``.

    A run without stored predictions has a table without rows, and no figure.

    Returns:
        The PNG files; the SVG beside each has the same stem.
    """
    best = run.models[(run.models["probe"] != "") & (run.models["target_kind"] == NUMBERS)]
    rows = [] if run.plan.scored_by_sums else best.to_dict("records")
    found = [_of_best(run, row) for row in rows]
    _write_table(tables / "residuals.csv", found)
    seconds = dict(zip(run.utterances["utterance_id"], run.utterances["seconds"], strict=True))
    colours = {
        name: style[0] for name, style in line_styles(run.curves.layers, twins(run.plan)).items()
    }
    groups: dict[tuple[str, str], list[_Residuals]] = {}
    for one in found:
        if not one.model.startswith(BASELINE_PREFIX):
            groups.setdefault((one.target, one.probe), []).append(one)
    with figure_style():
        return [
            save_both(
                _figure(group, seconds, colours).draw, plots, slug(f"residuals_{target}_{probe}")
            )
            for (target, probe), group in groups.items()
        ]


def _of_best(run: Run, row: Mapping[object, object]) -> _Residuals:
    model, target, probe, layer = (
        str(row[name]) for name in ("model", "target", "probe", "best_layer")
    )
    predictions = run.predictions(model, layer, probe=probe, target=target)
    return _Residuals(model, target, probe, layer, utterance_errors(predictions))


def _write_table(path: Path, found: list[_Residuals]) -> None:
    frames = [
        speaker_residuals(one.errors).assign(
            model=one.model, target=one.target, probe=one.probe, layer=one.layer
        )
        for one in found
    ]
    table = pd.concat(frames) if frames else pd.DataFrame(columns=RESIDUAL_COLUMNS)
    text = table[RESIDUAL_COLUMNS].to_csv(index=False, lineterminator="\n")
    write_text(path, text)


def _figure(
    group: list[_Residuals], seconds: Mapping[str, float], colours: Mapping[str, str]
) -> PanelGrid:
    """Make the figure of one target and probe: two panels per model."""
    shown = group[:MOST_MODELS]
    limit = 1.05 * max(float(one.errors["error"].abs().max()) for one in shown) or 1.0

    def draw(axes: Axes, number: int) -> None:
        one = shown[number // 2]
        colour = colours.get(one.model, "#555555")
        if number % 2 == 0:
            _draw_speakers(axes, one, colour)
        else:
            _draw_durations(axes, one, seconds, colour)
        axes.axhline(0, color="black", linestyle="--", linewidth=0.7, zorder=1)
        axes.set_ylim(-limit, limit)

    titles = [f"{short(one.model, 40)}: {short(one.layer, 30)}" for one in shown]
    return PanelGrid(
        f"{title_of(shown[0].target)}: errors of {one_line(shown[0].probe)}",
        (),
        [title for first in titles for title in (first, "")],
        draw,
        with_unit("error", shown[0].target),
        _HEIGHT,
        shared=True,
        most=2,
    )


def _draw_speakers(axes: Axes, one: _Residuals, colour: str) -> None:
    """Draw the speakers in ascending order of their mean error."""
    found = speaker_residuals(one.errors)
    x, mean = np.arange(len(found)), found["mean_error"].to_numpy(dtype=np.float64)
    spread = found["sd_error"].to_numpy(dtype=np.float64)
    axes.vlines(x, mean - spread, mean + spread, color=colour, linewidth=0.8, alpha=0.5)
    axes.plot(x, mean, "o", color=colour, markersize=2.2)
    axes.set_xticks([])
    axes.set_xlabel(f"{len(found)} speakers, sorted: mean ± SD")


def _draw_durations(axes: Axes, one: _Residuals, seconds: Mapping[str, float], colour: str) -> None:
    x = np.array([seconds[name] for name in one.errors["utterance_id"]], dtype=np.float64)
    y = one.errors["error"].to_numpy(dtype=np.float64)
    axes.plot(x, y, ".", color="#888888", markersize=1.5, alpha=0.5, rasterized=True)
    at, mean = running_mean(x, y)
    axes.plot(at, mean, color=colour, linewidth=1.3)
    axes.set_xlabel("duration (s)")


def _render(run: Run) -> Content | None:
    figures = write_residuals(run.folder.tables, run.folder.plots, run)
    if not figures:
        return None
    return Content(introduction=READING, files=as_svg(figures), drawing="errors")


SECTION = Section("residuals", "Errors", _render)
