"""Pieces of recordings: a path with a time span, ``FILE#t=START,END`` in seconds.

The notation is that of W3C Media Fragments URI 1.0, section 4.2.1. The audio path of any utterance
may name a piece. A path may also have a tempo, an extension of this project: ``FILE#tempo=0.8``,
``FILE#t=START,END&tempo=0.8``.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

_SPAN = re.compile(r"(?P<file>.+)#t=(?P<start>[0-9.]+),(?P<end>[0-9.]+)")
_TEMPO = re.compile(r"(?P<rest>.+)[#&]tempo=(?P<factor>[0-9.]+)")
SLACK = 0.1
"""Seconds by which a span may exceed its file at either end, where it is then cut: manifests are
rounded, and aligned to frames that reach beyond the audio."""


@dataclass(frozen=True)
class Span:
    """Time span in seconds, rounded to the microsecond, the precision of a path.

    A start that is at most ``SLACK`` before the file begins becomes its beginning.
    """

    start: float
    end: float

    def __post_init__(self) -> None:
        start = 0.0 if -SLACK <= self.start < 0 else round(self.start, 6)
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "end", round(self.end, 6))

    def samples(self, sample_rate: int, n_samples: int) -> tuple[int, int]:
        """Return the first sample and length of the span in ``n_samples`` at ``sample_rate`` Hz.

        Raises:
            ValueError: the span is empty, or reaches beyond the file.
        """
        if not (math.isfinite(self.start) and math.isfinite(self.end)):
            raise ValueError(f"no piece: expected seconds, found {self.start} to {self.end}")
        if self.start < 0:
            raise ValueError(
                f"before the start: expected a piece from 0 s on, found {self.start:.3f} to "
                f"{self.end:.3f} s"
            )
        first, last = round(self.start * sample_rate), round(self.end * sample_rate)
        if last > n_samples + round(SLACK * sample_rate):
            raise ValueError(
                f"beyond the end: expected a piece within {n_samples / sample_rate:.3f} s, found "
                f"{self.start:.3f} to {self.end:.3f} s"
            )
        last = min(last, n_samples)
        if first >= last:
            raise ValueError(f"empty piece: from {self.start:.3f} to {self.end:.3f} s")
        return first, last - first

    def of(self, file: Path) -> str:
        """Return the path of this piece of ``file``."""
        return f"{file}#t={self.start:.6f},{self.end:.6f}"


def split_span(path: Path | str) -> tuple[Path, Span | None]:
    """Split a path into file and span, None if it has no span; a tempo is dropped."""
    path, _ = split_tempo(path)
    found = _SPAN.fullmatch(str(path))
    if found is None or Path(path).exists():
        return Path(path), None
    return Path(found["file"]), Span(float(found["start"]), float(found["end"]))


def at_tempo(path: str, factor: float) -> str:
    """Return the path of the audio at ``path`` (a file or a piece) at ``factor`` times its rate."""
    _, span = split_span(path)
    return f"{path}{'&' if span else '#'}tempo={factor}"


def split_tempo(path: Path | str) -> tuple[Path | str, float | None]:
    """Split a path into the path without its tempo and the factor, None if it has no tempo."""
    found = _TEMPO.fullmatch(str(path))
    if found is None or Path(path).exists():
        return path, None
    return found["rest"], float(found["factor"])
