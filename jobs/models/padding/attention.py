"""Rules for attention: weights over each utterance's own frames, and products over time."""

import math
from collections.abc import Callable
from typing import Any

from jobs.models.padding.arguments import Arguments, Keywords, bind, masked_input
from jobs.models.padding.frames import fill_invalid, frames_of, mark, zero_invalid
from jobs.models.padding.lengths import CannotMask, own_frames
from jobs.models.padding.statistics import reduced_axes

TorchFunction = Callable[..., Any]


def softmax(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """Softmax over each utterance's own frames; padding frames get weight 0."""
    # torch.softmax and torch.nn.functional.softmax agree on dtype only as a keyword.
    dtype = kwargs.get("dtype")
    given = {name: value for name, value in kwargs.items() if name not in ("dtype", "_stacklevel")}
    value, dim = bind("input dim", args, given)
    value, frames = masked_input(value, "softmax")
    (axis,) = reduced_axes(dim, value, "softmax")
    if axis not in frames.axes:
        return mark(func(value, axis, dtype=dtype), frames.axes)
    result = mark(func(fill_invalid(value, axis, -math.inf), axis, dtype=dtype), frames.axes)
    marked = frames_of(result)
    assert marked is not None
    marked.zeroed_at[axis] = marked.writes.count
    return result


def matmul(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """Matrix product; padding frames contribute zeros to a sum over time."""
    # bmm calls its second argument mat2, matmul calls it other.
    left, right = bind(
        "input other", args, {name.replace("mat2", "other"): kwargs[name] for name in kwargs}
    )
    if left.ndim < 2 or right.ndim < 2:
        raise CannotMask("a product of frames with a vector")
    frames = [frames_of(left), frames_of(right)]
    if left.ndim != right.ndim and frames[left.ndim > right.ndim]:
        raise CannotMask("it broadcasts frames along a new first axis")
    left_axes, right_axes = (one.axes if one else {} for one in frames)
    if left_axes.get(-1) != right_axes.get(-2):
        raise CannotMask("a product over frames with a tensor of no or other frames")
    if -1 in left_axes:
        left, right = zero_invalid(left, -1), zero_invalid(right, -2)
    batch = {axis: lengths for axis, lengths in (left_axes | right_axes).items() if axis < -2}
    matrix = {-2: left_axes.get(-2), -1: right_axes.get(-1)}
    return mark(func(left, right), batch | {a: one for a, one in matrix.items() if one})


def scaled_dot_product(func: TorchFunction, args: Arguments, kwargs: Keywords) -> Any:
    """``scaled_dot_product_attention`` of (B, ..., T, D), called without a mask."""
    names = "query key value attn_mask dropout_p is_causal scale enable_gqa"
    query, key, value, mask, *options = bind(
        names, args, kwargs, dropout_p=0.0, is_causal=False, enable_gqa=False
    )
    known = [frames_of(one) for one in (query, key, value)]
    if mask is not None or options[0] or options[1] or not all(known):
        raise CannotMask("attention with a mask, causal, with dropout, or of inputs without frames")
    of_query, of_key, of_value = (one.axes for one in known if one)
    if not of_query.keys() == of_key.keys() == of_value.keys() == {-2} or of_key != of_value:
        raise CannotMask("attention over an axis other than time")
    own = own_frames(of_key[-2], query.device)
    seen = own.view(len(own), *[1] * (query.ndim - 2), -1)
    key, value = zero_invalid(key, -2), zero_invalid(value, -2)
    scale, gqa = options[2:]
    return mark(func(query, key, value, seen, scale=scale, enable_gqa=gqa), of_query)
