"""Groups inputs into batches.

A batch is a list of positions of inputs. It is never empty; an input that exceeds the budget is a
batch by itself.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

MAX_PADDING = 1.05
"""Maximum ratio of computed to useful frames in a batch: more padding would cost speed."""


def equal_batches(
    shapes: Sequence[tuple[int, ...]], rows: Iterable[int], budget: int
) -> list[list[int]]:
    """Batch inputs of equal shape, in order.

    Args:
        shapes: shapes of all inputs; the first axis is time.
        rows: positions of the inputs to batch.
        budget: maximum of the total length of a batch's inputs.
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
    """Batch inputs of similar length, longest first, so that one that does not fit fails early.

    Args:
        lengths: lengths of all inputs.
        rows: positions of the inputs to batch.
        budget: maximum of the total length of a batch's inputs, including padding.
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
