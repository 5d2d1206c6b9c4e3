"""Reading of audio files: what comes out of them, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from jobs.audio.frames import resampled_length
from jobs.audio.read import AudioError, AudioUnavailable, load_audio
from jobs.audio.segments import Span, at_tempo
from jobs.audio.stretch import stretch


def noise(n_samples=16_000, level=1000.0, seed=0):
    samples = np.random.default_rng(seed).standard_normal(n_samples) * level
    return np.clip(np.rint(samples), -32768, 32767).astype(np.float32)


def tone(hertz, n_samples=16_000, level=8000.0):
    seconds = np.arange(n_samples) / 16_000
    return np.rint(level * np.sin(2 * np.pi * hertz * seconds)).astype(np.float32)


@pytest.mark.parametrize("suffix", ["flac", "wav"])
def test_16_bit_audio_comes_out_as_its_integers(tmp_path, suffix):
    samples = np.array([-32768, -32767, -1, 0, 1, 2, 32766, 32767] * 100, dtype=np.int16)
    soundfile.write(tmp_path / f"a.{suffix}", samples, 16_000, subtype="PCM_16")
    wave = load_audio(tmp_path / f"a.{suffix}")
    assert wave.dtype == np.float32
    np.testing.assert_array_equal(wave, samples)


@pytest.mark.parametrize(("suffix", "subtype"), [("flac", "PCM_24"), ("wav", "FLOAT")])
def test_finer_audio_is_scaled_to_the_same_range(tmp_path, suffix, subtype):
    samples = np.array([-1.0, -0.5, 0.25, 0.5 + 2**-20] * 200)
    soundfile.write(tmp_path / f"a.{suffix}", samples, 16_000, subtype=subtype)
    np.testing.assert_array_equal(load_audio(tmp_path / f"a.{suffix}"), samples * 32768)


@pytest.mark.parametrize("suffix", ["ogg", "mp3", "aiff"])
def test_other_formats_of_libsndfile_are_read(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(440) / 32768, 16_000)
    wave = load_audio(path)
    assert len(wave) == soundfile.info(path).frames
    # They are lossy: the tone is still there. Seen: at most 3 % beside it.
    assert np.abs(wave[1000:15_000] - tone(440)[1000:15_000]).max() < 8000 / 10


def write(path, samples, rate=16_000):
    soundfile.write(path, samples.astype(np.int16), rate, subtype="PCM_16")


def test_channels_are_averaged(tmp_path):
    left, right = noise(seed=1), noise(seed=2)
    write(tmp_path / "a.flac", np.stack([left, right], axis=1))
    # A half is exact in float32.
    np.testing.assert_array_equal(load_audio(tmp_path / "a.flac"), (left + right) / 2)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_other_rates_become_16_khz(tmp_path, rate):
    """A sum of tones, known at every instant: what comes out is the same sum, sampled anew."""

    def tones(sample_rate, n_samples):
        seconds = np.arange(n_samples) / sample_rate
        return sum(4000 * np.sin(2 * np.pi * hertz * seconds + hertz) for hertz in (220, 997, 2500))

    soundfile.write(tmp_path / "a.wav", tones(rate, rate) / 32768, rate, subtype="FLOAT")
    wave = load_audio(tmp_path / "a.wav")
    assert wave.dtype == np.float32
    assert len(wave) == resampled_length(rate, rate) == 16_000
    # Away from the ends, which are silence to a filter. Seen: 11, of a peak of 12000.
    inside = slice(500, -500)
    np.testing.assert_allclose(wave[inside], tones(16_000, 16_000)[inside], rtol=0, atol=40)


def test_what_16_khz_cannot_hold_is_filtered_out(tmp_path):
    seconds = np.arange(44_100) / 44_100
    soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 12_000 * seconds), 44_100)
    # Unfiltered it would come back at 4 kHz with all its strength: 16384.
    assert np.abs(load_audio(tmp_path / "a.wav")[500:-500]).max() < 16_384 / 300


@pytest.mark.parametrize(("n_samples", "rate"), [(1103, 44_100), (44_101, 44_100), (801, 8_000)])
def test_the_resampled_length_is_known_beforehand(tmp_path, n_samples, rate):
    write(tmp_path / "a.flac", noise(n_samples), rate)
    assert len(load_audio(tmp_path / "a.flac")) == resampled_length(n_samples, rate)


def cut(path, fraction):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * fraction)])


@pytest.mark.parametrize("fraction", [0.0005, 0.02, 0.5, 0.99])
@pytest.mark.parametrize("suffix", ["flac", "wav"])
def test_a_file_that_was_cut_off_is_refused(tmp_path, suffix, fraction):
    path = tmp_path / f"a.{suffix}"
    write(path, noise(64_000))
    cut(path, fraction)
    with pytest.raises(AudioError, match=r"truncated|not readable"):
        load_audio(path)


def test_a_file_damaged_in_the_middle_is_refused(tmp_path):
    path = tmp_path / "a.flac"
    write(path, noise(64_000))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(AudioError, match="not readable as audio"):
        load_audio(path)


def test_a_wav_written_to_a_pipe_is_no_cut_off_file(tmp_path):
    path = tmp_path / "a.wav"
    write(path, noise())
    data = bytearray(path.read_bytes())
    data[40:44] = b"\xff\xff\xff\xff"  # the size of the data chunk, unknown when it was written
    path.write_bytes(data)
    np.testing.assert_array_equal(load_audio(path), noise())


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.touch(), "empty file"),
        (lambda path: path.write_bytes(b"<html>not found</html>" * 50), "not readable as audio"),
        (lambda path: write(path, np.zeros(16_000)), "silent"),
        (lambda path: write(path, noise(399)), "too short: expected at least 400.*found 399"),
        (
            lambda path: write(path, noise(1099), 44_100),
            "too short: expected at least 400.*found 399",
        ),
        (lambda path: write(path, noise(), 3_999), "expected 4000 to 384000 Hz, found 3999 Hz"),
        (lambda path: write(path, np.stack([noise(), -noise()], 1)), "silent"),
    ],
    ids=[
        "empty",
        "html",
        "silent",
        "short",
        "short at 16 kHz",
        "rate",
        "opposed",
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(tmp_path, make, reason):
    path = tmp_path / "a.flac"
    make(path)
    with pytest.raises(AudioError, match=reason):
        load_audio(path)


def test_audio_that_is_not_there_is_no_finding_about_audio(tmp_path):
    (tmp_path / "folder.flac").mkdir()
    for name in ("none.flac", "folder.flac"):
        with pytest.raises(AudioUnavailable, match=rf"{name} is missing: expected the file"):
            load_audio(tmp_path / name)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file of Linux")
def test_audio_that_the_system_fails_to_read_is_no_finding_about_audio():
    """The file's first byte is not mapped: reading it is an I/O error for any user."""
    with pytest.raises(AudioUnavailable, match="cannot be read: Input/output error"):
        load_audio("/proc/self/mem")


