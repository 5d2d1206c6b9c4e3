"""Metadata of the tensors of a padded batch: time axes, and where padding is known to be zero.

Invalid frames, those beyond an utterance's end, may hold any value, and no result may depend on
them. They can therefore be overwritten in place at any time: every tensor that shares the memory
belongs to the same batch and has the same invalid frames. Zeroing is lazy, and touches only the
frames after the end of the shortest utterance.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from jobs.models.padding.lengths import CannotMask, FrameCount, Lengths, MaskedShape, invalid_tail

_ATTRIBUTE = "_frames_of_masked_batch"


@dataclass
class Writes:
    """Number of writes to memory, shared by all tensors that may share that memory."""

    count: int = 0


@dataclass
class Frames:
    """The time axes of one tensor."""

    axes: dict[int, Lengths]
    """Keyed by the axis counted from the end (−1 is the last), as in broadcasting."""
    writes: Writes = field(default_factory=Writes)
    zeroed_at: dict[int, int] = field(default_factory=dict)
    """Axis → ``writes.count`` when its invalid frames were last known to be zero."""

    def is_zeroed(self, axis: int) -> bool:
        """Return whether the invalid frames along ``axis`` are still known to be zero."""
        return self.zeroed_at.get(axis) == self.writes.count


def frames_of(value: object) -> Frames | None:
    """Return the frames of ``value``; None if it is not a tensor of a padded batch."""
    return getattr(value, _ATTRIBUTE, None) if isinstance(value, Tensor) else None


def mark(value: Tensor, axes: Mapping[int, Lengths]) -> Tensor:
    """Attach time axes to a new tensor; without any it stays a plain tensor.

    Raises:
        CannotMask: its shape does not match the lengths.
        RuntimeError: an utterance is too short for the network.
    """
    for axis, lengths in axes.items():
        if value.shape[axis] != lengths.padded or value.shape[0] != len(lengths.valid):
            raise CannotMask(f"it turns frames into a tensor of shape {tuple(value.shape)}")
        if lengths.shortest < 1:
            raise RuntimeError(
                f"the utterance of row {lengths.valid.index(lengths.shortest)} is too short for "
                "the network, which leaves no frame of it; remove it from the corpus"
            )
    if axes:
        setattr(value, _ATTRIBUTE, Frames(dict(axes)))
    return value


def unmark(value: Tensor) -> None:
    """Turn ``value`` back into a plain tensor."""
    value.__dict__.pop(_ATTRIBUTE, None)


def mark_view(
    value: Tensor, axes: Mapping[int, Lengths], of: Frames, moved: Mapping[int, int] | None = None
) -> Tensor:
    """Attach time axes to a tensor that may share the memory of another.

    Args:
        value: the new tensor.
        axes: its time axes.
        of: frames of the other tensor.
        moved: the axis in the other tensor of each of ``axes``; by default the same axis.
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
    """Record a write to the tensor's memory, after which its invalid frames may hold any value."""
    frames = frames_of(value)
    assert frames is not None
    frames.writes.count += 1


def shape_of(value: Tensor) -> tuple[int, ...]:
    """Return the shape with a `FrameCount` for every time axis."""
    frames = frames_of(value)
    if frames is None:
        return value.shape
    sizes = list(value.shape)
    for axis, lengths in frames.axes.items():
        sizes[axis] = FrameCount(lengths)
    return MaskedShape(sizes)


def zero_invalid(value: Tensor, axis: int) -> Tensor:
    """Zero the invalid frames along ``axis``, in place or in a copy; return the result."""
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
    """Fill the invalid frames along ``axis``, in place or in a copy; return the result."""
    frames = frames_of(value)
    assert frames is not None
    lengths = frames.axes[axis]
    if lengths.shortest == lengths.padded:
        return value
    if 0 in value.stride():
        # The frames of an expanded tensor share memory, so some cannot be filled alone.
        value = mark(value.contiguous(), frames.axes)
        frames = frames_of(value)
        assert frames is not None
    # One kernel launch per row is slow on a GPU; on a CPU a mask takes 5 times as long as rows.
    fill = fill_rows if value.device.type == "cpu" else fill_tail
    fill(value, axis, lengths, with_what)
    frames.writes.count += with_what != 0.0
    return value


def fill_rows(value: Tensor, axis: int, lengths: Lengths, with_what: float) -> None:
    """Fill the invalid frames along ``axis``, row by row."""
    for row, length in enumerate(lengths.valid):
        if length < lengths.padded:
            value[row].narrow(axis, length, lengths.padded - length).fill_(with_what)


def fill_tail(value: Tensor, axis: int, lengths: Lengths, with_what: float) -> None:
    """Fill the invalid frames along ``axis`` at once, by a mask from the shortest row's end on."""
    tail = value.narrow(axis, lengths.shortest, lengths.padded - lengths.shortest)
    invalid = invalid_tail(lengths, value.device)
    shape = [1] * value.ndim
    shape[0], shape[axis] = invalid.shape
    tail.masked_fill_(invalid.view(shape), with_what)
