"""Damaged audio files: each gives samples that can be used, or an AudioError that says why not."""

import io
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from jobs.audio.read import AudioError, load_audio
from jobs.corpus.audio_checks import describe_audio
from tests.fuzz.files import damaged
from tests.fuzz.patience import patience

FORMATS = (
    ("FLAC", "PCM_16", 16_000, 1), ("WAV", "PCM_16", 16_000, 1), ("WAV", "FLOAT", 22_050, 2),
    ("WAVEX", "PCM_24", 16_000, 1), ("OGG", "VORBIS", 16_000, 1), ("OGG", "OPUS", 16_000, 1),
    ("MP3", "MPEG_LAYER_III", 16_000, 1), ("AIFF", "PCM_16", 16_000, 1),
    ("NIST", "PCM_16", 16_000, 1),
)  # fmt: skip
"""Container, coding, rate in Hz, channels."""
PEAK = 1e6 * 32_768


def encoded() -> list[tuple[str, bytes]]:
    """(file name, content) of two seconds of a rising tone with noise, in every format."""
    times = np.arange(32_000) / 16_000
    noise = np.random.default_rng(0).normal(0, 0.02, len(times))
    wave = 0.3 * np.sin(2 * np.pi * 220 * times * (1 + 0.1 * times)) + noise
    files = []
    for container, coding, rate, channels in FORMATS:
        content = io.BytesIO()
        frames = np.repeat(wave[:, None], channels, axis=1)
        soundfile.write(content, frames, rate, format=container, subtype=coding)
        suffix = "flac" if container == "FLAC" else "wav"
        files.append((f"{container}-{coding}.{suffix}", content.getvalue()))
    return files


def try_files(seeds: range, folder: Path) -> Counter[str]:
    files = encoded()
    outcomes: Counter[str] = Counter()
    for seed in seeds:
        name, content = files[seed % len(files)]
        path = folder / name
        path.write_bytes(damaged(content, random.Random(seed)))
        with patience(f"seed {seed}"):
            n_samples = try_header(path, seed)
            outcomes[try_samples(path, n_samples, seed)] += 1
    return outcomes


def try_header(path: Path, seed: int) -> int | None:
    """Samples that the header promises; None where it is refused."""
    try:
        return describe_audio(path, path.stat().st_size).n_samples
    except AudioError as error:
        assert str(error).isprintable(), (seed, error)
    except Exception as error:
        raise AssertionError(f"seed {seed}, {path.name}: no AudioError") from error
    return None


def try_samples(path: Path, n_samples: int | None, seed: int) -> str:
    try:
        wave = load_audio(path)
    except AudioError as error:
        assert str(error).isprintable(), (seed, error)
        return "refused"
    except Exception as error:
        raise AssertionError(f"seed {seed}, {path.name}: no AudioError") from error
    assert wave.dtype == np.float32, seed
    assert wave.ndim == 1, seed
    assert 0 < np.abs(wave).max() <= PEAK, seed
    if n_samples is not None:
        assert len(wave) == n_samples, seed
    return "used"


def test_300_damaged_audio_files_are_used_or_refused_with_a_reason(tmp_path: Path) -> None:
    outcomes = try_files(range(300), tmp_path)
    assert outcomes["used"] > 50
    assert outcomes["refused"] > 100


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 6000, 1000))
def test_5000_damaged_audio_files_are_used_or_refused_with_a_reason(
    first: int, tmp_path: Path
) -> None:
    assert try_files(range(first, first + 1000), tmp_path).total() == 1000


def test_damaged_flac_is_refused_unless_its_samples_are_those_that_were_written(
    tmp_path: Path,
) -> None:
    name, content = encoded()[0]
    path, random_ = tmp_path / name, random.Random(0)
    path.write_bytes(content)
    undamaged = load_audio(path)
    for _ in range(200):
        changed = bytearray(content)
        changed[random_.randrange(200, len(content))] ^= 1 << random_.randrange(8)
        path.write_bytes(changed)
        with pytest.raises(AudioError):
            np.testing.assert_array_equal(load_audio(path), undamaged)
            raise AudioError("as it was")


@pytest.mark.parametrize("value", [3e38, 1e30, 2e6])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_float_sample_without_a_place_in_the_features_is_refused(
    tmp_path: Path, value: float, channels: int
) -> None:
    wave = np.full((16_000, channels), 0.1, dtype=np.float32)
    wave[100] = value
    soundfile.write(tmp_path / "a.wav", wave, 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"not finite|unknown level: expected float"):
        load_audio(tmp_path / "a.wav")


def test_float_samples_in_int16_scale_are_brought_to_scale(tmp_path: Path) -> None:
    wave = np.linspace(-32_768, 32_767, 16_000, dtype=np.float32)
    soundfile.write(tmp_path / "a.wav", wave, 16_000, subtype="FLOAT")
    np.testing.assert_array_equal(load_audio(tmp_path / "a.wav"), wave)
