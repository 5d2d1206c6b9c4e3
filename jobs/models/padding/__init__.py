"""Padded batches with the exact result of every utterance alone, for any network of known parts.

Inside `masked_batch` every operation of torch on a tensor that came from the batch goes through a
rule (`jobs.models.padding.rules`), which knows what that operation does to the frames beyond an
utterance's end: statistics over time leave them out, convolutions see zeros there, sizes are each
utterance's own. No network is known by name: one that is made of operations with rules is masked
exactly, any other is refused (`CannotMask`). The cost is that of a padded batch.
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
    """Sends every operation on a tensor of the batch to its rule."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Called by torch for every function and method, and for reading a shape."""
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
    """While it is open, whatever this thread computes from ``batch`` is exact for each utterance.

    Args:
        batch: (B, T, …), padded along its second axis; what lies beyond an utterance's end may be
            overwritten.
        lengths: B; how many of the T frames are the utterance's own.
    """
    mark(batch, {1 - batch.ndim: Lengths(tuple(map(int, lengths)), batch.shape[1])})
    try:
        with _Rules():
            yield
    finally:
        unmark(batch)


def check_pooled(values: dict[str, Tensor]) -> None:
    """Refuse values that still have frames: not one vector an utterance.

    Raises:
        CannotMask: a pooling left the time axis in.
    """
    for name, value in values.items():
        if frames_of(value):
            raise CannotMask(f"the pooled value of {name!r} still has a time axis")


def pad(inputs: Sequence[Tensor]) -> tuple[Tensor, tuple[int, ...]]:
    """(T, …) of several utterances to one (B, T, …) with zeros at the ends, and the T of each."""
    return pad_sequence(list(inputs), batch_first=True), tuple(len(one) for one in inputs)
