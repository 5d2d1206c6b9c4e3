"""What is known of a tensor of a padded batch: its time axes, and where it is zero for certain.

Invalid frames, those beyond an utterance's end, hold anything; nothing may depend on them. So they
may be overwritten at any time, in place, whatever else looks at the same memory: it is a tensor of
the same batch, with the same invalid frames. Zeroing is lazy, and touches nothing but the frames
from the shortest utterance's end on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from jobs.models.padding.lengths import CannotMask, FrameCount, Lengths, MaskedShape, invalid_tail

_ATTRIBUTE = "_frames_of_masked_batch"


@dataclass
class Writes:
    """How often memory was written, counted for all tensors that may share it."""

    count: int = 0


@dataclass
class Frames:
    """The time axes of one tensor."""

    axes: dict[int, Lengths]
    """By the axis counted from the end (−1 is the last), as broadcasting counts."""
    writes: Writes = field(default_factory=Writes)
    zeroed_at: dict[int, int] = field(default_factory=dict)
    """For axes whose invalid frames are zero: ``writes.count`` when that was so."""

    def is_zeroed(self, axis: int) -> bool:
        """Whether the invalid frames along ``axis`` are zero for certain."""
        return self.zeroed_at.get(axis) == self.writes.count


def frames_of(value: object) -> Frames | None:
    """What is known of ``value``; None for what is no tensor of a padded batch."""
    return getattr(value, _ATTRIBUTE, None) if isinstance(value, Tensor) else None


def mark(value: Tensor, axes: Mapping[int, Lengths]) -> Tensor:
    """Give a new tensor its time axes; none leaves it a plain tensor."""
    for axis, lengths in axes.items():
        if value.shape[axis] != lengths.padded or value.shape[0] != len(lengths.valid):
            raise CannotMask(f"it makes a tensor of shape {tuple(value.shape)} out of its frames")
        if lengths.shortest < 1:
            raise RuntimeError(
                f"the utterance of row {lengths.valid.index(lengths.shortest)} is too short for "
                "the network: no frame is left of it; leave it out of the corpus"
            )
    if axes:
        setattr(value, _ATTRIBUTE, Frames(dict(axes)))
    return value


def unmark(value: Tensor) -> None:
    """Make it a plain tensor."""
    value.__dict__.pop(_ATTRIBUTE, None)


def mark_view(
    value: Tensor, axes: Mapping[int, Lengths], of: Frames, moved: Mapping[int, int] | None = None
) -> Tensor:
    """Give its time axes to a tensor that may share the memory of another.

    Args:
        value: the new tensor.
        axes: its time axes.
        of: what is known of the other.
        moved: the other's axis that each of ``axes`` was; the same if not given.
    """
    zeroed_at = {}
    for axis, lengths in axes.items():
        old = axis if moved is None else moved[axis]
        if old in of.zeroed_at and of.axes[old] == lengths:
            zeroed_at[axis] = of.zeroed_at[old]
    mark(value, axes)
    if axes:
        setattr(value, _ATTRIBUTE, Frames(dict(axes), of.writes, zeroed_at))
    return value


def written(value: Tensor) -> None:
    """Note that the tensor's memory was written: its invalid frames hold anything again."""
    frames = frames_of(value)
    assert frames is not None
    frames.writes.count += 1


def shape_of(value: Tensor) -> tuple[int, ...]:
    """Its shape, with a `FrameCount` for every time axis."""
    frames = frames_of(value)
    if frames is None:
        return value.shape
    sizes = list(value.shape)
    for axis, lengths in frames.axes.items():
        sizes[axis] = FrameCount(lengths)
    return MaskedShape(sizes)


def zero_invalid(value: Tensor, axis: int) -> Tensor:
    """The tensor with zeros in its invalid frames along ``axis``: itself, or a copy of it."""
    frames = frames_of(value)
    assert frames is not None
    if frames.is_zeroed(axis):
        return value
    value = fill_invalid(value, axis, 0.0)
    frames = frames_of(value)
    assert frames is not None
    frames.zeroed_at[axis] = frames.writes.count
    return value


def fill_invalid(value: Tensor, axis: int, with_what: float) -> Tensor:
    """The tensor with another content of its invalid frames along ``axis``: itself, or a copy."""
    frames = frames_of(value)
    assert frames is not None
    lengths = frames.axes[axis]
    if lengths.shortest == lengths.padded:
        return value
    if 0 in value.stride():
        # An expanded tensor: its frames share their memory, and cannot be told apart.
        value = mark(value.contiguous(), frames.axes)
        frames = frames_of(value)
        assert frames is not None
    # A launch a row would be slow on a GPU, and a mask is five times as slow as rows on a CPU.
    fill = fill_rows if value.device.type == "cpu" else fill_tail
    fill(value, axis, lengths, with_what)
    frames.writes.count += with_what != 0.0
    return value


def fill_rows(value: Tensor, axis: int, lengths: Lengths, with_what: float) -> None:
    """Write what is invalid along ``axis``, row by row."""
    for row, length in enumerate(lengths.valid):
        if length < lengths.padded:
            value[row].narrow(axis, length, lengths.padded - length).fill_(with_what)


def fill_tail(value: Tensor, axis: int, lengths: Lengths, with_what: float) -> None:
    """The same at once, by a mask of the frames from the shortest row's end on."""
    tail = value.narrow(axis, lengths.shortest, lengths.padded - lengths.shortest)
    invalid = invalid_tail(lengths, value.device)
    shape = [1] * value.ndim
    shape[0], shape[axis] = invalid.shape
    tail.masked_fill_(invalid.view(shape), with_what)
