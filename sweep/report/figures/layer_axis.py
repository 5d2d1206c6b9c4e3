"""The layer axis of a figure: one for all of its models, readable at 150 layers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, MaxNLocator

from sweep.report.figures.style import SMALL, short, text_width

FEW_LAYERS = 12
"""Number of layers up to which every layer has its name on the axis."""
MOST_STRIPS = 4
STRIP = 0.13
"""Height in inches of a strip with the stages of an architecture."""
GAP = 0.06
"""Gap in inches between the axis and the first strip."""
_GREYS = ("#E3E3E3", "#F3F3F3")


@dataclass(frozen=True)
class Depth:
    """Positions of layers: by index, or by relative depth if models differ in depth."""

    last: dict[str, int]
    """Index of the last layer, by model."""
    names: tuple[dict[int, str], ...]
    """Layer names by index, one list per architecture."""

    @property
    def relative(self) -> bool:
        """True if the axis runs from 0 (first layer) to 1 (last layer)."""
        return len(set(self.last.values())) > 1

    @property
    def strips(self) -> list[dict[int, str]]:
        """Architectures with named stages; empty if there are too many to draw."""
        staged = [names for names in self.names if 1 < len(stages(names)) <= len(names) / 2]
        return staged if len(staged) <= MOST_STRIPS else []

    def x(self, model: str, index: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Positions of a model's layers on the axis; a model's only layer is its last: 1."""
        return self.scaled(np.asarray(index, dtype=float), self.last[model])

    def scaled(self, index: npt.NDArray[np.float64], last: int) -> npt.NDArray[np.float64]:
        """Layer indices, or fractions of them, as positions on the axis."""
        if not self.relative:
            return index
        return index / last if last else np.ones_like(index)


def depth_of(layers: pd.DataFrame) -> Depth:
    """Make the axis for all models of ``layers``; those with the same stages share a strip."""
    last: dict[str, int] = {}
    architectures: list[dict[int, str]] = []
    for model, group in layers.groupby("model", sort=False):
        names = dict(zip(group["layer_index"].astype(int), group["layer"], strict=True))
        last[str(model)] = max(names)
        for known in architectures:
            same = all(known.get(index, name) == name for index, name in names.items())
            if same and max(known) == max(names):
                known.update(names)
                break
        else:
            architectures.append(names)
    return Depth(last, tuple(dict(sorted(names.items())) for names in architectures))


def draw_depth(axes: Axes, depth: Depth, size: tuple[float, float]) -> None:
    """Draw ticks, label and stage strips of an axis that is ``size`` inches wide and high; the
    strips have names at its right."""
    first = min(min(names) for names in depth.names)
    low, high = (0, 1) if depth.relative else (first, max(depth.last.values()))
    margin = 0.02 * (high - low) or 0.5
    axes.set_xlim(low - margin, high + margin)
    if _named(depth, size[0]):
        axes.xaxis.set_major_locator(FixedLocator(list(depth.names[0])))
        axes.set_xticklabels(_tick_names(depth), rotation=90 * _upright(depth, size[0]))
    else:
        steps = [1, 2, 5, 10]
        bins = int(size[0] * 2) if not depth.relative else 6 if size[0] > 3 else 3
        axes.xaxis.set_major_locator(MaxNLocator(bins, steps=steps, integer=not depth.relative))
        axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("relative depth" if depth.relative else "layer")
    for row, names in enumerate(depth.strips):
        _draw_strip(axes, depth, names, row, size)
        if len(depth.strips) > 1:
            middle = 1 + (GAP + STRIP * (row + 0.5)) / size[1]
            _strip_text(axes, axes.get_xlim()[1], middle, f" {max(names) + 1} layers", "left")


def axis_height(depth: Depth, width: float) -> float:
    """Height in inches of the ticks and label below an axis of ``width`` inches."""
    if not _upright(depth, width):
        return 0.42
    return 0.36 + max(text_width(name, SMALL) for name in _tick_names(depth))


def _named(depth: Depth, width: float) -> bool:
    """Return whether every layer has its name on the axis."""
    few = len(depth.names) == 1 and len(depth.names[0]) <= FEW_LAYERS
    return few and width > 3 and _spacing(depth, width) > 0.12


def _spacing(depth: Depth, width: float) -> float:
    """Smallest distance in inches between two layers."""
    index = list(depth.names[0])
    if len(index) == 1:
        return width
    return float(width * np.diff(index).min() / (1.04 * (index[-1] - index[0])))


def _tick_names(depth: Depth) -> list[str]:
    return [short(name, 36) for name in depth.names[0].values()]


def _upright(depth: Depth, width: float) -> bool:
    """Return whether names must be upright, as they are too long to stand side by side."""
    if not _named(depth, width):
        return False
    longest = max(text_width(name, SMALL) for name in _tick_names(depth))
    return longest > 0.9 * _spacing(depth, width)


def strips_height(depth: Depth) -> float:
    """Height in inches of the strips above the axis."""
    return GAP + STRIP * len(depth.strips) if depth.strips else 0.0


def _draw_strip(
    axes: Axes, depth: Depth, names: dict[int, str], row: int, size: tuple[float, float]
) -> None:
    """Draw a strip above the axis with one box per stage, named where the name fits."""
    last = max(names)
    bottom, height = 1 + (GAP + STRIP * row) / size[1], (STRIP - 0.015) / size[1]
    span = np.diff(axes.get_xlim())[0]
    for number, (stage, first, final) in enumerate(stages(names)):
        left, right = depth.scaled(np.array([first - 0.5, final + 0.5]), last)
        if depth.relative:  # half a layer differs in width between the strips
            left, right = np.clip([left, right], 0, 1)
        box = Rectangle(
            (left, bottom),
            right - left,
            height,
            transform=axes.get_xaxis_transform(),
            facecolor=_GREYS[number % 2],
            linewidth=0,
            clip_on=False,
        )
        axes.add_patch(box)
        if len(depth.strips) == 1 and number % 2 == 0:
            axes.axvspan(left, right, color="#F6F6F6", linewidth=0, zorder=0)
        if text_width(stage, SMALL) < (right - left) / span * size[0]:
            _strip_text(axes, (left + right) / 2, bottom + height / 2, stage, "center")


def _strip_text(axes: Axes, x: float, y: float, text: str, align: str) -> None:
    axes.text(
        x,
        y,
        text,
        transform=axes.get_xaxis_transform(),
        ha=align,
        va="center_baseline",
        fontsize=SMALL,
        color="#444444",
    )


def stages(names: dict[int, str]) -> Sequence[tuple[str, int, int]]:
    """Runs of layers whose names begin alike, up to the first dot: (stage, first, last index)."""
    stages: list[tuple[str, int, int]] = []
    for index, name in names.items():
        stage = name.split(".")[0]
        if stages and stages[-1][0] == stage:
            stages[-1] = (stage, stages[-1][1], index)
        else:
            stages.append((stage, index, index))
    return stages
