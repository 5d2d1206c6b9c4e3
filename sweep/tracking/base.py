"""What a tracker is, and what is sent to it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, field_serializer

from jobs.optional_packages import OptionalPackage
from jobs.secrets import without_secrets
from jobs.settings import Settings

PROJECT = "probing-sweep"
"""Default name of the project or experiment that runs are collected in."""


class TrackSettings(Settings):
    """Settings of a tracker; they change no result."""

    kind: str
    """Tracker."""
    uri: str | None = Field(default=None, min_length=1)
    """Where it is. Passwords in it are left out of all files of the run."""

    @field_serializer("uri", when_used="json")
    def _without_secrets(self, uri: str | None) -> str | None:
        return None if uri is None else without_secrets(uri)


@dataclass(frozen=True)
class LayerCurve:
    """The score of a model over its layers, for one target and probe."""

    model: str
    target: str
    probe: str
    score: str
    """Name of the score, such as ``r2``."""
    points: Sequence[tuple[int, float]]
    """(layer index, value); layers without a score are left out."""


@dataclass(frozen=True)
class TrackedRun:
    """A finished run as trackers show it."""

    name: str
    run_id: str
    """The same for all sessions of a run, so that sending it again replaces it."""
    folder: Path
    complete: bool
    """Whether every cell has its scores."""
    parameters: Mapping[str, str]
    """Values of the spec by dotted key."""
    tags: Mapping[str, str]
    summary: str
    """Headlines, as Markdown."""
    curves: Sequence[LayerCurve]
    files: Sequence[Path]
    """Tables, figures, report and records, below ``folder``."""

    @property
    def figures(self) -> list[Path]:
        """The figures that are pixels."""
        return [path for path in self.files if path.suffix == ".png"]


class TrackingError(RuntimeError):
    """A run could not be sent to its tracker; what was computed is unharmed."""

    def __init__(self, message: str) -> None:
        super().__init__(without_secrets(message))


@dataclass(frozen=True)
class Tracker:
    """A kind of tracker."""

    settings: type[TrackSettings]
    """Its settings class, with the kind as the only value of its field ``kind``."""
    packages: Callable[[Any], Sequence[OptionalPackage]]
    """Packages that sending needs with given settings."""
    send: Callable[[Any, TrackedRun], str]
    """Send a run, replacing what was sent of it before; return where it can be seen. Raises
    whatever its package raises where the server is not reachable."""
