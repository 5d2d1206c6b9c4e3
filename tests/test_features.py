"""Fbank against an independent float64 implementation of Kaldi's algorithm; reading of audio."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from jobs.features import (
    AudioError,
    AudioUnavailable,
    Fbank,
    FeatureSettings,
    load_audio,
    n_frames,
    pieces,
    resampled_length,
)
from jobs.span import Span, at_tempo
from jobs.tempo import stretch

EPSILON = float(np.finfo(np.float32).eps)


def reference_log_mel(wave):
    """Kaldi's fbank, straight from its definition, in float64; (T, 80).

    Frames of 400 samples every 160, each: minus its mean, pre-emphasis 0.97 (the first sample
    against itself), Hamming window, FFT of 512, power, 80 triangles equally spaced in mel
    (1127 ln(1 + f/700)) from 20 Hz to 8 kHz, log of at least float32's epsilon. As published in
    torchaudio.compliance.kaldi.fbank, with the arguments that WeSpeaker gives it.
    """
    wave = np.asarray(wave, dtype=np.float64)
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 399)

    def mel(hertz):
        return 1127 * np.log(1 + hertz / 700)

    edges = np.linspace(mel(20.0), mel(8000.0), 82)
    bins = mel(np.arange(257) * 16000 / 512)
    triangles = np.zeros((80, 257))
    for k in range(80):
        left, centre, right = edges[k : k + 3]
        for j in range(256):  # the bin at Nyquist belongs to no triangle
            if left < bins[j] <= centre:
                triangles[k, j] = (bins[j] - left) / (centre - left)
            elif centre < bins[j] < right:
                triangles[k, j] = (right - bins[j]) / (right - centre)
    rows = []
    for start in range(0, len(wave) - 400 + 1, 160):
        frame = wave[start : start + 400] - wave[start : start + 400].mean()
        emphasised = frame.copy()
        emphasised[0] -= 0.97 * frame[0]
        emphasised[1:] -= 0.97 * frame[:-1]
        power = np.abs(np.fft.rfft(emphasised * window, 512)) ** 2
        rows.append(np.log(np.maximum(triangles @ power, EPSILON)))
    return np.array(rows)


def noise(n_samples=16_000, level=1000.0, seed=0):
    samples = np.random.default_rng(seed).standard_normal(n_samples) * level
    return np.clip(np.rint(samples), -32768, 32767).astype(np.float32)


def tone(hertz, n_samples=16_000, level=8000.0):
    seconds = np.arange(n_samples) / 16_000
    return np.rint(level * np.sin(2 * np.pi * hertz * seconds)).astype(np.float32)


def speechlike(n_samples=32_000):
    """Harmonics of a gliding pitch in syllables, over faint noise: 60 dB between the bins."""
    seconds = np.arange(n_samples) / 16_000
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(3 * seconds)) / 16_000
    voice = sum(np.sin(h * phase) / h**1.5 for h in range(1, 40))
    syllables = np.clip(np.sin(2 * np.pi * 4 * seconds), 0, None)
    return np.rint(4000 * voice * syllables + noise(n_samples, 3.0)).astype(np.float32)


@pytest.mark.parametrize(
    "wave",
    [noise(), noise(level=1.5), speechlike(), noise(401), noise(16_000) + 5000],
    ids=["noise", "faint noise", "speech-like", "one frame", "offset"],
)
def test_log_mel_equals_an_independent_float64_implementation(wave):
    expected = reference_log_mel(wave)
    computed = Fbank().uncentred(wave)
    assert computed.dtype == torch.float32
    assert computed.shape == expected.shape
    # Seen: 1.5e-4 at most (in bins 40 dB below their neighbours), 4e-6 on average.
    np.testing.assert_allclose(computed.numpy(), expected, rtol=0, atol=1e-3)


def test_what_the_models_see_has_no_mean_over_time():
    wave = speechlike()
    centred = Fbank()(wave).numpy()
    expected = reference_log_mel(wave)
    np.testing.assert_allclose(centred, expected - expected.mean(axis=0), rtol=0, atol=1e-3)
    assert np.abs(centred.mean(axis=0)).max() < 1e-5


def test_digital_silence_is_floored_at_float32_epsilon():
    features = Fbank().uncentred(np.zeros(800, dtype=np.float32))
    assert torch.all(features == np.log(np.float32(EPSILON)))


def test_twice_the_level_adds_log_4_to_every_bin():
    fbank = Fbank()
    difference = fbank.uncentred(2 * noise()) - fbank.uncentred(noise())
    np.testing.assert_allclose(difference.numpy(), np.log(4.0), rtol=0, atol=1e-4)


@pytest.mark.parametrize("hertz", [200, 440, 1000, 3000, 7000])
def test_a_tone_is_loudest_in_the_bin_whose_triangle_holds_it(hertz):
    edges = np.linspace(1127 * np.log(1 + 20 / 700), 1127 * np.log(1 + 8000 / 700), 82)
    centres = 700 * (np.exp(edges[1:-1] / 1127) - 1)
    loudest = int(Fbank().uncentred(tone(hertz)).mean(dim=0).argmax())
    assert abs(loudest - int(np.abs(centres - hertz).argmin())) <= 1


@pytest.mark.parametrize("n_samples", [400, 401, 559, 560, 561, 16_000, 63_999])
def test_number_of_frames_is_that_of_the_features(n_samples):
    assert n_frames(n_samples) == 1 + (n_samples - 400) // 160
    assert Fbank()(noise(n_samples)).shape == (n_frames(n_samples), 80)


@pytest.mark.parametrize("n_samples", [0, 1, 399])
def test_less_than_a_frame_has_no_frames_and_is_refused(n_samples):
    assert n_frames(n_samples) == 0
    with pytest.raises(AudioError, match=f"at least 400 samples.*found {n_samples}"):
        Fbank()(noise(n_samples))


def test_max_frames_crops_before_the_mean_is_taken():
    wave = speechlike()
    cropped = Fbank(FeatureSettings(max_frames=50))
    first = Fbank().uncentred(wave)[:50]
    torch.testing.assert_close(cropped.uncentred(wave), first, rtol=0, atol=1e-5)
    torch.testing.assert_close(cropped(wave), first - first.mean(dim=0), rtol=0, atol=1e-5)
    assert n_frames(len(wave), 50) == 50
    assert n_frames(400, 50) == 1


def test_max_frames_must_be_positive():
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        FeatureSettings(max_frames=0)


def test_a_wave_that_may_not_be_written_to_is_fine_and_left_alone():
    wave = noise()
    wave.flags.writeable = False
    torch.testing.assert_close(Fbank()(wave), Fbank()(noise()), rtol=0, atol=0)


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


@pytest.mark.parametrize(
    ("n_samples", "reason"), [(0, "zero duration"), (1 << 35, "not readable|truncated")]
)
def test_a_header_with_a_wrong_length_is_refused(tmp_path, n_samples, reason):
    path = tmp_path / "a.flac"
    write(path, noise(64_000))
    data = bytearray(path.read_bytes())
    data[21:26] = (int.from_bytes(data[21:26]) >> 36 << 36 | n_samples).to_bytes(5)
    path.write_bytes(data)
    with pytest.raises(AudioError, match=reason):
        load_audio(path)


def test_samples_that_are_no_numbers_are_refused(tmp_path):
    samples = np.full(16_000, 0.5, dtype=np.float32)
    samples[7] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="not finite"):
        load_audio(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("crop", "n", "starts"),
    [
        ("start", 10, [0]),
        ("centre", 10, [7]),
        ("centre", 24, [0]),
        ("windows", 12, [0, 12]),
        ("windows", 10, [0, 10, 14]),
        ("windows", 23, [0, 1]),
        ("windows", 24, [0]),
        ("windows", 400, [0]),
    ],
)
def test_pieces_begin_where_the_crop_says(crop, n, starts):
    wave = np.arange(400 + 23 * 160 + 77, dtype=np.float32)  # 24 frames and some samples
    found = pieces(wave, FeatureSettings(max_frames=n, crop=crop))
    assert [piece[0] / 160 for piece in found] == starts
    expected = [24] if n >= 24 else [n] * len(starts)
    assert [n_frames(len(piece)) for piece in found] == expected


def test_the_middle_is_cut_out_before_the_mean_is_taken():
    wave = noise(400 + 23 * 160)
    found = Fbank(FeatureSettings(max_frames=10, crop="centre"))(wave)
    torch.testing.assert_close(found, Fbank()(wave[7 * 160 :][: 400 + 9 * 160]))
    assert found.mean(dim=0).abs().max() < 1e-4


def test_a_front_end_leaves_windows_to_who_cuts_them():
    wave = noise(400 + 23 * 160)
    settings = FeatureSettings(max_frames=10, crop="windows")
    assert len(Fbank(settings)(wave)) == 24
    assert [len(Fbank(settings)(piece)) for piece in pieces(wave, settings)] == [10, 10, 10]


def test_features_are_padded_with_zeros_after_the_mean_is_taken():
    wave = noise(400 + 23 * 160)
    found = Fbank(FeatureSettings(pad_to=30))(wave)
    torch.testing.assert_close(found[:24], Fbank()(wave))
    assert found.shape == (30, 80)
    assert not found[24:].any()
    assert len(Fbank(FeatureSettings(pad_to=20))(wave)) == 24
    assert len(Fbank(FeatureSettings(pad_to=30)).uncentred(wave)) == 24


def test_a_crop_without_its_number_of_frames_is_refused():
    with pytest.raises(ValueError, match="add max_frames"):
        FeatureSettings(crop="windows")


def test_what_is_off_is_in_no_identity_and_what_is_on_is():
    assert FeatureSettings(max_frames=400).identity() == {"max_frames": 400}
    study = FeatureSettings(max_frames=400, pad_to=400)
    assert study.identity() == {"max_frames": 400, "pad_to": 400}
    windows = FeatureSettings(max_frames=400, crop="windows")
    assert windows.identity() == {"max_frames": 400, "crop": "windows"}


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
