"""Lengths of the utterances in a padded batch, and tensor sizes that carry them.

Networks read the size of their input and calculate with it: SimAM divides by F·T − 1, others
truncate T to a multiple of a stride. In a padded batch a single number would be wrong for all but
the longest utterance. The size of a time axis is therefore a `FrameCount`: the integer size of the
padded axis, which carries the size that each utterance would have alone through every calculation.
"""

import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Never, NoReturn

import torch
from torch import Tensor


class CannotMask(RuntimeError):  # noqa: N818 (a finding about a network, not a mistake)
    """A network uses an operation whose exact result on a padded batch is not known.

    Its utterances can still be run one at a time, or in batches of equal length.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; run this network on batches of equal length")


@dataclass(frozen=True)
class Lengths:
    """Number of valid frames of each utterance along a padded axis, counted from its start."""

    valid: tuple[int, ...]
    """Valid frames of each row of the batch axis."""
    padded: int
    """Size of the axis; at least the largest of ``valid``."""

    def map(self, change: Callable[[int], int]) -> "Lengths":
        """Return the lengths after an operation that turns n frames into ``change(n)``."""
        return Lengths(tuple(change(n) for n in self.valid), change(self.padded))

    @property
    def shortest(self) -> int:
        """Length of the shortest row: the frames that are valid in all rows."""
        return min(self.valid)


@lru_cache(maxsize=256)
def own_frames(lengths: Lengths, device: torch.device) -> Tensor:
    """Return a (rows, padded) mask of the valid frames."""
    return (torch.arange(lengths.padded) < torch.tensor(lengths.valid)[:, None]).to(device)


@lru_cache(maxsize=256)
def invalid_tail(lengths: Lengths, device: torch.device) -> Tensor:
    """Return a (rows, padded − shortest) mask of the invalid frames after the shortest row."""
    return ~own_frames(lengths, device)[:, lengths.shortest :]


@lru_cache(maxsize=256)
def per_row(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return a (rows,) tensor with one number per utterance."""
    return torch.tensor(values, dtype=dtype).to(device)


def same_lengths(given: Iterable[Lengths]) -> Lengths | None:
    """Return the lengths that all of ``given`` agree on; None if there are none.

    Raises:
        CannotMask: they differ.
    """
    distinct = set(given)
    if len(distinct) > 1:
        raise CannotMask("it joins sequences of different lengths")
    return distinct.pop() if distinct else None


def _arithmetic(operation: Callable[[int, int], int]) -> Callable[..., Any]:
    def method(self: "FrameCount", other: object) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        padded, *valid = (operation(mine, its) for mine, its in self.beside(other))
        return FrameCount(Lengths(tuple(valid), padded))

    return method


def _reflected(operation: Callable[[int, int], int]) -> Callable[..., Any]:
    return _arithmetic(lambda mine, its: operation(its, mine))


def _comparison(operation: Callable[[int, int], bool]) -> Callable[..., Any]:
    def method(self: "FrameCount", other: object) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        _, *pairs = self.beside(other)
        outcomes = {operation(mine, its) for mine, its in pairs}
        if len(outcomes) != 1:
            raise CannotMask(
                "it branches on the number of frames, which differs between utterances"
            )
        return outcomes.pop()

    return method


def _refusal(what: str) -> Callable[..., Never]:
    def method(self: "FrameCount", *_: object) -> NoReturn:
        raise CannotMask(f"it takes {what} of a number of frames")

    return method


class FrameCount(int):
    """Size of a time axis: that of the padded axis as an integer, each utterance's in ``lengths``.

    +, −, ·, // and % return a `FrameCount`; a comparison returns a bool if all utterances agree.
    Operations that would lose the utterances' own sizes raise `CannotMask`.
    """

    lengths: Lengths

    def __new__(cls, lengths: Lengths) -> "FrameCount":
        """Create the integer ``lengths.padded`` with ``lengths`` attached."""
        count = super().__new__(cls, lengths.padded)
        count.lengths = lengths
        return count

    def beside(self, other: int) -> Iterator[tuple[int, int]]:
        """Pair this number with another: for the padded axis first, then for every row.

        Raises:
            CannotMask: the other belongs to a batch of another size.
        """
        mine = self.lengths
        its = other.lengths if isinstance(other, FrameCount) else None
        if its is None:
            its = Lengths((other,) * len(mine.valid), other)
        if len(its.valid) != len(mine.valid):
            raise CannotMask("it combines sizes from batches of different size")
        return zip((mine.padded, *mine.valid), (its.padded, *its.valid), strict=True)

    __add__ = __radd__ = _arithmetic(operator.add)
    __mul__ = __rmul__ = _arithmetic(operator.mul)
    __sub__, __rsub__ = _arithmetic(operator.sub), _reflected(operator.sub)
    __floordiv__, __rfloordiv__ = _arithmetic(operator.floordiv), _reflected(operator.floordiv)
    __mod__, __rmod__ = _arithmetic(operator.mod), _reflected(operator.mod)
    __eq__, __ne__ = _comparison(operator.eq), _comparison(operator.ne)
    __lt__, __le__ = _comparison(operator.lt), _comparison(operator.le)
    __gt__, __ge__ = _comparison(operator.gt), _comparison(operator.ge)
    __hash__ = int.__hash__
    __truediv__ = __rtruediv__ = _refusal("a quotient that is not an integer")
    __pow__ = __rpow__ = _refusal("a power")
    __divmod__ = __rdivmod__ = _refusal("the quotient and remainder")
    __neg__ = __abs__ = __invert__ = _refusal("the negative")
    __lshift__ = __rlshift__ = __rshift__ = __rrshift__ = _refusal("a shift")
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = _refusal("bits")
    __int__ = __float__ = _refusal("the value")
    __round__ = __trunc__ = __floor__ = __ceil__ = _refusal("the value")

    def __bool__(self) -> bool:
        """Return whether the number is not 0, if all utterances agree.

        Raises:
            CannotMask: they do not.
        """
        return bool(self != 0)


class MaskedShape(tuple[int, ...]):
    """A tensor's shape in which the sizes of time axes are `FrameCount`."""

    __slots__ = ()

    def numel(self) -> NoReturn:
        """Refuse: the number differs between utterances."""
        raise CannotMask("it counts the elements of a padded batch")
