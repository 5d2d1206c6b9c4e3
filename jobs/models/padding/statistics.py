"""Rules for reductions and normalisation: over time they use each utterance's own frames."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from jobs.models.padding.arguments import Arguments, Keywords, bind, from_end, masked_input
from jobs.models.padding.frames import (
    Frames,
    fill_invalid,
    frames_of,
    mark,
    mark_view,
    zero_invalid,
)
from jobs.models.padding.lengths import CannotMask, Lengths, per_row

TorchFunction = Callable[..., Any]


def reduced_axes(dim: Any, value: Tensor, what: str) -> list[int]:
    """Return the axes that ``dim`` names, counted from the end.

    Raises:
        CannotMask: they include the batch axis.
    """
    if dim is None:
        raise CannotMask(f"{what} over the whole batch")
    dims = [from_end(one, value.ndim) for one in ([dim] if isinstance(dim, int) else dim)]
    if not dims or -value.ndim in dims:
        raise CannotMask(f"{what} over the batch axis")
    return dims


def _remaining_axes(frames: Frames, dims: list[int], *, keepdim: bool) -> dict[int, Lengths]:
    """Return the time axes that remain after reducing ``dims``."""
    return {
        axis if keepdim else axis + sum(dim > axis for dim in dims): lengths
        for axis, lengths in frames.axes.items()
        if axis not in dims
    }


def _counts(value: Tensor, frames: Frames, dims: list[int], less: int = 0) -> Tensor:
    """Return (rows, 1, …) counts of each utterance's elements along ``dims``, minus ``less``."""
    times = [axis for axis in dims if axis in frames.axes]
    others = math.prod(value.shape[axis] for axis in dims if axis not in frames.axes)
    rows = zip(*(frames.axes[axis].valid for axis in times), strict=True)
    counts = tuple(float(others * math.prod(row) - less) for row in rows)
    dtype = torch.float64 if value.dtype == torch.float64 else torch.float32
    return per_row(counts, dtype, value.device).view(-1, *[1] * (value.ndim - 1))


def _zeroed(value: Tensor, dims: list[int]) -> Tensor:
    frames = frames_of(value)
    assert frames is not None
    for axis in dims:
        if axis in frames.axes:
            value = zero_invalid(value, axis)
    return value


def _divided(total: Tensor, counts: Tensor, dims: list[int], *, keepdim: bool) -> Tensor:
    """Divide ``total``, whose reduced axes are kept with size 1, by the counts."""
    result = total.div(counts).to(total.dtype)
    return result if keepdim else result.squeeze(dims)


def mean_or_sum(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """Mean and sum over each utterance's own frames."""
    value, dim, keepdim, dtype = bind("input dim keepdim dtype", args, kwargs, keepdim=False)
    value, frames = masked_input(value, func.__name__)
    dims = reduced_axes(dim, value, func.__name__)
    left = _remaining_axes(frames, dims, keepdim=keepdim)
    if not any(axis in frames.axes for axis in dims):
        return mark(func(value, dims, keepdim, dtype=dtype), left)
    value = _zeroed(value, dims)
    if func.__name__ == "sum":
        return mark(value.sum(dims, keepdim, dtype=dtype), left)
    total = value.sum(dims, True, dtype=dtype)
    return mark(_divided(total, _counts(value, frames, dims), dims, keepdim=keepdim), left)


def variance(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """Variance and standard deviation over each utterance's own frames."""
    value, dim, unbiased, keepdim, correction = bind(
        "input dim unbiased keepdim correction", args, kwargs, unbiased=True, keepdim=False
    )
    value, frames = masked_input(value, func.__name__)
    dims = reduced_axes(dim, value, func.__name__)
    less = int(unbiased) if correction is None else correction
    left = _remaining_axes(frames, dims, keepdim=keepdim)
    if not any(axis in frames.axes for axis in dims):
        return mark(func(value, dims, correction=less, keepdim=keepdim), left)
    mean = _zeroed(value, dims).sum(dims, True).div(_counts(value, frames, dims))
    deviations = mark(value - mean.to(value.dtype), frames.axes)
    squares = _zeroed(deviations, dims).square_().sum(dims, True)
    counts = _counts(value, frames, dims, less)
    result = _divided(squares, counts, dims, keepdim=keepdim)
    return mark(result.sqrt() if func.__name__ == "std" else result, left)


def extreme(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """``amax`` and ``amin`` over each utterance's own frames."""
    value, dim, keepdim = bind("input dim keepdim", args, kwargs, keepdim=False)
    value, frames = masked_input(value, func.__name__)
    dims = reduced_axes(dim, value, func.__name__)
    for axis in dims:
        if axis in frames.axes:
            least = -math.inf if func.__name__ == "amax" else math.inf
            value = fill_invalid(value, axis, least)
    return mark(func(value, dims, keepdim), _remaining_axes(frames, dims, keepdim=keepdim))


def group_norm(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """Normalisation of groups of channels over time and all other axes but the batch."""
    names = "input num_groups weight bias eps"
    value, n_groups, weight, bias, eps = bind(names, args, kwargs, eps=1e-5)
    value, frames = masked_input(value, "group_norm")
    if 1 - value.ndim in frames.axes:
        raise CannotMask("group_norm with time as its channels")
    dims = list(range(1 - value.ndim, 0))
    shape = (value.shape[0], n_groups, -1, *value.shape[2:])
    grouped = mark_view(value.reshape(shape), frames.axes, frames)
    centred = mark(grouped - mean_or_sum(torch.mean, (grouped, dims, True), {}), frames.axes)
    squares = mark(centred.square(), frames.axes)
    scale = (mean_or_sum(torch.mean, (squares, dims, True), {}) + eps).rsqrt()
    result = (centred * scale).reshape(value.shape)
    of_channel = (-1, *[1] * (value.ndim - 2))
    result = result if weight is None else result.mul_(weight.view(of_channel))
    return mark(result if bias is None else result.add_(bias.view(of_channel)), frames.axes)
