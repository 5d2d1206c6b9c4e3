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

_Samples = npt.NDArray[np.float64]

PITCH_STEP = 0.01
"""Seconds from frame to frame: Praat's own at its standard floor of 75 Hz."""
PITCH_RANGE = (60.0, 600.0)
"""Hz; the first pass looks for pitch there."""
PITCH_FACTORS = (0.75, 1.5)
"""Factors of the first and third quartile that give floor and ceiling of the second pass."""
HIGH_PASS = (60.0, 80.0)
"""Hz; nothing below the first passes, everything above the second, with a raised cosine between:
mains hum of 50 and 60 Hz is removed. A lower voice is still found, by the distance of its
harmonics."""
LOW_PASS = 800.0
"""Hz; where the Gaussian low-pass filter lets ``LOW_PASS_GAIN`` through."""
LOW_PASS_GAIN = 0.03
"""Gain at ``LOW_PASS``. The values of the filter, the voicing threshold and the octave cost are
the standard ones of Praat's "filtered autocorrelation" (Praat 6.4, 2023)."""
VOICING_THRESHOLD = 0.5
"""Periodicity, from 0 to 1, that a voiced frame has at least."""
OCTAVE_COST = 0.055
"""Preference of higher candidates, per octave, in units of periodicity."""
MAX_DB_BELOW = 20.0
"""dB that a voiced frame may lie below the level of the loud voiced frames."""
_LOUD = 90.0
"""Percentile of the voiced frames' levels that counts as their level."""
_QUIETEST_DB = -100.0
"""dB relative to full scale below which there is nothing but rounding."""
_HALF_FRAME = SAMPLE_RATE // 50
"""Samples on each side of a frame's centre over which its level is measured."""
_PERIODS = 3
"""Periods of the lowest pitch in Praat's analysis window: shorter audio has no frame."""


PITCH_METHOD = (
    "Fundamental frequency was measured by Praat's autocorrelation method (Boersma 1993; "
    f"praat-parselmouth) every {1000 * PITCH_STEP:g} ms, after a high-pass filter (raised cosine, "
    f"{HIGH_PASS[0]:g} to {HIGH_PASS[1]:g} Hz) and a Gaussian low-pass filter (gain "
    f"{LOW_PASS_GAIN:g} at {LOW_PASS:g} Hz), with voicing threshold {VOICING_THRESHOLD:g} and "
    f"octave cost {OCTAVE_COST:g}; first between {PITCH_RANGE[0]:g} and {PITCH_RANGE[1]:g} Hz, "
    f"then, within these limits, between {PITCH_FACTORS[0]:g} times the first and "
    f"{PITCH_FACTORS[1]:g} times the third quartile of the first pass. Voiced frames more than "
    f"{MAX_DB_BELOW:g} dB below the {_LOUD:g}th percentile of their levels did not count."
)
"""Description of the pitch measurement for the methods text."""


class Pitch(NamedTuple):
    """Pitch of the voiced frames of an utterance, in Hz."""

    mean: float
    sd: float


