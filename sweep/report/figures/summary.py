"""The first figure of a run: one row per target, readable on its own."""

from pathlib import Path

import pandas as pd

from jobs.targets.registry import TARGETS, target_title
from sweep.report.figures.columns import columns_of, merge_seeds
from sweep.report.figures.lines import Twins, line_styles
from sweep.report.figures.multiples import Multiples, Row
from sweep.report.figures.panel import panel_limits
from sweep.report.figures.scores import main_score, models_in
from sweep.report.figures.style import figure_style, save_both
from sweep.report.tables.markup import one_line

NAME = "summary"
HEADING = "How well each property of the speech can be predicted from each layer"
MEANING = {
    "r2": "R²: 1 is perfect, 0 no better than guessing the mean",
    "accuracy": "accuracy: share of utterances put into the right class",
}
"""Meaning of the main scores, by column."""
MOST_COLUMNS = 7
"""Number of columns of models; further ones are only in the figures of single targets."""
_HEIGHT, _ALONE = 0.95, 1.35
"""Heights of panels in inches: in a grid, and where the models share one panel per target."""


def write_summary(folder: Path, layers: pd.DataFrame, twins: Twins = ()) -> Path | None:
    """Write ``summary``: R² or accuracy of every target over the layers.

    Each target is shown with the first probe of the spec that predicts it.

    Returns:
        The path of the PNG; None if no model has a score.
    """
    merged, pairs = merge_seeds(layers, twins)
    shown = [found for _, rows in merged.groupby("target", sort=False) if (found := _shown(rows))]
    if not shown:
        return None
    with figure_style():
        columns = columns_of(merged, pairs)
        beyond = len(columns) - MOST_COLUMNS
        notes = [_probes(shown)]
        if beyond > 0:
            notes.append(f"{beyond} more networks are in the figures of single targets.")
        figure = Multiples(
            _rows(shown),
            columns[:MOST_COLUMNS],
            line_styles(merged, pairs),
            HEADING,
            height=_ALONE if len(columns) == 1 else _HEIGHT,
            notes=notes,
            seeds=pairs != set(twins),
        )
        return save_both(figure.draw, folder, NAME)


def title_of(target: str) -> str:
    """Readable name of a target: ``Speech rate (cps)``."""
    brief = brief_title_of(target)
    is_own_name = target not in TARGETS or brief.lower() == target
    return brief if is_own_name else f"{brief} ({target})"


def brief_title_of(target: str) -> str:
    """Readable name of a target without the one that specs use: ``Speech rate``."""
    if target not in TARGETS:
        return one_line(target)
    title = target_title(target)
    return f"{title[:1].upper()}{title[1:]}"


def _shown(rows: pd.DataFrame) -> tuple[str, str, pd.DataFrame] | None:
    """Return target, probe and rows of the first probe that gives some model a score."""
    score = main_score(rows)
    for probe, cell in rows.groupby("probe", sort=True, observed=True):
        if cell.loc[cell["model"].isin(models_in(cell)), score.column].notna().any():
            return str(rows["target"].iloc[0]), str(probe), cell
    return None


def _rows(shown: list[tuple[str, str, pd.DataFrame]]) -> list[Row]:
    """Make the rows; what a score means stands beside the first title of its kind."""
    found: list[Row] = []
    for target, _, rows in shown:
        score = main_score(rows)
        known = any(row.score == score for row in found)
        limits, label = panel_limits(rows, score), score.axis(target)
        meaning = "" if known else MEANING[score.column]
        brief = brief_title_of(target)
        found.append(Row(title_of(target), rows, score, limits, label, meaning, brief))
    return found


def _probes(shown: list[tuple[str, str, pd.DataFrame]]) -> str:
    probes: dict[str, list[str]] = {}
    for target, probe, _ in shown:
        probes.setdefault(probe, []).append(target)
    if len(probes) == 1:
        return f"Probe: {one_line(next(iter(probes)))}."
    each = (f"{one_line(p)} ({', '.join(map(one_line, ts))})" for p, ts in probes.items())
    return f"Probes: {', '.join(each)}."
