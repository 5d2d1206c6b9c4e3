"""Arguments of torch functions and methods, bound by the names in torch's documentation."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from jobs.models.padding.frames import Frames, frames_of
from jobs.models.padding.lengths import CannotMask

Arguments = tuple[Any, ...]
Keywords = dict[str, Any]


def bind(names: str, args: Arguments, kwargs: Keywords, **defaults: Any) -> list[Any]:
    """Bind positional and keyword arguments; return the values of ``names`` in that order.

    Args:
        names: in torch's order, separated by spaces.
        args: positional arguments of the call.
        kwargs: keyword arguments of the call.
        **defaults: defaults of optional arguments; None for all others.

    Raises:
        CannotMask: the call has other arguments.
    """
    order = names.split()
    found = dict(zip(order, args, strict=False)) | kwargs
    unknown = [name for name in found if name not in order]
    if len(args) > len(order) or unknown:
        raise CannotMask(f"it uses arguments that no rule covers ({', '.join(unknown) or args})")
    return [found.get(name, defaults.get(name)) for name in order]


def leaves(values: Iterable[Any]) -> list[Any]:
    """Flatten nested tuples, lists and slices."""
    found = []
    for value in values:
        if isinstance(value, tuple | list):
            found += leaves(value)
        elif isinstance(value, slice):
            found += (value.start, value.stop, value.step)
        else:
            found.append(value)
    return found


def sizes(args: Arguments) -> Arguments:
    """Return sizes or axes as a tuple; torch accepts them one by one or as one sequence."""
    return tuple(args[0]) if len(args) == 1 and isinstance(args[0], tuple | list) else args


def from_end(axis: int, ndim: int) -> int:
    """Convert an axis to one counted from the end: −1 is the last."""
    return axis - ndim if axis >= 0 else axis


def masked_input(value: Any, what: str) -> tuple[Tensor, Frames]:
    """Return an operation's first argument, which must belong to the padded batch, and its frames.

    Raises:
        CannotMask: it does not.
    """
    frames = frames_of(value)
    if frames is None:
        raise CannotMask(f"{what}: its frames are in an argument other than the first")
    return value, frames
