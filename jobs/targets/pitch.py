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
"""Hz; the first pass searches there, and no second pass goes beyond."""
RANGE_FACTORS = (0.75, 2.5)
"""Factors of the first and third quartile that give floor and ceiling of the second pass."""
RANGE_STEPS = 6
"""Steps per octave to which floor and ceiling are rounded, so that values measured before remain
valid when utterances of a speaker are added."""
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
MAX_DB_BELOW = 15.0
"""dB that a voiced frame may lie below the level of the loud voiced frames."""
MIN_PERIODICITY = 0.85
"""Periodicity that a voiced frame has at least, relative to the most periodic ones."""
_LOUD = 90.0
"""Percentile of the voiced frames' levels that counts as the level of the loud ones, and of their
periodicities as that of the most periodic ones."""
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
    f"then, within these limits, between {RANGE_FACTORS[0]:g} times the speaker's first and "
    f"{RANGE_FACTORS[1]:g} times the speaker's third quartile, each the median over the speaker's "
    "utterances in the first pass. Voiced frames did not count when they were more than "
    f"{MAX_DB_BELOW:g} dB below the {_LOUD:g}th percentile of the voiced frames' levels, or less "
    f"periodic than {MIN_PERIODICITY:g} times the {_LOUD:g}th percentile of their periodicities."
)
"""Description of the pitch measurement for the methods text."""


class PitchQuartiles(NamedTuple):
    """First and third quartile of the pitch of an utterance, in Hz."""

    low: float
    high: float


class SearchRange(NamedTuple):
    """Range in which pitch is searched, in Hz."""

    floor: float
    ceiling: float


class VoicedFrames(NamedTuple):
    """Frames that count, in order of time."""

    seconds: _Samples
    """(T,) time of their centres."""
    hz: _Samples
    """(T,) their pitch."""


class Pitch(NamedTuple):
    """Pitch of the voiced frames of an utterance, in Hz."""

    mean: float
    sd: float


def measure_quartiles(wave: FloatArray) -> PitchQuartiles:
    """Measure the quartiles of the fundamental frequency in the first pass, within ``PITCH_RANGE``.

    Args:
        wave: (N,) in int16 scale.

    Returns:
        NaN without a voiced frame.

    Raises:
        MissingPackageError: parselmouth is not installed.
    """
    hz = voiced_frames(wave, SearchRange(*PITCH_RANGE)).hz
    if not len(hz):
        return PitchQuartiles(math.nan, math.nan)
    low, high = np.quantile(hz, [0.25, 0.75])
    return PitchQuartiles(float(low), float(high))


def search_range(quartiles: npt.ArrayLike) -> SearchRange:
    """Return the range in which a speaker's pitch is searched in the second pass.

    From 0.75 times the first to 2.5 times the third quartile, each the median over utterances, so
    that octave errors in a minority of them have no influence; rounded, see ``RANGE_STEPS``.
    Source of two passes with such factors: C. De Looze, D. Hirst, Detecting changes in key and
    range for the automatic modelling and coding of intonation, Speech Prosody 2008. Their ceiling
    of 1.5 times the third quartile cuts lively readers off.

    Args:
        quartiles: (U, 2) of a speaker's utterances; NaN for those without pitch.
    """
    known = np.asarray(quartiles, dtype=np.float64).reshape(-1, 2)
    known = known[np.isfinite(known).all(axis=1)]
    if not len(known):
        return SearchRange(*PITCH_RANGE)
    octaves = np.log2(np.median(known, axis=0) * RANGE_FACTORS)
    floor, ceiling = np.clip(2 ** (np.rint(octaves * RANGE_STEPS) / RANGE_STEPS), *PITCH_RANGE)
    return SearchRange(float(floor), float(ceiling))


def measure_pitch(wave: FloatArray, search: SearchRange | None = None) -> Pitch:
    """Measure mean and standard deviation of the fundamental frequency over voiced frames.

    Praat's autocorrelation method (P. Boersma, Accurate short-term analysis of the fundamental
    frequency and the harmonics-to-noise ratio of a sampled sound, IFA Proceedings 17 (1993),
    97–110) in parselmouth, applied to the audio between 80 Hz and a Gaussian low-pass filter:
    without mains hum, fricatives and the stronger part of the formants, which are otherwise taken
    for voice. Frames count if they are voiced, at most ``MAX_DB_BELOW`` below the loud ones of the
    utterance, and periodic, see ``MIN_PERIODICITY``: what hums in the pauses is thereby excluded,
    and so are the edges of voicing, where trackers disagree.

    Args:
        wave: (N,) in int16 scale.
        search: where the speaker's pitch is searched; None: as if it were the only utterance.

    Returns:
        The mean over the frames that count, NaN without any, and their SD (n − 1 in the
        denominator), NaN with fewer than two.

    Raises:
        MissingPackageError: parselmouth is not installed.
    """
    hz = voiced_frames(wave, search or search_range([measure_quartiles(wave)])).hz
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


def voiced_frames(wave: FloatArray, search: SearchRange) -> VoicedFrames:
    """Find the pitch of the frames that count, see ``measure_pitch``.

    Args:
        wave: (N,) in int16 scale.
        search: where pitch is searched.

    Raises:
        MissingPackageError: parselmouth is not installed.
    """
    if len(wave) <= _PERIODS * SAMPLE_RATE / PITCH_RANGE[0]:
        return VoicedFrames(np.empty(0), np.empty(0))
    band = _voice_band(wave.astype(np.float64) / INT16_SCALE)
    pitch = (
        PARSELMOUTH.load()
        .Sound(band, SAMPLE_RATE)
        .to_pitch_ac(
            PITCH_STEP,
            search.floor,
            pitch_ceiling=search.ceiling,
            silence_threshold=0.0,  # relative to the peak, which may be a click; see MAX_DB_BELOW
            voicing_threshold=VOICING_THRESHOLD,
            octave_cost=OCTAVE_COST,
        )
    )
    hz: _Samples = pitch.selected_array["frequency"]
    periodicity = pitch.selected_array["strength"]
    levels = _levels(band, pitch.xs())
    counts = (hz > 0) & (levels > _QUIETEST_DB)
    if counts.any():
        counts &= levels >= np.percentile(levels[counts], _LOUD) - MAX_DB_BELOW
        counts &= periodicity >= MIN_PERIODICITY * np.percentile(periodicity[counts], _LOUD)
    return VoicedFrames(pitch.xs()[counts], hz[counts])


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
