"""Pitch of speech-like sounds of known F0 among hum and fricatives, and of real speech against two
other trackers."""

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import butter, lfilter, resample_poly, sosfiltfilt

from jobs.audio.frames import SAMPLE_RATE
from jobs.audio.read import load_audio
from jobs.targets.pitch import measure_pitch

DATA = Path(__file__).parents[4] / "shared" / "data"
ORACLE = Path(__file__).parent / "pitch_oracle.csv"
"""Mean F0 in Hz of 79 clips by librosa 0.11.0's pyin (55–600 Hz, after a high-pass at 70 Hz) and by
torchcrepe 0.0.24's tiny network (50–600 Hz, Viterbi decoding, periodicity above 0.2), made on
1 December 2026: over voiced frames within 25 dB of the 95th percentile of the level, every 20 ms.
Of the clips on which the two means differ by less than 5 % and most voiced frames agree within a
semitone, 24 of each corpus, evenly spaced, and all of speaker 2609, whose recordings hum."""

VOWELS = {"a": (730, 1090, 2440), "i": (300, 2290, 3010), "e": (500, 1840, 2480)}
"""Hz of formants."""


def vowel(f0, formants, seconds=0.25, peak=6_000.0):
    """(N,) pulses at ``f0`` Hz, falling by a fifth, through formants; about 6 dB per octave."""
    hz = np.linspace(1.1 * f0, 0.9 * f0, round(seconds * SAMPLE_RATE))
    phase = np.cumsum(hz) / SAMPLE_RATE
    wave = np.diff(np.floor(phase), prepend=0.0)
    wave = lfilter([1.0], [1.0, -0.95], wave)
    for formant, width in zip(formants, (60, 90, 150), strict=True):
        radius = np.exp(-np.pi * width / SAMPLE_RATE)
        angle = 2 * np.pi * formant / SAMPLE_RATE
        wave = lfilter([1.0], [1.0, -2 * radius * np.cos(angle), radius**2], wave)
    wave *= np.hanning(len(wave)) ** 0.25
    return peak * wave / np.abs(wave).max()


def fricative(rng, low=3_000, seconds=0.15, rms=1_500.0):
    noise = rng.standard_normal(round(seconds * SAMPLE_RATE))
    noise = sosfiltfilt(butter(4, low, "high", fs=SAMPLE_RATE, output="sos"), noise)
    return rms * noise / noise.std()


def utterance(f0, pause=0.3, low=3_000, seed=0):
    """(N,) three syllables with fricatives, between pauses with a quiet room's noise."""
    rng = np.random.default_rng(seed)
    quiet = np.zeros(round(pause * SAMPLE_RATE))
    pieces = [quiet]
    for formants in VOWELS.values():
        pieces += [fricative(rng, low), vowel(f0, formants), quiet]
    wave = np.concatenate(pieces)
    return wave + 3.0 * rng.standard_normal(len(wave))


def hum(n_samples, mains, rms):
    """(N,) the mains' frequency with its second and third harmonic."""
    time = np.arange(n_samples) / SAMPLE_RATE
    parts = zip((1, 2, 3), (1.0, 0.25, 0.1), strict=True)
    wave = sum(gain * np.sin(2 * np.pi * k * mains * time + k) for k, gain in parts)
    return rms * wave / wave.std()


def measured(wave):
    return measure_pitch(wave.astype(np.float32))


@pytest.mark.parametrize("f0", [80, 110, 160, 220, 320])
def test_fricatives_do_not_count(f0):
    assert measured(utterance(f0)).mean == pytest.approx(f0, rel=0.05)


@pytest.mark.parametrize("mains", [50, 60])
@pytest.mark.parametrize("f0", [80, 120, 210])
def test_hum_in_the_pauses_does_not_count(f0, mains):
    wave = utterance(f0, pause=0.8)
    # 18 dB below the vowels, as in the recordings of the LibriSpeech speaker 2609.
    found = measured(wave + hum(len(wave), mains, rms=150.0))
    clean = measured(wave)
    assert found.mean == pytest.approx(f0, rel=0.05)
    assert found.sd == pytest.approx(clean.sd, abs=0.03 * f0)


@pytest.mark.parametrize("f0", [90, 130, 230])
def test_speech_at_8_khz_is_measured_alike(f0):
    wave = utterance(f0, low=2_000)
    narrow = resample_poly(resample_poly(wave, 1, 2), 2, 1)
    assert measured(narrow).mean == pytest.approx(f0, rel=0.05)


@pytest.mark.parametrize("f0", [100, 120])
def test_a_strong_first_formant_is_not_taken_for_the_pitch(f0):
    # The vowel of "six": a sharp formant on a harmonic four or five times F0.
    wave = np.concatenate([np.zeros(3_000), vowel(f0, (500, 1_900, 2_500), 0.2), np.zeros(3_000)])
    assert measured(wave).mean == pytest.approx(f0, rel=0.05)


def test_the_deviation_is_that_of_the_voice_and_not_of_its_surroundings():
    # A linear fall from 1.1 to 0.9 F0 has the standard deviation 0.2 F0 / √12.
    found = measured(utterance(150) + hum(len(utterance(150)), 60, rms=100.0))
    assert found.sd == pytest.approx(0.2 * 150 / 12**0.5, rel=0.25)


def test_a_click_does_not_hide_the_voice():
    wave = utterance(130)
    wave[1_000:1_004] = 32_000
    assert measured(wave).mean == pytest.approx(measured(utterance(130)).mean, rel=0.01)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the recordings of ../shared/data")
def test_real_speech_has_the_pitch_that_two_other_trackers_give():
    with ORACLE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    errors = {}
    for row in rows:
        found = measure_pitch(load_audio(DATA / row["path"])).mean
        errors[row["path"]] = found / ((float(row["pyin"]) + float(row["crepe"])) / 2) - 1
    far = {path: round(error, 3) for path, error in errors.items() if abs(error) > 0.05}
    assert len(far) <= 0.05 * len(errors), far
    assert max(map(abs, errors.values())) < 0.1, far
    assert abs(np.median(list(errors.values()))) < 0.02
