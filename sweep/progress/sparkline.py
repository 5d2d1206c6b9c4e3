"""Scores over layers as a line of blocks, and shares as bars, in a given number of columns."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

BLOCKS = "▁▂▃▄▅▆▇█"
UNKNOWN = "·"
FULL, EMPTY = "━", "─"
LEAST_RANGE = 0.05
"""Smallest score that a full block stands for, so that noise around 0 looks like it."""


def sparkline(scores: Mapping[int, float], order: Sequence[int], width: int, top: float) -> str:
    """Draw a block for each layer, or the best of several where there are more than columns.

    Args:
        scores: score by the index of a layer, of those that are done.
        order: index of every layer, in depth order.
        width: most columns.
        top: score of a full block; a score of 0 or less is the lowest block.
    """
    columns = min(width, len(order))
    if columns <= 0:
        return ""
    bounds = [column * len(order) // columns for column in range(columns + 1)]
    line = ""
    for first, last in pairwise(bounds):
        known = [scores[index] for index in order[first:last] if index in scores]
        line += _block(max(known), top) if known else UNKNOWN
    return line


def bar(share: float, width: int) -> tuple[str, str]:
    """Split ``width`` columns into a full and an empty part."""
    full = round(min(max(share, 0.0), 1.0) * width)
    if share < 1:
        full = min(full, width - 1)
    return FULL * full, EMPTY * (width - full)


def _block(score: float, top: float) -> str:
    share = score / max(top, LEAST_RANGE)
    level = int(share * len(BLOCKS)) if share > 0 else 0  # NaN is not above 0
    return BLOCKS[min(level, len(BLOCKS) - 1)]
