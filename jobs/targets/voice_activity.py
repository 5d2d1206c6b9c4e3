"""Where in an utterance somebody speaks, by silero-vad, whose network comes in its package."""

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
"""Shorter gaps are part of speaking: closures of stops and the like (F. Goldman-Eisler,
Psycholinguistics: experiments in spontaneous speech, 1968)."""
_TAIL = SAMPLE_RATE // 2
"""Samples of silence put behind the audio: longer than a pause, so that the end of the last word is
found like that of any other, and not taken to be the end of the file."""


class Speech(NamedTuple):
    """How long somebody speaks, in seconds; 0 where nobody is heard."""

    speaking: float
    """All stretches of speech together."""
    span: float
    """From the beginning of the first to the end of the last: pauses within are part of it, silence
    at the edges of the recording is not."""


def measure_speech(wave: FloatArray) -> Speech:
    """Speaking time of an utterance, with and without its pauses.

    silero-vad's standard settings (probability 0.5, stretches of speech of at least 250 ms) but
    for two: a pause lasts at least ``MIN_PAUSE_MS``, and no margin is added to the stretches. It
    hears in steps of 32 ms, and the end of a word a little late: on synthetic voices pauses were
    0.07 s too short on average.

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
    """The network, once a process; every utterance begins with its state reset."""
    with warnings.catch_warnings():
        # The package has the network as TorchScript alone.
        warnings.filterwarnings("ignore", r"`torch\.jit\.load` is deprecated", DeprecationWarning)
        return SILERO_VAD.load().load_silero_vad()


@contextmanager
def _one_thread() -> Iterator[None]:
    """The same sums in the same order everywhere; silero-vad sets it too, and for good."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
