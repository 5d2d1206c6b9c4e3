"""Rules for operations that treat every element, or every frame, independently."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from jobs.models.padding.arguments import Arguments, Keywords, bind, leaves, masked_input
from jobs.models.padding.frames import frames_of, mark, written
from jobs.models.padding.lengths import CannotMask, FrameCount, Lengths, per_row, same_lengths

TorchFunction = Callable[..., Any]


def elementwise(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """Any elementwise function of broadcast tensors; also in place."""
    if kwargs.get("out") is not None or kwargs.get("training"):
        raise CannotMask(f"{func.__name__} with out= or in training")
    result = func(*_with_columns(args), **kwargs)
    tensors = [one for one in leaves((*args, *kwargs.values())) if isinstance(one, Tensor)]
    if any(result is one for one in tensors):
        return _changed_in_place(result, tensors)
    if any(isinstance(one, FrameCount) for one in args) and result.is_floating_point():
        # A Python number does not promote dtypes, so the column in its place must not either.
        result = result.to(tensors[0].dtype)
    return mark(result, _broadcast_axes(result, tensors))


def _changed_in_place(result: Tensor, tensors: list[Tensor]) -> Tensor:
    frames = frames_of(result)
    if frames is None:
        if any(frames_of(one) for one in tensors):
            raise CannotMask("it writes frames into a tensor that has none")
        return result
    if _broadcast_axes(result, tensors) != frames.axes:
        raise CannotMask("it writes frames into a tensor with other lengths")
    written(result)
    return result


def _with_columns(args: Arguments) -> Arguments:
    """Replace every `FrameCount` in ``args`` by a column with one number per utterance."""
    if not any(isinstance(one, FrameCount) for one in args):
        return args
    tensor = next(one for one in args if isinstance(one, Tensor))
    dtype = torch.float64 if tensor.dtype == torch.float64 else torch.float32
    return tuple(
        _column(one.lengths, tensor, dtype) if isinstance(one, FrameCount) else one for one in args
    )


def _column(lengths: Lengths, beside: Tensor, dtype: torch.dtype) -> Tensor:
    if beside.ndim == 0 or beside.shape[0] != len(lengths.valid):
        raise CannotMask("it combines a number of frames with a tensor that is not of the batch")
    values = per_row(tuple(map(float, lengths.valid)), dtype, beside.device)
    return values.view(-1, *[1] * (beside.ndim - 1))


def _broadcast_axes(result: Tensor, tensors: list[Tensor]) -> dict[int, Lengths]:
    """Return the time axes of the shape to which tensors are broadcast."""
    found: dict[int, list[Lengths]] = {}
    for one in tensors:
        frames = frames_of(one)
        if frames is None:
            continue
        if one.ndim != result.ndim:
            raise CannotMask("it broadcasts frames along a new first axis")
        for axis, lengths in frames.axes.items():
            # A single frame that is broadcast takes the lengths of the other tensor.
            if lengths.padded == result.shape[axis]:
                found.setdefault(axis, []).append(lengths)
    axes = {axis: same_lengths(all_lengths) for axis, all_lengths in found.items()}
    return {axis: lengths for axis, lengths in axes.items() if lengths is not None}


def channelwise(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """Batch normalisation in evaluation mode, and PReLU: one parameter per channel, axis 1."""
    value, frames = masked_input(args[0], func.__name__)
    # batch_norm(input, running_mean, running_var, weight, bias, training, …)
    training = kwargs.get("training", args[5] if len(args) > 5 else False)
    if training or 1 - value.ndim in frames.axes:
        raise CannotMask(f"{func.__name__} in training, or with time as its channels")
    return mark(func(*args, **kwargs), frames.axes)


def layer_norm(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """Layer normalisation over the last axes, which must not include time."""
    value, shape, *rest = bind("input normalized_shape weight bias eps", args, kwargs, eps=1e-5)
    value, frames = masked_input(value, "layer_norm")
    if any(axis >= -len(shape) for axis in frames.axes):
        raise CannotMask("layer_norm over time")
    return mark(func(value, shape, *rest), frames.axes)


def cumulative(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """Cumulative sums, in which a frame does not depend on later ones."""
    _, frames = masked_input(args[0], func.__name__)
    return mark(func(*args, **kwargs), frames.axes)


def linear(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """Linear map of the last axis, which must not be time."""
    value, weight, bias = bind("input weight bias", args, kwargs)
    value, frames = masked_input(value, "linear")
    if -1 in frames.axes:
        raise CannotMask("linear over time")
    return mark(func(value, weight, bias), frames.axes)
