"""Pitch and level of an utterance, from its waveform alone.

Legend: N samples at 16 kHz, T frames.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jobs.audio.frames import SAMPLE_RATE
from jobs.audio.read import INT16_SCALE, FloatArray
from jobs.optional_packages import PARSELMOUTH

PITCH_STEP = 0.01
"""Seconds from frame to frame: Praat's own at its standard floor of 75 Hz."""
PITCH_RANGE = (60.0, 750.0)
"""Hz; the first pass looks for pitch there, as in D. Hirst's script automatic_min_max_f0.praat."""
PITCH_FACTORS = (0.75, 1.5)
"""Factors of the first and third quartile that give floor and ceiling of the second pass."""
_PERIODS = 3
"""Periods of the lowest pitch in Praat's analysis window: shorter audio has no frame."""


class Pitch(NamedTuple):
    """Pitch of the voiced frames of an utterance, in Hz."""

    mean: float
    sd: float


def measure_pitch(wave: FloatArray) -> Pitch:
    """Measure mean and standard deviation of the fundamental frequency over voiced frames.

    Praat's autocorrelation method (P. Boersma, Accurate short-term analysis of the fundamental
    frequency and the harmonics-to-noise ratio of a sampled sound, IFA Proceedings 17 (1993),
    97–110) in parselmouth, with its standard settings except for the range. The range is found in
    two passes: the first, within ``PITCH_RANGE``, gives the quartiles q1 and q3; the second
    searches from 0.75 q1 to 1.5 q3, within the first's range, which removes most octave errors.
    Source of the two passes and the factors: C. De Looze,
    D. Hirst, Detecting changes in key and range for the automatic modelling and coding of
    intonation, Speech Prosody 2008.

    Args:
        wave: (N,) in any scale.

    Returns:
        The mean, NaN without a voiced frame, and the SD (n − 1 in the denominator), NaN with fewer
        than two.

    Raises:
        MissingPackageError: parselmouth is not installed.
    """
    floor, ceiling = PITCH_RANGE
    hz = _voiced(wave, floor, ceiling)
    if len(hz):
        q1, q3 = np.quantile(hz, [0.25, 0.75])
        low, high = PITCH_FACTORS
        hz = _voiced(wave, max(floor, low * q1), min(ceiling, high * q3))
    mean = float(hz.mean()) if len(hz) else math.nan
    return Pitch(mean, float(hz.std(ddof=1)) if len(hz) > 1 else math.nan)


def _voiced(wave: FloatArray, floor: float, ceiling: float) -> npt.NDArray[np.float64]:
    """Return (T,) the pitch of the voiced frames, in Hz."""
    parselmouth = PARSELMOUTH.load()
    if len(wave) <= _PERIODS * SAMPLE_RATE / floor:
        return np.empty(0)
    sound = parselmouth.Sound(wave.astype(np.float64) / INT16_SCALE, SAMPLE_RATE)
    pitch = sound.to_pitch_ac(PITCH_STEP, floor, pitch_ceiling=ceiling)
    hz: npt.NDArray[np.float64] = pitch.selected_array["frequency"]
    return hz[hz > 0]


def measure_level(wave: FloatArray) -> float:
    """Measure the level of all samples, pauses included, in dB relative to full scale.

    ``20 log10 sqrt(mean(x²))`` with x from −1 to 1: a constant at full scale is 0 dB, a
    full-scale sine −3.01 dB.

    Args:
        wave: (N,) in int16 scale, not silent.
    """
    power = float(np.mean(np.square(wave, dtype=np.float64)))
    return 10.0 * math.log10(power / INT16_SCALE**2)
