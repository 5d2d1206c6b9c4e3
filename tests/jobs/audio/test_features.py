"""Fbank against an independent float64 implementation of Kaldi's algorithm."""

import warnings

import numpy as np
import pytest
import torch
from lhotse.features.kaldi.layers import Wav2LogFilterBank

from jobs.audio.features import Fbank, pieces
from jobs.audio.frames import n_frames
from jobs.audio.read import AudioError
from jobs.audio.settings import FeatureSettings

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


@pytest.mark.parametrize("n_bins", [23, 40, 72, 80])
@pytest.mark.parametrize("wave", [noise(), speechlike(), noise(400), np.zeros(800, np.float32)])
def test_features_are_those_of_lhotse_to_the_last_bit(wave, n_bins):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of snip_edges, and of numpy's logarithm of a tensor
        lhotse = Wav2LogFilterBank(
            window_type="hamming", snip_edges=True, high_freq=0.0, num_filters=n_bins
        )
    used = 400 + (n_frames(len(wave)) - 1) * 160
    [expected] = lhotse(torch.tensor(wave[:used])[None])
    assert torch.equal(Fbank(n_bins=n_bins).uncentred(wave), expected)


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


@pytest.mark.parametrize("wave", [noise(), speechlike(), noise(400)])
def test_a_povey_window_is_that_of_lhotse_on_samples_within_1(wave):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of snip_edges, and of numpy's logarithm of a tensor
        lhotse = Wav2LogFilterBank(
            window_type="povey", snip_edges=True, high_freq=0.0, num_filters=80
        )
    used = 400 + (n_frames(len(wave)) - 1) * 160
    [expected] = lhotse(torch.tensor(wave[:used] / np.float32(32_768))[None])
    assert torch.equal(Fbank(window="povey").uncentred(wave), expected)
