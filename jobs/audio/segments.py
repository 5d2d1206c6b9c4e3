"""Pieces of recordings: a path with a time span, ``FILE#t=START,END`` in seconds.

The notation is that of W3C Media Fragments URI 1.0, section 4.2.1; wherever an utterance has an
audio path, it may name a piece. A path may also ask for another rate of speaking, which is this
project's own: ``FILE#tempo=0.8``, ``FILE#t=START,END&tempo=0.8``.
"""

import re
from dataclasses import dataclass
from pathlib import Path

_SPAN = re.compile(r"(?P<file>.+)#t=(?P<start>[0-9.]+),(?P<end>[0-9.]+)")
_TEMPO = re.compile(r"(?P<rest>.+)[#&]tempo=(?P<factor>[0-9.]+)")
_SLACK = 0.025
"""Seconds that a span may reach beyond the end of its file: a frame; manifests are rounded."""


@dataclass(frozen=True)
class Span:
    """From ``start`` to ``end``, in seconds, to the microsecond: what a path can say exactly."""

    start: float
    end: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", round(self.start, 6))
        object.__setattr__(self, "end", round(self.end, 6))

    def samples(self, sample_rate: int, n_samples: int) -> tuple[int, int]:
        """First sample and number of samples, in a file of ``n_samples`` at ``sample_rate`` Hz.

        Raises:
            ValueError: empty, or beyond the end.
        """
        first, last = round(self.start * sample_rate), round(self.end * sample_rate)
        if last > n_samples + round(_SLACK * sample_rate):
            raise ValueError(
                f"beyond the end: expected a piece within {n_samples / sample_rate:.3f} s, found "
                f"{self.start:.3f} to {self.end:.3f} s"
            )
        last = min(last, n_samples)
        if not 0 <= first < last:
            raise ValueError(f"empty piece: from {self.start:.3f} to {self.end:.3f} s")
        return first, last - first

    def of(self, file: Path) -> str:
        """The path of this piece of ``file``."""
        return f"{file}#t={self.start:.6f},{self.end:.6f}"


def split_span(path: Path | str) -> tuple[Path, Span | None]:
    """The file, and the span where ``path`` names one; a tempo is left out."""
    path, _ = split_tempo(path)
    found = _SPAN.fullmatch(str(path))
    if found is None or Path(path).exists():
        return Path(path), None
    return Path(found["file"]), Span(float(found["start"]), float(found["end"]))


def at_tempo(path: str, factor: float) -> str:
    """The path of the audio, or piece, of ``path`` at ``factor`` times its rate."""
    _, span = split_span(path)
    return f"{path}{'&' if span else '#'}tempo={factor}"


def split_tempo(path: Path | str) -> tuple[Path | str, float | None]:
    """The path without its tempo, and the factor where it names one."""
    found = _TEMPO.fullmatch(str(path))
    if found is None or Path(path).exists():
        return path, None
    return found["rest"], float(found["factor"])
