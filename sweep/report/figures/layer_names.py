"""Names of layers on the axis of a panel, placed so that none overlaps another."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator

from sweep.report.figures.layer_axis import Depth, stages
from sweep.report.figures.style import TEXT, short, text_width

_GAP = 0.06
"""Gap in inches between two names of a row."""
_ROW = 0.115
"""Height in inches of a row of names, or width of an upright name."""
_LONGEST = 24
"""Maximum number of characters of a name."""
_FEWEST_STAGES = 3
"""Number of stages of several layers from which stages are named instead of layers."""
_BELOW = 0.07
"""Inches between the axis and the first row of names."""
_CLOSEST = 0.035
"""Smallest distance in inches of layers that all have ticks."""


@dataclass(frozen=True)
class _Name:
    centre: float
    """Inches from the left edge of the panel."""
    text: str
    row: int = 0
    upright: bool = False

    @property
    def depth(self) -> float:
        """Inches below the axis that it takes."""
        length = text_width(self.text, TEXT) if self.upright else _ROW
        return _BELOW + _ROW * self.row + length


def names_height(depth: Depth, width: float, overhang: float) -> float:
    """Height in inches of the names below a panel of this width."""
    return max(name.depth for name in _names(depth, width, overhang)) + 0.02


def draw_layer_names(axes: Axes, depth: Depth, width: float, overhang: float) -> None:
    """Draw the axis of a panel ``width`` inches wide: ticks, and the names that fit.

    If all layers fit, each has its name, horizontally or upright. Otherwise stages of several
    layers are named, or every n-th layer. Networks of different depth share an axis from their
    first to their last layer.

    Args:
        axes: the panel.
        depth: of its models.
        width: in inches.
        overhang: inches by which a name may reach beyond the panel.
    """
    draw_ticks(axes, depth, width)
    for name in _names(depth, width, overhang):
        axes.annotate(
            name.text,
            (name.centre / width, 0),
            xycoords="axes fraction",
            xytext=(0, -72 * (_BELOW + _ROW * name.row)),
            textcoords="offset points",
            ha="center",
            va="top",
            rotation=90 * name.upright,
            fontsize=TEXT,
        )


def draw_ticks(axes: Axes, depth: Depth, width: float) -> None:
    """Draw a tick per layer without names, or fewer where they are too dense."""
    low, margin = _start(depth)
    high = 1.0 if depth.relative else max(depth.last.values())
    axes.set_xlim(low - margin, high + margin)
    shade_stages(axes, depth)
    scale = _scale(depth, width)
    if depth.relative or len(depth.names) > 1:
        ticks = [low, (low + high) / 2, high]
    else:
        ticks = list(depth.names[0])
        if len(ticks) > 1 and min(np.diff(ticks)) * scale < _CLOSEST:
            ticks = ticks[:: math.ceil(_CLOSEST / scale)]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.tick_params(axis="x", labelbottom=False, length=2)


def shade_stages(axes: Axes, depth: Depth) -> None:
    """Shade every other stage of a network whose stages are named."""
    for number, (_, first, last) in enumerate(_named_stages(depth)):
        if number % 2 == 0:
            axes.axvspan(first - 0.5, last + 0.5, color="#F3F3F3", linewidth=0, zorder=0)


def _start(depth: Depth) -> tuple[float, float]:
    """First position of the axis, and the margin beside the layers."""
    if depth.relative:
        return 0.0, 0.03
    low = min(min(names) for names in depth.names)
    return low, 0.03 * (max(depth.last.values()) - low) or 0.5


def _scale(depth: Depth, width: float) -> float:
    """Inches per unit of the axis."""
    low, margin = _start(depth)
    high = 1.0 if depth.relative else max(depth.last.values())
    return width / (high - low + 2 * margin)


def _named_stages(depth: Depth) -> list[tuple[str, int, int]]:
    """Stages of several layers; none where layers are named one by one, or not at all."""
    if depth.relative or len(depth.names) > 1:
        return []
    found = [stage for stage in stages(depth.names[0]) if stage[2] > stage[1]]
    return found if len(found) >= _FEWEST_STAGES else []


def _names(depth: Depth, width: float, overhang: float) -> list[_Name]:
    """Names with their places below a panel of this width."""
    low, margin = _start(depth)
    scale = _scale(depth, width)

    def centre(at: float) -> float:
        return (at - low + margin) * scale

    if depth.relative or len(depth.names) > 1:
        high = 1.0 if depth.relative else max(depth.last.values())
        ends = [(low, "first layer"), (high, "last layer"), ((low + high) / 2, "half the depth")]
        return _fitting([(centre(at), text) for at, text in ends], (width, overhang))
    layers = {at: short(name, _LONGEST) for at, name in depth.names[0].items()}
    all_names = [(centre(at), name) for at, name in layers.items()]
    if len(_fitting(all_names, (width, overhang))) == len(layers):
        return _fitting(all_names, (width, overhang))
    first, last = min(layers), max(layers)
    staged = _named_stages(depth)
    if staged:
        middles = [(centre((start + end) / 2), name) for name, start, end in staged]
        outer = [(centre(at), layers[at]) for at in (last, first)]
        return _fitting(outer, (width, overhang), middles)
    gaps = np.diff(sorted(layers))
    if gaps.min() * scale >= _ROW:
        return [_Name(at, name, upright=True) for at, name in all_names]
    for step in range(2, len(layers)):
        some = all_names[:-1:step]
        if len(all_names) - 1 - (len(some) - 1) * step < step:
            some = some[:-1]  # too near to the last layer
        chosen = [*some, all_names[-1]]
        if len(_fitting(chosen, (width, overhang))) == len(chosen):
            return _fitting(chosen, (width, overhang))
    return _fitting([all_names[-1], all_names[0]], (width, overhang))


def _fitting(
    names: Sequence[tuple[float, str]],
    panel: tuple[float, float],
    second: Sequence[tuple[float, str]] = (),
) -> list[_Name]:
    """Names that fit a ``panel`` of a width and overhang, those listed first before others;
    ``second`` may take a second row."""
    width, overhang = panel
    found: list[_Name] = []
    taken: list[tuple[int, float, float]] = []
    for number, (centre, text) in enumerate((*names, *second)):
        half = text_width(text, TEXT) / 2
        place = float(np.clip(centre, half - overhang, width + overhang - half))
        for row in (0, 1) if number >= len(names) else (0,):
            left, right = place - half, place + half
            if all(r != row or right + _GAP < a or b + _GAP < left for r, a, b in taken):
                taken.append((row, left, right))
                found.append(_Name(place, text, row))
                break
    return found
