"""Voice activity, detected by silero-vad, whose package contains its network."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from jobs.audio.frames import SAMPLE_RATE
from jobs.audio.read import INT16_SCALE, FloatArray
from jobs.optional_packages import SILERO_VAD

MIN_PAUSE_MS = 250
"""Shorter gaps, such as the closures of stops, count as speech (F. Goldman-Eisler,
Psycholinguistics: experiments in spontaneous speech, 1968)."""
_TAIL = SAMPLE_RATE // 2
"""Samples of silence appended to the audio: longer than a pause, so that the end of the last word
is detected like any other instead of being set to the end of the file."""


SPEECH_METHOD = (
    "Speech and pauses were detected by silero-vad with its standard settings (probability 0.5, "
    f"speech of at least 250 ms), but pauses of at least {MIN_PAUSE_MS} ms and no margin around "
    "speech."
)
"""Description of the speech detection for the methods text."""


class Speech(NamedTuple):
    """Duration of speech, in seconds; 0 if there is none."""

    speaking: float
    """Total duration of all stretches of speech."""
    span: float
    """Time from the start of the first stretch to the end of the last: it includes pauses, but not
    silence at the edges of the recording."""


def measure_speech(wave: FloatArray) -> Speech:
    """Measure the speaking time of an utterance, with and without pauses.

    The settings are silero-vad's standard (probability 0.5, stretches of speech of at least
    250 ms) except for two: a pause lasts at least ``MIN_PAUSE_MS``, and no margin is added to the
    stretches. Its resolution is 32 ms, and it detects the end of a word slightly late: on synthetic
    voices pauses were 0.07 s too short on average.

    Args:
        wave: (N,) in int16 scale, at 16 kHz.

    Raises:
        MissingPackageError: silero-vad is not installed.
    """
    import torch  # here: reading the list of targets needs no torch

    padded = np.concatenate([wave / INT16_SCALE, np.zeros(_TAIL)]).astype(np.float32)
    with _one_thread():
        found = SILERO_VAD.load().get_speech_timestamps(
            torch.from_numpy(padded),
            _network(),
            sampling_rate=SAMPLE_RATE,
            min_silence_duration_ms=MIN_PAUSE_MS,
            speech_pad_ms=0,
        )
    if not found:
        return Speech(0.0, 0.0)
    starts = np.array([piece["start"] for piece in found])
    ends = np.minimum([piece["end"] for piece in found], len(wave))
    speaking, span = (ends - starts).sum(), ends[-1] - starts[0]
    return Speech(float(speaking) / SAMPLE_RATE, float(span) / SAMPLE_RATE)


@cache
def _network() -> Any:
    """Load the network once per process; its state is reset for every utterance."""
    with warnings.catch_warnings():
        # The package contains the network only as TorchScript.
        warnings.filterwarnings("ignore", r"`torch\.jit\.load` is deprecated", DeprecationWarning)
        return SILERO_VAD.load().load_silero_vad()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Use one thread, for reproducible sums; silero-vad would set this permanently."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
