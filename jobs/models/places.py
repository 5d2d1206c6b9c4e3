"""Where a network is read, as data: paths of modules, with stars, that expand to taps."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from torch import nn

from jobs.models.taps import Tap


@dataclass(frozen=True)
class Point:
    """One tap at each module that a place matches."""

    name: str
    """Of the tap; ``{0}``, ``{1}``: what the stars of the place stand for."""
    module: str = ""
    """Path below the matched module; empty for this one itself."""
    point: str = "output"
    """See `jobs.models.taps.Tap`."""
    study: str = ""
    """The reference study's name, ``#`` being a number that counts those of equal names from 1;
    empty: the same as ``name``."""


@dataclass(frozen=True)
class Place:
    """Taps at every module that a path with stars matches, in the order of `named_modules`."""

    modules: str
    points: tuple[Point, ...]
    classes: tuple[str, ...] = ()
    """Of the modules that count; empty: any."""


def at(module: str, name: str, point: str = "output", study: str = "") -> Place:
    """One tap at one module."""
    return Place(module, (Point(name, point=point, study=study),))


def taps_at(network: nn.Module, places: Iterable[Place]) -> tuple[Tap, ...]:
    """The taps of ``network`` at ``places``, in their order; the last is called ``embedding``.

    A module that is an identity is not read: networks have them where a layer is left out.
    """
    taps = [tap for place in places for tap in _matching(network, place)]
    taps[-1] = replace(taps[-1], name="embedding", study_name="embedding")
    counted: Counter[str] = Counter()
    for position, tap in enumerate(taps):
        if tap.study_name.endswith("#"):
            counted[tap.study_name] += 1
            number = f"{tap.study_name.removesuffix('#')}{counted[tap.study_name]}"
            taps[position] = replace(tap, study_name=number)
    return tuple(taps)


def _matching(network: nn.Module, place: Place) -> Iterator[Tap]:
    path = re.compile(re.escape(place.modules).replace(r"\*", r"([^.]+)"))
    matches = [
        (match, module)
        for name, module in network.named_modules()
        if (match := path.fullmatch(name))
        and (not place.classes or type(module).__name__ in place.classes)
    ]
    assert matches, f"{type(network).__name__} has no module {place.modules}"
    for match, module in matches:
        if isinstance(module, nn.Identity):
            continue
        for point in place.points:
            name = point.name.format(*match.groups())
            study_name = point.study.format(*match.groups()) or name
            inner = ".".join(part for part in (match[0], point.module) if part)
            yield Tap(name, study_name, inner, point.point)
