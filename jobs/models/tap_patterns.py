"""Tap patterns: module paths with stars that expand to the taps of a network."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jobs.models.taps import Tap, TapLevel, with_ends

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class TapPoint:
    """A tap at each module that a pattern matches."""

    name: str
    """Name of the tap; ``{0}``, ``{1}`` are what the stars of the pattern match."""
    module: str = ""
    """Path below the matched module; empty for the matched module itself."""
    point: str = "output"
    """See `jobs.models.taps.Tap`."""
    study: str = ""
    """The reference study's name of the tap, a final ``#`` being replaced by a number that counts
    equal names from 1; if empty, ``name``."""
    level: TapLevel | None = None
    """Place in the network; None: the output of a block for the last point of a pattern that
    matches blocks, and inside a block for its other points."""


@dataclass(frozen=True)
class TapPattern:
    """Taps at every module that a path with stars matches, in the order of `named_modules`."""

    modules: str
    points: tuple[TapPoint, ...]
    classes: tuple[str, ...] = ()
    """Names of the modules' classes; if empty, any."""


def at(
    module: str,
    name: str,
    point: str = "output",
    study: str = "",
    level: TapLevel = "between blocks",
) -> TapPattern:
    """Return the pattern of one tap at one module.

    Before the first and after the last block, ``between blocks`` means input and embedding.
    """
    return TapPattern(module, (TapPoint(name, point=point, study=study, level=level),))


def taps_at(network: "nn.Module", patterns: Iterable[TapPattern]) -> tuple[Tap, ...]:
    """Return the taps of ``network`` at ``patterns``, in order; the last is called ``embedding``.

    Identity modules are skipped: networks have them in place of optional layers.
    """
    taps = [tap for pattern in patterns for tap in _expand(network, pattern)]
    taps[-1] = replace(taps[-1], name="embedding", study_name="embedding")
    counted: Counter[str] = Counter()
    for position, tap in enumerate(taps):
        if tap.study_name.endswith("#"):
            counted[tap.study_name] += 1
            number = f"{tap.study_name.removesuffix('#')}{counted[tap.study_name]}"
            taps[position] = replace(tap, study_name=number)
    levels = with_ends([tap.level for tap in taps])
    return tuple(replace(tap, level=level) for tap, level in zip(taps, levels, strict=True))


def _expand(network: "nn.Module", pattern: TapPattern) -> Iterator[Tap]:
    from torch import nn

    path = re.compile(re.escape(pattern.modules).replace(r"\*", r"([^.]+)"))
    matches = [
        (match, module)
        for name, module in network.named_modules()
        if (match := path.fullmatch(name))
        and (not pattern.classes or type(module).__name__ in pattern.classes)
    ]
    assert matches, f"{type(network).__name__} has no module {pattern.modules}"
    for match, module in matches:
        if isinstance(module, nn.Identity):
            continue
        for number, point in enumerate(pattern.points, start=1):
            is_last = number == len(pattern.points)
            of_block: TapLevel = "block output" if is_last else "inside a block"
            name = point.name.format(*match.groups())
            study_name = point.study.format(*match.groups()) or name
            inner = ".".join(part for part in (match[0], point.module) if part)
            level: TapLevel = point.level or of_block
            yield Tap(name, study_name, inner, point.point, level=level)
