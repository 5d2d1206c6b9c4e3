"""Tiles: blocks of pairs of layers that one job compares, as large as memory allows."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from jobs.similarity.job import Values
from sweep.plan.plan import PlannedModel

TILE_BYTES = 2**30
"""Maximum number of bytes of the sketches that a tile holds in memory."""
MOST_ROWS = 32
"""Maximum number of layers on a side of a tile: seconds to minutes of work."""


def tile_side(model: PlannedModel, n_utterances: int) -> int:
    """Return the number of layers on a side of a tile: known before any sketch, so that equal runs
    have equal tiles.

    A sketch of N utterances and width D has at most N²/2 + r (N + D) numbers, r ≤ N, D.
    """
    n, width = n_utterances, max(layer.width for layer in model.layers)
    n_bytes = 4 * (n * n // 2 + min(n, width) * (n + width))
    return max(1, min(MOST_ROWS, TILE_BYTES // n_bytes))


def tile_blocks(
    rows: Sequence[int], columns: Sequence[int], side: int, *, symmetric: bool
) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the positions of the layers of every tile; of a ``symmetric`` pair, one half of
    them."""
    column_chunks = _chunks(columns, side)
    for i, row_chunk in enumerate(_chunks(rows, side)):
        for column_chunk in column_chunks[i:] if symmetric else column_chunks:
            yield row_chunk, column_chunk


def unknown_values(shape: tuple[int, int]) -> Values:
    """Make the values of a pair of which no tile is done."""
    unknown = np.full(shape, np.nan)
    return Values(unknown, unknown.copy(), unknown.copy(), np.zeros(shape, dtype=bool))


def fill(whole: Values, part: Values, at: tuple[npt.NDArray[np.intp], ...]) -> None:
    """Store a tile's values in those of its pair."""
    for name, array in vars(part).items():
        getattr(whole, name)[at] = array


def _chunks(positions: Sequence[int], size: int) -> list[list[int]]:
    return [list(positions[i : i + size]) for i in range(0, len(positions), size)]
