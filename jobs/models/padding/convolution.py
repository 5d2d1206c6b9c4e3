"""Rules for operations that slide a window over time: convolution and pooling.

Output frames are counted for each utterance as if it were alone. Alone, it would see zeros (the
operation's own padding) beyond its end; in the batch, the frames there are therefore zeroed first.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from jobs.models.padding.arguments import Arguments, Keywords, bind, masked_input
from jobs.models.padding.frames import Frames, fill_invalid, frames_of, mark, zero_invalid
from jobs.models.padding.lengths import CannotMask, Lengths
from jobs.models.padding.statistics import mean_or_sum

TorchFunction = Callable[..., Any]
Sizes = int | tuple[int, ...]


def convolution(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """``conv1d`` and ``conv2d`` with any kernel, stride, padding, dilation and groups."""
    names = "input weight bias stride padding dilation groups"
    value, weight, bias, stride, padding, dilation, groups = bind(
        names, args, kwargs, stride=1, padding=0, dilation=1, groups=1
    )
    value, frames = masked_input(value, func.__name__)
    n_spatial = weight.ndim - 2
    axes = {}
    for axis, lengths in _windowed(frames, value, n_spatial, func.__name__).items():
        kernel = weight.shape[axis]
        step, spread = _along(axis, stride, n_spatial), _along(axis, dilation, n_spatial)
        reach = spread * (kernel - 1)
        total = reach if padding == "same" else 0
        if not isinstance(padding, str):
            total = 2 * _along(axis, padding, n_spatial)
        if kernel > 1 or total > 0:
            value = zero_invalid(value, axis)
        axes[axis] = lengths.map(lambda n: (n + total - reach - 1) // step + 1)  # noqa: B023
    return mark(func(value, weight, bias, stride, padding, dilation, groups), axes)


def _windowed(frames: Frames, value: Tensor, n_spatial: int, what: str) -> dict[int, Lengths]:
    """Return the time axes if a window can slide along all of them.

    Raises:
        CannotMask: it cannot.
    """
    if value.ndim != n_spatial + 2 or any(axis < -n_spatial for axis in frames.axes):
        raise CannotMask(f"{what} with time as its channels, or without a batch axis")
    return frames.axes


def _along(axis: int, given: Sizes, n_spatial: int) -> int:
    """Return the value for an axis (from the end), given one for all axes or one for each."""
    if isinstance(given, int):
        return given
    return given[0] if len(given) == 1 else given[n_spatial + axis]


@dataclass(frozen=True)
class _Window:
    """A pooling window along time, placed as torch does."""

    size: int
    step: int
    padding: int
    ceil_mode: bool

    def count(self, n: int) -> int:
        """Count the windows over n frames (``pooling_output_shape`` in torch's Pool.h)."""
        more = self.step - 1 if self.ceil_mode else 0
        windows = (n + 2 * self.padding - self.size + more) // self.step + 1
        beyond = (windows - 1) * self.step >= n + self.padding
        return windows - 1 if self.ceil_mode and beyond else windows

    def divisor(self, n: int, position: int, *, count_pad: bool) -> int:
        """Return the divisor of the mean over the window at ``position`` of n frames."""
        start = position * self.step - self.padding
        end = min(start + self.size, n + self.padding)
        return end - start if count_pad else min(end, n) - max(start, 0)


def average_pool(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """``avg_pool1d`` and ``avg_pool2d``, with the divisors that each utterance alone would have."""
    names = "input kernel_size stride padding ceil_mode count_include_pad divisor_override"
    value, kernel, stride, padding, ceil_mode, count_pad, divisor = bind(
        names, args, kwargs, padding=0, ceil_mode=False, count_include_pad=True
    )
    if divisor is not None:
        raise CannotMask(f"{func.__name__} with divisor_override")
    value, axis, window = _pooled(func, value, kernel, stride, padding, 1, ceil_mode)
    frames = frames_of(value)
    assert frames is not None
    lengths = frames.axes[axis]
    value = zero_invalid(value, axis)
    result = func(value, kernel, stride, padding, ceil_mode, count_pad)
    corrections = _corrections(window, lengths, count_pad, value.device)
    shape = [1] * value.ndim
    shape[0], shape[axis] = corrections.shape
    result *= corrections.view(shape)
    return mark(result, {axis: lengths.map(window.count)})


def max_pool(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """``max_pool1d`` and ``max_pool2d``."""
    names = "input kernel_size stride padding dilation ceil_mode return_indices"
    value, kernel, stride, padding, dilation, ceil_mode, indices = bind(
        names, args, kwargs, padding=0, dilation=1, ceil_mode=False, return_indices=False
    )
    if indices:
        raise CannotMask(f"{func.__name__} with indices")
    value, axis, window = _pooled(func, value, kernel, stride, padding, dilation, ceil_mode)
    frames = frames_of(value)
    assert frames is not None
    lengths = frames.axes[axis]
    value = fill_invalid(value, axis, -math.inf)
    result = func(value, kernel, stride, padding, dilation, ceil_mode)
    return mark(result, {axis: lengths.map(window.count)})


def _pooled(
    func: TorchFunction,
    value: Any,
    kernel: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
) -> tuple[Tensor, int, _Window]:
    """Return the input, its time axis and the window along it."""
    value, frames = masked_input(value, func.__name__)
    n_spatial = 2 if "2d" in func.__name__ else 1
    axes = _windowed(frames, value, n_spatial, func.__name__)
    if len(axes) != 1:
        raise CannotMask(f"{func.__name__} over two time axes")
    (axis,) = axes
    window = _Window(
        (_along(axis, kernel, n_spatial) - 1) * _along(axis, dilation, n_spatial) + 1,
        _along(axis, kernel if stride is None else stride, n_spatial),
        _along(axis, padding, n_spatial),
        ceil_mode,
    )
    return value, axis, window


@lru_cache(maxsize=256)
def _corrections(
    window: _Window, lengths: Lengths, count_pad: bool, device: torch.device
) -> Tensor:
    """Return (rows, windows) ratios: divisor in the batch ÷ divisor of the utterance alone."""
    rows = [
        [
            window.divisor(lengths.padded, position, count_pad=count_pad)
            / window.divisor(n, position, count_pad=count_pad)
            if position < window.count(n)
            else 1.0
            for position in range(window.count(lengths.padded))
        ]
        for n in lengths.valid
    ]
    return torch.tensor(rows, dtype=torch.float64).to(device)


def adaptive_average_pool(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """``adaptive_avg_pool1d`` and ``adaptive_avg_pool2d`` with output size 1: the mean."""
    value, output_size = bind("input output_size", args, kwargs)
    n_spatial = int(func.__name__[-2])
    value, frames = masked_input(value, func.__name__)
    _windowed(frames, value, n_spatial, func.__name__)
    if any(_along(axis, output_size, n_spatial) != 1 for axis in range(-n_spatial, 0)):
        raise CannotMask(f"{func.__name__} to more than one value")
    return mean_or_sum(torch.mean, (value, list(range(-n_spatial, 0)), True), {})
