"""The registry of measurements, each a function of a recording's waveform."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jobs.optional_packages import PARSELMOUTH, SILERO_VAD, OptionalPackage
from jobs.targets.measured_values import Values
from jobs.targets.pitch import (
    PITCH_METHOD,
    measure_level,
    measure_pitch,
    measure_quartiles,
    search_range,
)
from jobs.targets.voice_activity import SPEECH_METHOD, measure_speech


@dataclass(frozen=True)
class SpeakerContext:
    """Values that a measurement takes from all utterances of the speaker."""

    measurement: str
    """Name of the measurement that is made of every utterance first."""
    combine: Callable[[npt.NDArray[np.float64]], tuple[float, ...]]
    """(U, columns) of a speaker's utterances, NaN where undefined → values of the speaker, rounded:
    each change of them measures all of the speaker's utterances again."""


@dataclass(frozen=True)
class Measurement:
    """A set of values that are measured in a waveform."""

    name: str
    version: int
    """To be raised when the same audio gives other values: everything is then measured again."""
    columns: tuple[str, ...]
    """Names of its values."""
    of: Callable[..., Values]
    """(N,) samples at 16 kHz in int16 scale → the values, NaN where undefined; with a context, its
    result is the second argument."""
    cost: float
    """Approximate seconds of one core per second of audio, which decides how it is run."""
    package: OptionalPackage | None = None
    """Optional package that it needs."""
    context: SpeakerContext | None = None
    method: str = ""
    """Sentence on how it is done, for the methods text; empty: the description of its targets says
    it."""

    @property
    def file(self) -> str:
        """Name of the file of its values."""
        package = f"-{self.package.name}-{self.package.version}" if self.package else ""
        return f"{self.name}-{self.version}{package}.jsonl"

    def missing(self) -> str | None:
        """Return how to install the package that it lacks, None if nothing is missing."""
        return None if self.package is None else self.package.missing()


MEASUREMENTS: dict[str, Measurement] = {
    one.name: one
    for one in (
        Measurement(
            name="speech",
            version=1,
            columns=("speaking_seconds", "span_seconds"),
            of=measure_speech,
            cost=0.012,
            package=SILERO_VAD,
            method=SPEECH_METHOD,
        ),
        Measurement(
            name="pitch_quartiles",
            version=1,
            columns=("f0_q1", "f0_q3"),
            of=measure_quartiles,
            cost=0.006,
            package=PARSELMOUTH,
        ),
        Measurement(
            name="pitch",
            version=3,
            columns=("f0_mean", "f0_sd"),
            of=measure_pitch,
            cost=0.006,
            package=PARSELMOUTH,
            context=SpeakerContext("pitch_quartiles", search_range),
            method=PITCH_METHOD,
        ),
        Measurement(
            name="level",
            version=1,
            columns=("energy",),
            of=lambda wave: (measure_level(wave),),
            cost=0.0003,
        ),
    )
}
