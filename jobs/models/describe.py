"""Facts about a loaded model: its layers' shapes, its cost and its identity."""

import copy
import hashlib
import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from jobs.audio.frames import FRAME_SHIFT, SAMPLE_RATE
from jobs.audio.read import AudioError
from jobs.audio.settings import FeatureSettings
from jobs.identity import canonical_json
from jobs.models.errors import ModelError
from jobs.models.model import ProbedModel, dummy_input
from jobs.models.pooling import POOLINGS
from jobs.models.tap_reader import TapReader
from jobs.models.taps import Pooling, Tap, TapShape

Result = TypeVar("Result")

_SHAPE_FRAMES = (64, 80)
"""Enough for every network here; their difference is divisible by most time strides, which makes
the strides exact."""
_FLOP_FRAMES = 998
"""Ten seconds, a typical utterance: the cost of attention per second grows with the length."""


def tap_shapes(model: ProbedModel, pooling: Pooling) -> tuple[TapShape, ...]:
    """Return the shape of every tap's value, from running two short dummy inputs.

    Raises:
        ModelError: a width depends on the length of the input.
    """
    front_end = model.front_end(FeatureSettings())
    short, long = (dummy_input(front_end, n_frames) for n_frames in _SHAPE_FRAMES)

    def read(module: nn.Module, *inputs: Tensor) -> list[dict[str, Tensor]]:
        reader = TapReader(module, model.taps, pool=lambda value: value)
        return [reader.read(one[None]) for one in inputs]

    raw_short, raw_long = _without_data(read, model.module, short, long)
    pool = POOLINGS[pooling]
    shapes = []
    for index, tap in enumerate(model.taps):
        values = raw_short[tap.name], raw_long[tap.name]
        width, width_long = (pool(value).shape[1] for value in values)
        if width != width_long:
            raise ModelError(
                f"layer {tap.name}: expected one width, found {width} values for "
                f"{_SHAPE_FRAMES[0]} frames and {width_long} for {_SHAPE_FRAMES[1]}; check its "
                "time axis"
            )
        if not width:
            raise ModelError(
                f"layer {tap.name}: expected at least one value per utterance, found none: a layer "
                "of width 0 cannot be probed"
            )
        shape = _symbolic(tap, values, (len(short), len(long)), "N" if model.step == 1 else "T")
        shapes.append(TapShape(index, tap.name, tap.study_name, shape, width, tap.level))
    return tuple(shapes)


def flops_per_second(model: ProbedModel) -> float:
    """Return the floating-point operations of a forward pass per second of audio.

    Torch counts them on ten seconds: convolutions and matrix products, with two operations for
    each multiply-add. Reading the taps adds none.
    """
    front_end = model.front_end(FeatureSettings())
    n_frames = _FLOP_FRAMES
    try:
        one = dummy_input(front_end, n_frames)
    except AudioError:
        # Longer than the network accepts: a Whisper made for short segments.
        n_frames = _SHAPE_FRAMES[1]
        one = dummy_input(front_end, n_frames)
    return _without_data(_count, model.module, one) / n_frames * SAMPLE_RATE / FRAME_SHIFT


def weights_digest(model: ProbedModel) -> str:
    """Return SHA-256 over the architecture, its arguments, and every tensor of the state dict.

    Tensors are hashed in the order of their names, each as its name, dtype, shape and bytes; the
    file that they were read from, and its format, do not matter.
    """
    digest = hashlib.sha256(canonical_json([model.architecture, model.args]).encode())
    for name, tensor in sorted(model.module.state_dict().items()):
        array = tensor.numpy(force=True)
        digest.update(canonical_json([name, str(array.dtype), list(array.shape)]).encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _symbolic(
    tap: Tap, values: tuple[Tensor, Tensor], lengths: tuple[int, int], letter: str
) -> tuple[int | str, ...]:
    """Return the shape of one utterance's value, with a time axis written as ``T/2`` or ``T - 4``.

    Args:
        tap: the tap that was read.
        values: its values for a short and a long input, time last.
        lengths: lengths of both inputs.
        letter: symbol of the input's length.
    """
    sizes: list[int | str] = list(values[0].shape[1:])
    if tap.time_axis is None or values[0].ndim == 2:
        return tuple(sizes)
    sizes.pop()
    short, long = (value.shape[-1] for value in values)
    stride = (lengths[1] - lengths[0]) / (long - short) if long > short else math.inf
    lost = lengths[0] - short
    time = letter if stride == 1 else f"{letter}/{stride:.4g}"
    if stride == 1 and lost:
        time = f"{letter} - {lost}"
    # (B, T, D) and (T, B, D) are both (T, D) for one utterance.
    sizes.insert(max(0, tap.time_axis % values[0].ndim - 1), time)
    return tuple(sizes)


def _without_data(read: Callable[..., Result], module: nn.Module, *inputs: Tensor) -> Result:
    """Return ``read(module, *inputs)``, computed on the meta device if the network allows it.

    It does not if its operations depend on data, or if it holds tensors that are neither
    parameters nor buffers, or objects that cannot be copied; then it is run with data.
    """
    empty = {id(tensor): tensor.to("meta") for tensor in module.buffers()} | {
        id(tensor): nn.Parameter(tensor.to("meta"), tensor.requires_grad)
        for tensor in module.parameters()
    }
    try:
        # The copy has the tensors of ``empty`` in place of the network's own.
        return read(copy.deepcopy(module, empty), *(one.to("meta") for one in inputs))
    except (NotImplementedError, RuntimeError, TypeError):
        return read(module, *inputs)


def _count(module: nn.Module, one: Tensor) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(one[None])
    flops: int = counter.get_total_flops()
    return flops