def test_audio_without_samples_is_refused(tmp_path):
    write(tmp_path / "a.wav", noise(0))
    with pytest.raises(AudioError, match="zero duration"):
        load_audio(tmp_path / "a.wav")


def test_a_header_with_too_large_a_length_is_refused(tmp_path):
    path = tmp_path / "a.flac"
    write(path, noise(64_000))
    data = bytearray(path.read_bytes())
    data[21:26] = (int.from_bytes(data[21:26]) >> 36 << 36 | 1 << 35).to_bytes(5)
    path.write_bytes(data)
    with pytest.raises(AudioError, match=r"not readable|truncated"):
        load_audio(path)


def test_samples_that_are_no_numbers_are_refused(tmp_path):
    samples = np.full(16_000, 0.5, dtype=np.float32)
    samples[7] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="not finite"):
        load_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_a_path_with_a_tempo_is_the_stretched_piece(tmp_path, factor):
    pytest.importorskip("python_stretch")
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(24_000) / 32_768, 16_000, subtype="PCM_16")
    for name in (str(path), Span(0.25, 1.0).of(path)):
        changed = load_audio(at_tempo(name, factor))
        np.testing.assert_array_equal(changed, stretch(load_audio(name), factor))
        assert len(changed) == pytest.approx(len(load_audio(name)) / factor, abs=1)


def test_what_is_too_short_at_its_tempo_is_told_so(tmp_path):
    pytest.importorskip("python_stretch")
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(450) / 32_768, 16_000, subtype="PCM_16")
    assert len(load_audio(path)) == 450
    with pytest.raises(AudioError, match=r"too short: .* at 1\.25 times its rate, found 360"):
        load_audio(at_tempo(str(path), 1.25))
