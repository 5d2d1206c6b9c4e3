"""Names of a few layers on the axis of a panel, placed so that none overlaps another."""

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator

from sweep.report.figures.layer_axis import Depth, stages
from sweep.report.figures.style import TEXT, short, text_width

_GAP = 0.07
"""Gap in inches between two names of a row."""
_ROW = 0.115
"""Height in inches of a row of names."""
_OVERHANG = 0.3
"""Inches by which a name may reach beyond the panel."""
_LONGEST = 24
"""Maximum number of characters of a name."""
_FEWEST_STAGES = 3
"""Number of stages of several layers from which stages are named instead of layers."""


@dataclass(frozen=True)
class _Name:
    x: float
    """Position on the axis."""
    text: str
    is_layer: bool = True
    """True for a layer, False for a stage of several layers."""


def draw_layer_names(axes: Axes, depth: Depth, width: float) -> None:
    """Draw the axis of a panel ``width`` inches wide: ticks, and the names that fit into two rows.

    Networks with the same layers have the names of their stages, if several stages have several
    layers, else of single layers. Others have only their first and last layer in common.
    """
    low, high = (0.0, 1.0) if depth.relative else _ends(depth)
    margin = 0.03 * (high - low) or 0.5
    axes.set_xlim(low - margin, high + margin)
    shade_stages(axes, depth)
    scale = width / (high - low + 2 * margin)
    taken: list[tuple[int, float, float]] = []
    ticks: list[float] = []
    for name in _wanted(depth, low, high, scale):
        half = text_width(name.text, TEXT) / 2
        centre = (name.x - low + margin) * scale
        centre = float(np.clip(centre, half - _OVERHANG, width + _OVERHANG - half))
        rows = (0,) if name.is_layer else (0, 1)
        free = (row for row in rows if _is_free(taken, row, centre - half, centre + half))
        row = next(free, None)
        if row is None:
            continue
        taken.append((row, centre - half, centre + half))
        ticks += [name.x] * name.is_layer
        axes.annotate(
            name.text,
            (centre / width, 0),
            xycoords="axes fraction",
            xytext=(0, -5 - 72 * _ROW * row),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=TEXT,
        )
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.tick_params(axis="x", labelbottom=False, length=2.5)


def shade_stages(axes: Axes, depth: Depth) -> None:
    """Shade every other stage of a network whose stages are named."""
    for number, (_, first, last) in enumerate(_named_stages(depth)):
        if number % 2 == 0:
            axes.axvspan(first - 0.5, last + 0.5, color="#F3F3F3", linewidth=0, zorder=0)


def _ends(depth: Depth) -> tuple[float, float]:
    return min(min(names) for names in depth.names), max(depth.last.values())


def _named_stages(depth: Depth) -> list[tuple[str, int, int]]:
    """Stages of several layers; none where layers are named one by one, or not at all."""
    if depth.relative or len(depth.names) > 1:
        return []
    found = [stage for stage in stages(depth.names[0]) if stage[2] > stage[1]]
    return found if len(found) >= _FEWEST_STAGES else []


def _wanted(depth: Depth, low: float, high: float, scale: float) -> list[_Name]:
    """Names by decreasing importance; ``scale`` is the width of a layer in inches."""
    if depth.relative or len(depth.names) > 1:
        ends = [_Name(low, "first layer"), _Name(high, "last layer")]
        return [*ends, _Name((low + high) / 2, "half the depth")] if high > low else ends[:1]
    layers = depth.names[0]
    first, last = min(layers), max(layers)
    ends = [_Name(at, short(layers[at], _LONGEST)) for at in dict.fromkeys((last, first))]
    named = _named_stages(depth)
    if named:
        return [
            *ends,
            *(_Name((start + end) / 2, name, is_layer=False) for name, start, end in named),
        ]
    positions = _evenly_spaced(layers, scale) if last > first else []
    others = [at for at in positions if at not in (first, last)]
    return [*ends, *(_Name(at, short(layers[at], _LONGEST)) for at in others)]


def _evenly_spaced(layers: dict[int, str], width_of_layer: float) -> list[int]:
    """Every n-th layer of the longest stage, with the smallest n at which names do not overlap."""
    longest = max(stages(layers), key=lambda stage: stage[2] - stage[1])
    inside = [at for at in layers if longest[1] <= at <= longest[2]]
    if len(inside) == 1:  # every layer is a stage of its own
        inside = list(layers)
    widest = max(text_width(short(layers[at], _LONGEST), TEXT) for at in inside) + _GAP
    step = max(1, math.ceil(widest / width_of_layer))
    return inside[::step]


def _is_free(taken: list[tuple[int, float, float]], row: int, left: float, right: float) -> bool:
    return all(r != row or right + _GAP < a or b + _GAP < left for r, a, b in taken)
