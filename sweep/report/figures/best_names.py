"""Names of best layers in a panel, placed where they cover the fewest points.

Distances are in inches: a panel is a rectangle of known size, in which names must not collide.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from sweep.report.figures.style import TEXT, text_width

LINE = 0.115
"""Height in inches of a line of text."""
_OVERHANG = 0.14
"""Inches by which a name may reach above the panel."""

Box = tuple[float, float, float, float]
"""Left, bottom, right, top, in inches from the lower left corner of the panel."""


@dataclass(frozen=True)
class BestLayer:
    """A model's best layer, as it is named."""

    x: float
    y: float
    text: str
    """Name and score, in one line or two."""
    colour: str


def name_best(
    axes: Axes,
    size: tuple[float, float],
    best: Sequence[BestLayer],
    points: Sequence[npt.NDArray[np.float64]],
) -> None:
    """Write the names of the best layers.

    Args:
        axes: the panel, with its limits.
        size: its width and height in inches.
        best: the layers; of several, the first is named above its point and others below theirs,
            as far as there is room.
        points: what is not to be covered, (n, 2) each.
    """
    low, high = np.array([axes.get_xlim(), axes.get_ylim()]).T
    scale = np.array(size) / (high - low)
    covered = np.concatenate([(one - low) * scale for one in points])
    taken: list[Box] = [
        (px - 0.05, py - 0.05, px + 0.05, py + 0.05)
        for one in best
        for px, py in [(np.array([one.x, one.y]) - low) * scale]
    ]
    for number, one in enumerate(best):
        px, py = (np.array([one.x, one.y]) - low) * scale
        side = 0 if len(best) == 1 else 1 if number == 0 else -1
        lines = one.text.split("\n")
        shape = max(text_width(line, TEXT) for line in lines), LINE * len(lines)
        boxes = list(_candidates(px, py, shape, size))
        costs = [_cost(box, covered, taken, (px, py), side) for box in boxes]
        box = boxes[int(np.argmin(costs))]
        taken.append(box)
        _write(axes, one, box, size)


def _write(axes: Axes, one: BestLayer, box: Box, size: tuple[float, float]) -> None:
    left, bottom, right, top = box
    axes.annotate(
        one.text,
        (one.x, one.y),
        xytext=((left + right) / 2 / size[0], (bottom + top) / 2 / size[1]),
        textcoords="axes fraction",
        ha="center",
        va="center" if "\n" in one.text else "center_baseline",
        linespacing=1.0,
        fontsize=TEXT,
        color=one.colour,
        zorder=5,
        bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.3},
        arrowprops={"arrowstyle": "-", "color": one.colour, "linewidth": 0.5, "shrinkB": 3},
    )


def _candidates(
    px: float, py: float, shape: tuple[float, float], size: tuple[float, float]
) -> Iterator[Box]:
    """Places of a name of this width and height around a point, within the panel."""
    width, height = shape
    found = False
    steps = [sign * (height / 2 + gap) for gap in (0.09, 0.22, 0.36, 0.5) for sign in (1, -1)]
    for dy, dx in product(steps, (0.0, 0.5, -0.5)):
        centre = px + dx * (width + 0.1)
        if width < size[0]:
            centre = float(np.clip(centre, width / 2, size[0] - width / 2))
        else:
            centre = size[0] / 2
        middle = py + dy
        if height / 2 <= middle <= size[1] + _OVERHANG - height / 2:
            found = True
            yield centre - width / 2, middle - height / 2, centre + width / 2, middle + height / 2
    if not found:  # the panel is lower than the name
        yield px - width / 2, py + 0.1, px + width / 2, py + 0.1 + height


def _cost(
    box: Box,
    points: npt.NDArray[np.float64],
    taken: Sequence[Box],
    at: tuple[float, float],
    side: int,
) -> float:
    """Cost of a place, which is higher on the wrong ``side`` of the point: 1 above, -1 below."""
    left, bottom, right, top = box
    x, y = points.T
    covered = ((x > left) & (x < right) & (y > bottom) & (y < top)).sum()
    overlaps = sum(a < right and left < c and b < top and bottom < d for a, b, c, d in taken)
    distance = abs((bottom + top) / 2 - at[1]) + 0.3 * abs((left + right) / 2 - at[0])
    wrong = ((bottom + top) / 2 - at[1]) * side < 0
    return float(covered + 50 * overlaps + 6 * distance + 4 * wrong)
