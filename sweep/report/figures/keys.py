"""The key of a figure in small multiples: what its lines stand for, above the panels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sweep.report.figures.columns import Column
from sweep.report.figures.lines import (
    CONTROL_LINES,
    FULL_LINE,
    GREY,
    LINES,
    SPEAKER_MEAN_LINE,
    Line,
    baseline_label,
    baseline_style,
    marker_of,
)
from sweep.report.figures.panel import Panel
from sweep.report.figures.scores import baselines_in, models_in, score_of_speaker_mean
from sweep.report.figures.style import TEXT, short, text_width

_EDGE, _HANDLE, _SPACE, _LINE = 0.06, 0.27, 0.2, 0.13
"""Inches: left edge, length of a line, space after an entry, height of a row."""
CONTROLS = ("shuffled targets", "random value per type", "random value per speaker")
"""Names of the controls of a score, in the order of `Score.controls`."""
_DARK = "#333333"


@dataclass(frozen=True)
class Key:
    """An entry: a name, and how its line looks."""

    name: str
    line: dict[str, Any]


def keys_of(
    columns: Sequence[Column], styles: dict[str, Line], panels: Sequence[Panel]
) -> list[Key]:
    """Make the entries of a figure: models, then references that panels do not name, and
    controls.

    Where every column is one network, its title names it, and the key tells trained from untrained.
    """
    alone = len(columns) > 1 and all(len(column.networks) == 1 for column in columns)
    models = (model for column in columns for model in column.models)
    keys = _of_twins(columns) if alone else model_keys(models, styles)
    if not any(panel.named_references for panel in panels):
        keys += _of_references(panels)
    for column, dashes, name in _controls(panels):
        del column
        keys.append(Key(name, {"color": "#555555", "linestyle": dashes, "linewidth": 0.8}))
    if any(panel.context is not None for panel in panels):
        keys.append(Key("the other networks", {"color": "#CFCFCF", "linewidth": 0.8}))
    return keys


def model_keys(models: Iterable[str], styles: dict[str, Line]) -> list[Key]:
    """Make the entries of models; those in grey share one."""
    keys, others = [], 0
    for model in models:
        if styles[model][0] == GREY:
            others += 1
            continue
        keys.append(model_key(model, styles[model]))
    if others:
        keys.append(Key(f"{others} other models", {"color": GREY, "linewidth": 0.5}))
    return keys


def model_key(model: str, style: Line) -> Key:
    """Make the entry of a model."""
    colour, dashes = style
    face = colour if dashes == "-" else "white"
    line = {"color": colour, "linestyle": dashes, "linewidth": 1.3, "marker": marker_of(colour),
            "markersize": 2.8, "markerfacecolor": face, "markeredgewidth": 0.6}  # fmt: skip
    return Key(short(model, 44), line)


def _of_twins(columns: Sequence[Column]) -> list[Key]:
    if all(len(column.models) == 1 for column in columns):
        return []
    seeds = [model for column in columns for model in column.models[1:] if model.endswith(" seeds")]
    twin = "untrained twin"
    if seeds:
        twin = f"untrained twins, mean of {seeds[0].rpartition(', ')[2]}"
    line = {"color": _DARK, "linewidth": 1.3}
    return [Key("trained", line), Key(twin, line | {"linestyle": LINES[1]})]


def _of_references(panels: Sequence[Panel]) -> list[Key]:
    found: dict[str, dict[str, Any]] = {}
    for panel in panels:
        found.setdefault(panel.score.knows_nothing, {"color": "black", "linewidth": 0.8})
        if panel.score.full is not None:
            found.setdefault(panel.score.full[1], FULL_LINE)
        for model in baselines_in(panel.rows):
            found.setdefault(baseline_label(model), baseline_style(model) | {"linewidth": 0.8})
        if panel.detailed and score_of_speaker_mean(panel.score, panel.rows) is not None:
            found.setdefault("speaker mean", dict(SPEAKER_MEAN_LINE))
    same: dict[str, list[str]] = {}
    for name, line in found.items():
        same.setdefault(repr(line), []).append(name)
    return [Key(" or ".join(names), found[names[0]]) for names in same.values()]


def _controls(panels: Sequence[Panel]) -> list[tuple[str, Any, str]]:
    """Column, dashes and name of the controls that are drawn."""
    found: dict[str, tuple[str, Any, str]] = {}
    for panel in panels:
        if not panel.detailed:
            continue
        rows = panel.rows[panel.rows["model"].isin(models_in(panel.rows))]
        for column, dashes, name in zip(
            panel.score.controls, CONTROL_LINES, CONTROLS, strict=False
        ):
            if rows[column].notna().any():
                found.setdefault(name, (column, dashes, name))
    return list(found.values())


def write_keys(figure: Figure | None, keys: Sequence[Key], width: float, top: float) -> int:
    """Write the entries in rows below ``top`` inches; without a figure, only count the rows.

    Returns:
        The number of rows.
    """
    x, row = _EDGE, 0
    for key in keys:
        length = _HANDLE + 0.05 + text_width(key.name, TEXT)
        if x > _EDGE and x + length > width:
            x, row = _EDGE, row + 1
        if figure is not None:
            _write(figure, key, x, top - _LINE * (row + 0.5), width)
        x += length + _SPACE
    return row + 1 if keys else 0


def _write(figure: Figure, key: Key, x: float, y: float, width: float) -> None:
    total = float(figure.get_figheight())
    room = width - x - _HANDLE - 0.05
    name, length = key.name, len(key.name)
    while length > 4 and text_width(name, TEXT) > room:
        length -= 1
        name = short(key.name, length)
    ends = (x / width, (x + _HANDLE / 2) / width, (x + _HANDLE) / width)
    figure.add_artist(Line2D(ends, [y / total] * 3, markevery=[1], **key.line))
    figure.text(
        (x + _HANDLE + 0.05) / width, y / total, name, va="center_baseline", size=TEXT,
        color="black",
    )  # fmt: skip
