"""Rules for operations that slice, split, join and pad tensors."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from jobs.models.padding.arguments import Arguments, Keywords, bind, from_end, leaves, masked_input
from jobs.models.padding.frames import Frames, frames_of, mark, mark_view, zero_invalid
from jobs.models.padding.lengths import CannotMask, FrameCount, Lengths, same_lengths

TorchFunction = Callable[..., Any]


def indexed(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """``value[...]`` with slices, integers, None and an ellipsis."""
    value, frames = masked_input(args[0], "[...]")
    index = args[1]
    entries = list(index) if isinstance(index, tuple) else [index]
    if not all(entry is None or isinstance(entry, int | slice | type(...)) for entry in entries):
        raise CannotMask("it indexes frames with a tensor or a list")
    used = sum(entry is not None and entry is not ... for entry in entries)
    if ... not in entries:
        entries.append(...)
    at = entries.index(...)
    entries[at : at + 1] = [slice(None)] * (value.ndim - used)
    result = func(value, tuple(entries))
    axes, moved = _after_index(entries, frames, value.ndim, result.ndim)
    return mark_view(result, axes, frames, moved)


def _after_index(
    entries: list[Any], frames: Frames, ndim: int, ndim_after: int
) -> tuple[dict[int, Lengths], dict[int, int]]:
    """Return the time axes after indexing, and the axis that each one was before.

    Args:
        entries: one entry per axis, and None for new axes.
        frames: time axes before indexing.
        ndim: number of axes before indexing.
        ndim_after: number of axes after it.
    """
    axes, moved = {}, {}
    old, new = -ndim, -ndim_after
    for entry in entries:
        if entry is None:
            new += 1
            continue
        if old == -ndim and (new != -ndim_after or entry != slice(None)):
            raise CannotMask("it indexes the batch axis")
        if old in frames.axes:
            lengths = _after_entry(entry, frames.axes[old])
            if lengths is not None:
                axes[new], moved[new] = lengths, old
        elif any(isinstance(one, FrameCount) for one in leaves([entry])):
            raise CannotMask("it slices an axis other than time by a number of frames")
        old += 1
        new += not isinstance(entry, int)
    return axes, moved


def _after_entry(entry: Any, lengths: Lengths) -> Lengths | None:
    """Return the lengths of a time axis after indexing it; None if an integer picks one frame."""
    if isinstance(entry, int):
        if isinstance(entry, FrameCount) or not 0 <= entry < lengths.shortest:
            raise CannotMask("it picks a frame that some utterances lack, or counts from the end")
        return None
    start, stop, step = entry.start or 0, entry.stop, entry.step or 1
    if isinstance(start, FrameCount) or start < 0 or step != 1:
        raise CannotMask("it slices frames with a start counted from the end, or with a step")
    if stop is None:
        return lengths.map(lambda n: max(n - start, 0))
    if not isinstance(stop, FrameCount):
        return lengths.map(lambda n: max((min(n, stop) if stop >= 0 else n + stop) - start, 0))
    pairs = zip(lengths.valid, stop.lengths.valid, strict=True)
    valid = tuple(max(min(n, end) - start, 0) for n, end in pairs)
    return Lengths(valid, max(min(lengths.padded, stop.lengths.padded) - start, 0))


def split(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """``split``, ``chunk``, ``unbind``, ``narrow`` and ``select`` of axes other than time."""
    names = {
        "split": "input size dim", "chunk": "input chunks dim", "unbind": "input dim",
        "narrow": "input dim start length", "select": "input dim index",
    }[func.__name__]  # fmt: skip
    bound = dict(zip(names.split(), bind(names, args, kwargs, dim=0), strict=True))
    value, frames = masked_input(bound["input"], func.__name__)
    axis = from_end(bound["dim"], value.ndim)
    if axis in frames.axes or axis == -value.ndim:
        raise CannotMask(f"{func.__name__} along time or the batch")
    result = func(*args, **kwargs)
    gone = func.__name__ in ("unbind", "select")
    moved = {old + (gone and old < axis): old for old in frames.axes}
    axes = {new: frames.axes[old] for new, old in moved.items()}
    parts = [result] if isinstance(result, Tensor) else result
    for part in parts:
        mark_view(part, axes, frames, moved)
    return result


def joined(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """``cat`` and ``stack``; along time, frames are appended to each utterance's own end."""
    values, dim = bind("tensors dim", args, kwargs, dim=0)
    stacked = func.__name__ == "stack"
    axis = from_end(dim, values[0].ndim + stacked)
    if axis == -values[0].ndim - stacked:
        raise CannotMask(f"{func.__name__} along the batch")
    known = [frames.axes if (frames := frames_of(value)) else {} for value in values]
    if not stacked and any(axis in axes for axes in known):
        return _concatenate(values, axis)
    result = func(values, dim)
    joint: dict[int, list[Lengths]] = {}
    for axes in known:
        for old, lengths in axes.items():
            joint.setdefault(old - (stacked and old <= axis), []).append(lengths)
    return mark(result, {new: one for new, given in joint.items() if (one := same_lengths(given))})


def _concatenate(values: list[Tensor], axis: int) -> Tensor:
    """Concatenate along time: each tensor starts at every utterance's own end of the last."""
    if any(set(frames.axes) - {axis} for value in values if (frames := frames_of(value))):
        raise CannotMask("cat of tensors with two time axes")
    n_rows = values[0].shape[0]
    parts = []
    for value in values:
        frames = frames_of(value)
        size = value.shape[axis]
        parts.append(frames.axes[axis] if frames else Lengths((size,) * n_rows, size))
    padded = sum(part.padded for part in parts)
    valid = tuple(map(sum, zip(*(part.valid for part in parts), strict=True)))
    order = [
        _gather_order([part.valid[row] for part in parts], parts, padded) for row in range(n_rows)
    ]
    end_to_end = torch.cat(values, dim=axis)
    shape = [1] * end_to_end.ndim
    shape[0], shape[axis] = n_rows, padded
    index = torch.tensor(order).to(end_to_end.device).view(shape).expand(end_to_end.shape)
    return mark(end_to_end.gather(axis, index), {axis: Lengths(valid, padded)})


def _gather_order(valid: list[int], parts: list[Lengths], padded: int) -> list[int]:
    """Return the indices of one utterance's frames in the concatenated tensors, then the rest."""
    own: list[int] = []
    start = 0
    for n, part in zip(valid, parts, strict=True):
        own += range(start, start + n)
        start += part.padded
    taken = set(own)
    return own + [frame for frame in range(padded) if frame not in taken]


def padded(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """``pad``: with zeros after each utterance's own end along time, in any mode elsewhere."""
    value, pad, mode, fill = bind("input pad mode value", args, kwargs, mode="constant")
    value, frames = masked_input(value, "pad")
    axes = dict(frames.axes)
    for axis, lengths in frames.axes.items():
        place = 2 * (-axis - 1)
        before, after = pad[place : place + 2] if len(pad) > place else (0, 0)
        if (before or after) and (mode != "constant" or fill):
            raise CannotMask("it pads time with values other than zero")
        if min(before, after) < 0:
            raise CannotMask("it removes frames by negative padding")
        value = zero_invalid(value, axis) if after else value
        axes[axis] = lengths.map(lambda n: n + before + after)  # noqa: B023
    return mark(func(value, pad, mode, fill), axes)
