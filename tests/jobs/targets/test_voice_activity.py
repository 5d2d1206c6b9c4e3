"""Speaking time, against synthetic speech with silences of known length put into it."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.signal import resample_poly

from jobs.audio.frames import SAMPLE_RATE
from jobs.corpus.espeak.library import open_espeak
from jobs.targets.voice_activity import MIN_PAUSE_MS, measure_speech

VOICES = ["en-us+Michael", "en-gb-x-rp+Andrea", "en-029+john", "en-us+linda"]
SENTENCES = [
    "the old sailor carried the basket near the harbour",
    "every teacher lost a letter behind the barn in spring",
]
LATE = 0.15
"""Seconds, and the tolerance of every test here: silero-vad hears in steps of 32 ms, and goes on
hearing for a while after the end of a word."""


def seconds(wave):
    return len(wave) / SAMPLE_RATE


def silence(length):
    return np.zeros(round(length * SAMPLE_RATE), dtype=np.float32)


def joined(*pieces):
    return np.concatenate(pieces).astype(np.float32)


@pytest.fixture(scope="module")
def sentences():
    """Two sentences of every voice, without silence at their edges."""
    spoken = []
    with open_espeak(0) as espeak:
        for voice in VOICES:
            pair = []
            for text in SENTENCES:
                wave = espeak.say(text, voice, 50, 140).astype(np.float64)
                wave = resample_poly(wave, SAMPLE_RATE, espeak.sample_rate).astype(np.float32)
                loud = np.flatnonzero(np.abs(wave) > 0.02 * np.abs(wave).max())
                pair.append(wave[loud[0] : loud[-1] + 1])
            spoken.append(tuple(pair))
    return spoken


@pytest.mark.parametrize("gap", [0.5, 0.8, 1.5])
def test_a_pause_is_as_long_as_the_silence_that_was_put_in(sentences, gap):
    errors = []
    for first, second in sentences:
        found = measure_speech(joined(first, silence(gap), second))
        errors.append(found.span - found.speaking - gap)
    assert np.abs(errors).max() < LATE, errors
    assert np.mean(errors) < 0


@pytest.mark.parametrize("gap", [0.05, 0.15])
def test_a_gap_that_is_shorter_than_a_pause_is_part_of_speaking(sentences, gap):
    assert gap < MIN_PAUSE_MS / 1000
    for first, second in sentences:
        found = measure_speech(joined(first, silence(gap), second))
        assert found.speaking == found.span
        assert found.span == pytest.approx(seconds(first) + gap + seconds(second), abs=LATE)


@pytest.mark.parametrize(("before", "after"), [(0.0, 0.0), (0.6, 0.0), (0.0, 0.2), (1.0, 2.0)])
def test_silence_at_the_edges_is_neither_speaking_nor_a_pause(sentences, before, after):
    for first, second in sentences:
        wave = joined(silence(before), first, silence(0.7), second, silence(after))
        found = measure_speech(wave)
        assert found.speaking == pytest.approx(seconds(first) + seconds(second), abs=2 * LATE)
        assert found.span == pytest.approx(seconds(first) + 0.7 + seconds(second), abs=LATE)


def test_pauses_are_found_in_a_noisy_room(sentences):
    rng = np.random.default_rng(0)
    for first, second in sentences:
        wave = joined(silence(0.5), first, silence(0.8), second, silence(0.5))
        noise = 30 * rng.standard_normal(len(wave))
        found = measure_speech(joined(wave + noise))
        assert found.span - found.speaking == pytest.approx(0.8, abs=LATE)


def test_several_pauses_add_up(sentences):
    pieces = [piece for pair in sentences for piece in (*pair, silence(0.6))]
    found = measure_speech(joined(*pieces))
    n_pauses = len(sentences) - 1
    # The sentences of a pair follow each other at once.
    assert found.span - found.speaking == pytest.approx(0.6 * n_pauses, abs=LATE * n_pauses)


@pytest.mark.parametrize("wave", [silence(2.0), 300 * np.ones(16_000, np.float32), silence(0.025)])
def test_where_nobody_speaks_there_is_no_time(wave):
    assert measure_speech(wave) == (0.0, 0.0)


def test_an_utterance_is_measured_alike_whatever_came_before(sentences):
    waves = [joined(first, silence(0.5), second) for first, second in sentences]
    forth = [measure_speech(wave) for wave in waves]
    back = [measure_speech(wave) for wave in reversed(waves)]
    assert forth == back[::-1]


def test_the_number_of_threads_is_left_as_it_was(sentences):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        measure_speech(sentences[0][0])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_neither_torchaudio_nor_onnxruntime_is_needed():
    code = (
        "import sys\n"
        "for name in ('torchaudio', 'onnxruntime', 'torchcodec'): sys.modules[name] = None\n"
        "import numpy as np\n"
        "from jobs.targets.voice_activity import measure_speech\n"
        "print(measure_speech(np.zeros(16000, np.float32)))\n"
    )
    said = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert said.stdout == "Speech(speaking=0.0, span=0.0)\n"
    assert said.stderr == ""
