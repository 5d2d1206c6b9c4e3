"""Taps: the points at which a network is read, as data; nothing here knows an architecture."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

Pooling = Literal["mean", "mean+std", "channels"]
"""How a layer becomes one vector per utterance, see `jobs.models.pooling`."""

TapLevel = Literal[
    "input", "block output", "inside a block", "between blocks", "embedding", "unspecified"
]
"""Place of a tap in its network: before the first block; the output of a block; a value inside a
block; a value between two blocks, such as a change of resolution or a side branch; after the last
block, such as a pooling, an embedding or a final normalisation. ``unspecified``: the network has no
blocks, or they are not known."""

LayerChoice = Literal["all", "blocks"] | tuple[int | str, ...]
"""``all`` taps; ``blocks``: the outputs of the blocks and what is before and after all of them, or
all taps of a network without known blocks; or globs and positions."""

MAIN_PATH: frozenset[TapLevel] = frozenset(("input", "block output", "embedding", "unspecified"))
"""Levels of taps that follow each other in depth, so that a line may join them."""


@dataclass(frozen=True)
class Tap:
    """One point at which a network is read."""

    name: str
    """Stable name, such as ``layer1.0.relu1``."""
    study_name: str
    """The reference study's name, such as ``layer1 relu 1``."""
    module: str
    """Dotted path of the module in the network; empty for the network itself."""
    point: str
    """``input``, ``output``, or the name of a method of the module: the value is its result, or the
    first item of a result that is a tuple."""
    time_axis: int | None = -1
    """Time axis of the value, counting the batch axis: -1 in (B, C, F, T) and (B, C, T), 1 in
    (B, T, D); None: none. Ignored for a value (B, D)."""
    frames: Callable[[int], int] | None = None
    """Maps the length of the input's first axis to the number of frames of the value that belong to
    it, after which padding follows; None: all of them. Needed if the network pads its input, or
    masks padded batches itself."""
    level: TapLevel = "unspecified"
    """Place in the network. It changes no number."""


@dataclass(frozen=True)
class TapShape:
    """Shape of a tap's value for one utterance."""

    index: int
    """Position in depth order, from 0."""
    name: str
    study_name: str
    shape: tuple[int | str, ...]
    """Before pooling, time written as ``T``, ``T/2``, ...: (64, 80, "T"), or (256,)."""
    width: int
    """After pooling."""
    level: TapLevel = "unspecified"
    """Place in the network."""


def with_ends(levels: Sequence[TapLevel]) -> list[TapLevel]:
    """Replace ``between blocks`` before the first block by ``input``, and after the last block by
    ``embedding``."""
    inside = [n for n, level in enumerate(levels) if level in ("block output", "inside a block")]
    if not inside:
        return list(levels)
    found = list(levels)
    for position, level in enumerate(levels):
        if level == "between blocks" and position < inside[0]:
            found[position] = "input"
        elif level == "between blocks" and position > inside[-1]:
            found[position] = "embedding"
    return found


def select_taps(
    patterns: Literal["all", "blocks"] | Iterable[str | int],
    taps: Sequence[Tap] | Sequence[TapShape],
) -> list[str]:
    """Return the names of the taps that match ``patterns``, in depth order, each once.

    Args:
        patterns: ``all``, ``blocks`` (those on the main path), or globs (case matters) and
            positions (negative: from the end). A glob is compared with the stable names; with the
            study's names if it matches none of those.
        taps: in depth order.

    Raises:
        ValueError: a pattern matches nothing; the message has the nearest names.
    """
    if patterns == "all":
        return [tap.name for tap in taps]
    if patterns == "blocks":
        return [tap.name for tap in taps if tap.level in MAIN_PATH]
    names = [tap.name for tap in taps]
    study_names = [tap.study_name for tap in taps]
    chosen: set[int] = set()
    for pattern in patterns:
        if isinstance(pattern, int):
            chosen.add(_at(pattern, len(taps)))
        else:
            chosen |= _matching(pattern, names, study_names)
    return [name for position, name in enumerate(names) if position in chosen]


def _at(position: int, n: int) -> int:
    if not -n <= position < n:
        raise ValueError(
            f"layer {position} does not exist: expected a position from {-n} to {n - 1}"
        )
    return position % n


def _matching(glob: str, names: Sequence[str], study_names: Sequence[str]) -> set[int]:
    for candidates in (names, study_names):
        found = {position for position, name in enumerate(candidates) if fnmatchcase(name, glob)}
        if found:
            return found
    near = difflib.get_close_matches(glob, [*names, *study_names], n=3, cutoff=0.4)
    hint = f"nearest: {', '.join(near)}" if near else f"the layers are {names[0]} to {names[-1]}"
    raise ValueError(f"layer pattern {glob!r} matches none of {len(names)} layers; {hint}")