def measure_pitch(wave: FloatArray) -> Pitch:
    """Measure mean and standard deviation of the fundamental frequency over voiced frames.

    Praat's autocorrelation method (P. Boersma, Accurate short-term analysis of the fundamental
    frequency and the harmonics-to-noise ratio of a sampled sound, IFA Proceedings 17 (1993),
    97–110) in parselmouth, applied to the audio between 80 Hz and a Gaussian low-pass filter:
    without mains hum, fricatives and the stronger part of the formants, which are otherwise taken
    for voice. A frame is voiced if it is periodic and at most ``MAX_DB_BELOW`` below the loud
    voiced frames of the utterance; what hums in the pauses is thereby excluded.

    The range is found in two passes: the first, within ``PITCH_RANGE``, gives the quartiles q1 and
    q3; the second searches from 0.75 q1 to 1.5 q3, within the first's range, which removes most
    octave errors. Source of the two passes and the factors: C. De Looze, D. Hirst, Detecting
    changes in key and range for the automatic modelling and coding of intonation, Speech Prosody
    2008.

    Args:
        wave: (N,) in int16 scale.

    Returns:
        The mean over the voiced frames of the second pass, NaN without any, and their SD (n − 1 in
        the denominator), NaN with fewer than two.

    Raises:
        MissingPackageError: parselmouth is not installed.
    """
    floor, ceiling = PITCH_RANGE
    if len(wave) <= _PERIODS * SAMPLE_RATE / floor:
        return Pitch(math.nan, math.nan)
    band = _voice_band(wave.astype(np.float64) / INT16_SCALE)
    hz = _voiced(band, floor, ceiling)
    if len(hz):
        q1, q3 = np.quantile(hz, [0.25, 0.75])
        low, high = PITCH_FACTORS
        hz = _voiced(band, max(floor, low * q1), min(ceiling, high * q3))
    mean = float(hz.mean()) if len(hz) else math.nan
    return Pitch(mean, float(hz.std(ddof=1)) if len(hz) > 1 else math.nan)


def _voice_band(samples: _Samples) -> _Samples:
    """Return (N,) samples with ``HIGH_PASS`` and the low-pass filter applied, without delay."""
    # Zeros behind the end, at least as long as the filter rings, instead of a wrap to the start.
    n_padded = 1 << (len(samples) + SAMPLE_RATE // 4).bit_length()
    spectrum = np.fft.rfft(samples - samples.mean(), n_padded)
    hz = np.fft.rfftfreq(n_padded, 1 / SAMPLE_RATE)
    stop, passed = HIGH_PASS
    ramp = np.clip((hz - stop) / (passed - stop), 0.0, 1.0)
    gain = (0.5 - 0.5 * np.cos(np.pi * ramp)) * LOW_PASS_GAIN ** np.square(hz / LOW_PASS)
    return np.fft.irfft(spectrum * gain, n_padded)[: len(samples)]


def _voiced(band: _Samples, floor: float, ceiling: float) -> _Samples:
    """Return (T,) the pitch of the voiced frames, in Hz."""
    sound = PARSELMOUTH.load().Sound(band, SAMPLE_RATE)
    pitch = sound.to_pitch_ac(
        PITCH_STEP,
        floor,
        pitch_ceiling=ceiling,
        silence_threshold=0.0,  # relative to the peak, which may be a click; see MAX_DB_BELOW
        voicing_threshold=VOICING_THRESHOLD,
        octave_cost=OCTAVE_COST,
    )
    hz: _Samples = pitch.selected_array["frequency"]
    levels = _levels(band, pitch.xs())
    voiced = (hz > 0) & (levels > _QUIETEST_DB)
    if voiced.any():
        voiced &= levels >= np.percentile(levels[voiced], _LOUD) - MAX_DB_BELOW
    return hz[voiced]


def _levels(samples: _Samples, times: _Samples) -> _Samples:
    """Return (T,) the level around each time in seconds, in dB relative to full scale."""
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples))])
    centres = np.rint(times * SAMPLE_RATE).astype(int)
    starts = np.maximum(centres - _HALF_FRAME, 0)
    ends = np.minimum(centres + _HALF_FRAME, len(samples))
    power = (energy[ends] - energy[starts]) / (ends - starts)
    levels: _Samples = 10.0 * np.log10(np.maximum(power, np.finfo(float).tiny))
    return levels


def measure_level(wave: FloatArray) -> float:
    """Measure the level of all samples, pauses included, in dB relative to full scale.

    ``20 log10 sqrt(mean(x²))`` with x from −1 to 1: a constant at full scale is 0 dB, a
    full-scale sine −3.01 dB.

    Args:
        wave: (N,) in int16 scale, not silent.
    """
    power = float(np.mean(np.square(wave, dtype=np.float64)))
    return 10.0 * math.log10(power / INT16_SCALE**2)
