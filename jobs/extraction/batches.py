"""Which inputs share a forward pass.

Every batch is a list of positions; a batch is never empty, and an input that is too long for any
batch is one of its own.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

MAX_PADDING = 1.05
"""Frames computed in a batch, by frames useful: speed bought with padding is none."""


def equal_batches(
    shapes: Sequence[tuple[int, ...]], rows: Iterable[int], budget: int
) -> list[list[int]]:
    """Inputs of equal shape together, in their order.

    Args:
        shapes: of all inputs; the first axis is time.
        rows: which of them.
        budget: positions along time of a batch, all inputs together.
    """
    rows_of_shape: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
    for row in rows:
        rows_of_shape[shapes[row]].append(row)
    batches = []
    for shape, alike in rows_of_shape.items():
        size = max(1, budget // shape[0])
        batches += [alike[start : start + size] for start in range(0, len(alike), size)]
    return batches


def padded_batches(lengths: Sequence[int], rows: Iterable[int], budget: int) -> list[list[int]]:
    """Inputs of similar length together, the longest first: what does not fit shows at once.

    Args:
        lengths: of all inputs.
        rows: which of them.
        budget: positions of a batch, padding included.
    """
    batches: list[list[int]] = []
    useful = 0
    for row in sorted(rows, key=lambda row: -lengths[row]):
        useful += lengths[row]
        if batches:
            batch = batches[-1]
            computed = lengths[batch[0]] * (len(batch) + 1)
            if computed <= min(budget, MAX_PADDING * useful):
                batch.append(row)
                continue
        batches.append([row])
        useful = lengths[row]
    return batches
