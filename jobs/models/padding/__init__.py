"""Exact masking of padded batches: each utterance gets the result that it has alone.

Inside `masked_batch` every torch operation on a tensor derived from the batch goes through a rule
(`jobs.models.padding.rules`) that handles the frames beyond an utterance's end: statistics over
time exclude them, convolutions see zeros there, and sizes are those of each utterance. The rules
belong to operations, not to networks: a network made of operations with rules is masked exactly,
any other is refused (`CannotMask`). It costs as much as a padded batch.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.overrides import TorchFunctionMode

from jobs.models.padding.arguments import leaves
from jobs.models.padding.frames import frames_of, mark, unmark
from jobs.models.padding.lengths import CannotMask, FrameCount, Lengths
from jobs.models.padding.rules import RULES, TAKES_FRAME_COUNTS, name_of

__all__ = ["CannotMask", "check_pooled", "masked_batch", "pad"]


class _Rules(TorchFunctionMode):
    """Dispatches every operation on a tensor of the batch to its rule."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Apply the rule of ``func``; torch calls this for functions, methods and shape reads."""
        kwargs = kwargs or {}
        frames = counts = False
        for one in leaves((*args, *kwargs.values())):
            if isinstance(one, FrameCount):
                counts = True
            elif frames_of(one):
                frames = True
        if not frames and not counts:
            return func(*args, **kwargs)
        name = name_of(func)
        if name not in RULES or (counts and name not in TAKES_FRAME_COUNTS):
            number = "a number of frames" if counts else "frames of a padded batch"
            raise CannotMask(f"there is no rule for {name} of {number}")
        return RULES[name](func, args, kwargs)


@contextmanager
def masked_batch(batch: Tensor, lengths: Sequence[int]) -> Iterator[None]:
    """Mask everything that this thread computes from ``batch`` inside the block.

    Args:
        batch: (B, T, …), padded along its second axis; frames beyond an utterance's end may be
            overwritten.
        lengths: number of valid frames of each of the B utterances.
    """
    mark(batch, {1 - batch.ndim: Lengths(tuple(map(int, lengths)), batch.shape[1])})
    try:
        with _Rules():
            yield
    finally:
        unmark(batch)


def check_pooled(values: dict[str, Tensor]) -> None:
    """Refuse pooled values that still have a time axis instead of one vector per utterance.

    Raises:
        CannotMask: the pooling kept the time axis.
    """
    for name, value in values.items():
        if frames_of(value):
            raise CannotMask(f"the pooled value of {name!r} still has a time axis")


def pad(inputs: Sequence[Tensor]) -> tuple[Tensor, tuple[int, ...]]:
    """Stack B inputs (T, …) to one (B, T, …), zero-padded at the end; return it and each T."""
    return pad_sequence(list(inputs), batch_first=True), tuple(len(one) for one in inputs)
