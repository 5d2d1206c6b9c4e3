"""Rules for operations that read, move, reshape or expand axes."""

import math
from collections.abc import Callable
from typing import Any

import torch

from jobs.models.padding.arguments import Arguments, Keywords, masked_input, sizes
from jobs.models.padding.frames import Frames, frames_of, mark, mark_view, shape_of
from jobs.models.padding.lengths import CannotMask, FrameCount, Lengths

TorchFunction = Callable[..., Any]


def read(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """Properties that padding does not affect: dtype, device, number of axes."""
    return func(*args, **kwargs)


def shape(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """``shape`` and ``size()``, with a `FrameCount` for every time axis."""
    found = shape_of(args[0])
    dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
    return found[dim] if isinstance(dim, int) else found


def same_axes(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """A copy or a view with the same axes: ``contiguous``, ``clone``, ``to``, ``detach``."""
    value, frames = masked_input(args[0], func.__name__)
    result = func(*args, **kwargs)
    return result if result is value else mark_view(result, frames.axes, frames)


def like(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """A new tensor of the same shape, such as ``zeros_like``."""
    _, frames = masked_input(args[0], func.__name__)
    return mark(func(*args, **kwargs), frames.axes)


def moved_axes(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """``permute``, ``transpose``, ``unsqueeze`` and the like; also in place.

    The new position of each axis is read off a meta tensor whose axes all differ in size.
    """
    value, frames = masked_input(args[0], func.__name__)
    probe = torch.empty([2 + axis for axis in range(value.ndim)], device="meta")
    went = list(func(probe, *args[1:], **kwargs).shape)
    if went[0] != 2:
        raise CannotMask(f"{func.__name__} moves the batch axis")
    moved = {went.index(2 + value.ndim + old) - len(went): old for old in frames.axes}
    axes = {new: frames.axes[old] for new, old in moved.items()}
    result = func(*args, **kwargs)
    return mark_view(result, axes, frames, moved)


def reshaped(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """``view``, ``reshape``, ``flatten``, ``unflatten`` and ``squeeze``."""
    value, frames = masked_input(args[0], func.__name__)
    if any(isinstance(one, torch.dtype) for one in args):
        raise CannotMask("it reinterprets the memory of frames as another dtype")
    if func.__name__ == "squeeze" and any(one.shortest == 1 for one in frames.axes.values()):
        raise CannotMask("squeeze, which may remove a time axis with a single frame")
    before = tuple(value.shape)
    result = func(*args, **kwargs)
    after = tuple(result.shape)
    axes, moved = {}, {}
    for old, lengths in frames.axes.items():
        new, times = _axis_after(before, after, old)
        moved[new] = old
        axes[new] = _lengths_after(lengths.map(lambda n: n * times), before[0], after[0])  # noqa: B023
    return mark_view(result, axes, frames, moved)


def _axis_after(before: tuple[int, ...], after: tuple[int, ...], old: int) -> tuple[int, int]:
    """Find the axis of shape ``after`` that axis ``old`` of shape ``before`` has become.

    Returns:
        The axis, counted from the end, and the number of its elements per frame: more than 1 if
        the axes behind it were merged into it.

    Raises:
        CannotMask: frames are merged or split.
    """
    in_front = math.prod(before[:old])
    for new in range(1, len(after)):
        times, rest = divmod(after[new], before[old])
        if math.prod(after[:new]) == in_front and not rest and (times == 1 or old < -1):
            return new - len(after), times
    raise CannotMask(f"it merges or splits frames: {before} becomes {after}")


def _lengths_after(lengths: Lengths, before: int, after: int) -> Lengths:
    """Return the lengths after merging the batch axis with the next one, or splitting it."""
    if after % before == 0:
        times = after // before
        return Lengths(tuple(n for n in lengths.valid for _ in range(times)), lengths.padded)
    times = before // after if after else 0
    if times * after != before or lengths.valid != tuple(
        n for n in lengths.valid[:: max(times, 1)] for _ in range(times)
    ):
        raise CannotMask(f"it reshapes a batch of {before} rows to {after}")
    return Lengths(lengths.valid[::times], lengths.padded)


def expanded(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """``expand``, ``expand_as`` and ``repeat`` of axes other than time and batch."""
    value, *given = args
    result = func(*args, **kwargs)
    if func.__name__ == "expand_as":
        wanted = shape_of(given[0])
    else:
        wanted = sizes(tuple(given)) or tuple(kwargs["size"])
    frames = frames_of(value) or Frames({})
    if len(wanted) != value.ndim or any(result.shape[a] != value.shape[a] for a in frames.axes):
        raise CannotMask(f"{func.__name__} of the time axis or along a new first axis")
    axes = dict(frames.axes)
    for axis, size in zip(range(-len(wanted), 0), wanted, strict=True):
        if isinstance(size, FrameCount) and axis not in axes:
            if value.shape[axis] != 1:
                raise CannotMask(f"{func.__name__} of more than one frame to a number of frames")
            axes[axis] = size.lengths
    if frames.axes and result.shape[0] != value.shape[0]:
        raise CannotMask(f"{func.__name__} of the batch axis")
    return mark_view(result, axes, frames)
