"""Pitch and level, against signals of which both are known."""

import math

import numpy as np
import parselmouth
import pytest
from parselmouth.praat import call

from jobs.audio.frames import SAMPLE_RATE
from jobs.audio.read import INT16_SCALE
from jobs.targets.pitch import (
    PITCH_RANGE,
    measure_level,
    measure_pitch,
    measure_quartiles,
    search_range,
)


def tone(hz, seconds=1.0, peak=8_000.0):
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (peak * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def voice(f0, harmonics=12):
    """(N,) a buzz with falling harmonics whose fundamental is ``f0`` (N,), in Hz, sample by
    sample."""
    phase = 2 * np.pi * np.cumsum(f0) / SAMPLE_RATE
    buzz = sum(np.sin(k * phase) / k for k in range(1, harmonics + 1))
    return (4_000.0 * buzz).astype(np.float32)


def steady(hz, seconds=1.0):
    return np.full(round(seconds * SAMPLE_RATE), float(hz))


@pytest.mark.parametrize("hz", [70, 101.5, 200, 333, 500])
def test_the_pitch_of_a_steady_voice_is_its_fundamental(hz):
    found = measure_pitch(voice(steady(hz)))
    assert found.mean == pytest.approx(hz, rel=1e-3)
    assert found.sd < 1e-3 * hz


@pytest.mark.parametrize("hz", [90, 220, 440])
def test_the_pitch_of_a_tone_is_its_frequency(hz):
    assert measure_pitch(tone(hz)).mean == pytest.approx(hz, rel=1e-3)


def test_a_voice_that_swings_has_the_mean_and_the_deviation_of_its_swing():
    time = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    # A sine of amplitude a has the standard deviation a / √2; three turns a second are slow beside
    # an analysis window of 50 ms.
    found = measure_pitch(voice(200 + 30 * np.sin(2 * np.pi * 3 * time)))
    assert found.mean == pytest.approx(200, rel=0.005)
    assert found.sd == pytest.approx(30 / math.sqrt(2), rel=0.05)


def test_two_pitches_of_equal_length_have_the_sample_deviation_of_two_values():
    found = measure_pitch(voice(np.concatenate([steady(180, 2.0), steady(220, 2.0)])))
    assert found.mean == pytest.approx(200, rel=0.005)
    assert found.sd == pytest.approx(20, rel=0.03)


def test_frames_without_voice_are_left_out():
    rng = np.random.default_rng(0)
    hiss = (300 * rng.standard_normal(SAMPLE_RATE)).astype(np.float32)
    quiet = np.zeros(SAMPLE_RATE, dtype=np.float32)
    found = measure_pitch(np.concatenate([quiet, voice(steady(150)), hiss]))
    assert found.mean == pytest.approx(150, rel=0.01)
    assert found.sd < 5


def test_the_quartiles_of_two_pitches_are_those_pitches():
    wave = voice(np.concatenate([steady(180, 2.0), steady(220, 2.0)]))
    assert measure_quartiles(wave) == pytest.approx((180, 220), rel=0.005)


def test_the_range_of_a_speaker_comes_from_the_median_of_the_utterances():
    # One utterance of four is an octave too low, one has no pitch.
    quartiles = [(100, 120), (104, 126), (50, 60), (math.nan, math.nan), (110, 130)]
    floor, ceiling = search_range(quartiles)
    # Rounded to sixths of an octave: off by a twelfth at most.
    assert abs(math.log2(floor / (0.75 * 102))) <= 1 / 12
    assert abs(math.log2(ceiling / (2.5 * 123))) <= 1 / 12
    assert search_range([*quartiles, (103, 124)]) == (floor, ceiling)


def test_a_range_stays_within_that_of_the_first_pass_which_is_that_of_a_silent_speaker():
    assert search_range([(65, 400)]) == PITCH_RANGE
    assert search_range([(math.nan, math.nan)]) == PITCH_RANGE
    assert search_range([]) == PITCH_RANGE


def test_the_other_utterances_tell_the_octave_of_a_voice_with_alternating_pulses():
    # Every second period 3 dB weaker, as in a creaky voice: alone, it is heard an octave too low.
    phase = 2 * np.pi * np.cumsum(steady(200)) / SAMPLE_RATE
    creaky = voice(steady(200)) * (1 - 0.3 * (np.floor(phase / (2 * np.pi)) % 2))
    creaky = creaky.astype(np.float32)
    assert measure_pitch(creaky).mean == pytest.approx(100, rel=0.01)
    others = [measure_quartiles(voice(steady(hz))) for hz in (190, 205, 210)]
    search = search_range([measure_quartiles(creaky), *others])
    assert measure_pitch(creaky, search).mean == pytest.approx(200, rel=0.01)


def test_the_second_pass_leaves_out_what_is_an_octave_below():
    # A short passage an octave down, on its own between silences: within the first range, below
    # 0.75 times the first quartile.
    quiet = np.zeros(1_600, dtype=np.float32)
    usual, low = voice(steady(130, 2.0)), voice(steady(65, 0.3))
    found = measure_pitch(np.concatenate([usual, quiet, low, quiet, usual]))
    assert found.mean == pytest.approx(130, rel=0.01)
    assert found.sd < 10


@pytest.mark.parametrize("seconds", [0.15, 0.3, 1.0])
def test_a_glide_has_the_mean_and_the_deviation_that_praat_gives_for_it(seconds):
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    wave = voice(180 + 50 * time / seconds)
    sound = parselmouth.Sound(wave.astype(float), SAMPLE_RATE)
    pitch = call(sound, "To Pitch", 0.01, 120, 300)
    expected = [
        call(pitch, f"Get {what}", 0, 0, "Hertz") for what in ("mean", "standard deviation")
    ]
    # The frames at the edges differ, as the window of the second pass is as long as its floor asks.
    assert measure_pitch(wave) == pytest.approx(expected, rel=0.15)
    assert measure_pitch(wave).mean == pytest.approx(expected[0], rel=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_noise_has_hardly_a_pitch_and_silence_none(seed):
    noise = np.random.default_rng(seed).standard_normal(2 * SAMPLE_RATE).astype(np.float32)
    pitch = measure_pitch(1_000 * noise)
    assert math.isnan(pitch.mean) or pitch.sd > 10
    assert all(map(math.isnan, measure_pitch(np.zeros(SAMPLE_RATE, dtype=np.float32))))
    assert all(map(math.isnan, measure_pitch(np.full(SAMPLE_RATE, 1_000, dtype=np.float32))))


@pytest.mark.parametrize("n_samples", [400, 799, 800, 801, 805, 960, 1_100, 1_600])
def test_audio_of_any_length_is_measured_or_has_no_pitch(n_samples):
    found = measure_pitch(tone(300, n_samples / SAMPLE_RATE))
    # One window of the lowest pitch is 50 ms.
    assert math.isnan(found.mean) == (n_samples <= 800)
    assert math.isnan(found.mean) or found.mean == pytest.approx(300, rel=0.02)


def test_pitch_does_not_depend_on_the_level():
    wave = voice(steady(140) + 20 * np.sin(np.arange(SAMPLE_RATE) / 3_000))
    loud, soft = measure_pitch(wave), measure_pitch(wave / 64)
    assert loud == pytest.approx(soft, rel=1e-6)


def test_a_full_scale_square_has_0_db_and_a_sine_3_less():
    square = np.where(np.arange(1_600) % 100 < 50, INT16_SCALE, -INT16_SCALE).astype(np.float32)
    assert measure_level(square) == pytest.approx(0, abs=1e-9)
    sine = tone(100, peak=INT16_SCALE)
    assert measure_level(sine) == pytest.approx(-20 * math.log10(math.sqrt(2)), abs=1e-4)


@pytest.mark.parametrize("halvings", [1, 4, 10])
def test_half_the_amplitude_is_6_db_less(halvings):
    wave = tone(100, peak=INT16_SCALE)
    difference = measure_level(wave / 2**halvings) - measure_level(wave)
    assert difference == pytest.approx(-20 * math.log10(2) * halvings, abs=1e-6)


def test_silence_counts_for_the_level():
    wave = tone(100)
    padded = np.concatenate([wave, np.zeros_like(wave)])
    difference = measure_level(padded) - measure_level(wave)
    assert difference == pytest.approx(-10 * math.log10(2), abs=1e-6)
