"""What networks that take waveforms are given."""

import numpy as np
import pytest
import torch
import transformers

from jobs.audio.read import AudioError
from jobs.audio.settings import FeatureSettings
from jobs.models.waveform import Waveform

WAVE = (3000 * np.random.default_rng(0).standard_normal(9_999) + 500).astype(np.float32)


def made(length=None, features=None, **how):
    return Waveform(FeatureSettings(**(features or {})), **how)(WAVE[:length])


def test_samples_are_between_minus_one_and_one():
    samples = made()
    assert samples.dtype == torch.float32
    np.testing.assert_array_equal(samples, WAVE / 32_768)


def test_normalisation_is_that_of_wav2vec2s_own_extractor():
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    expected = extractor(WAVE / 32_768, sampling_rate=16_000)["input_values"][0]
    np.testing.assert_array_equal(made(normalised=True), expected)
    assert made(normalised=True).double().mean().item() == pytest.approx(0, abs=1e-6)


def test_max_frames_crops_to_the_samples_of_so_many_frames_before_normalisation():
    cropped = made(features={"max_frames": 20}, normalised=True)
    assert len(cropped) == 400 + 19 * 160
    assert torch.equal(cropped, made(400 + 19 * 160, normalised=True))
    assert len(made(2000, features={"max_frames": 20})) == 2000


def test_the_middle_is_that_of_the_filterbanks_frames():
    # 60 frames, of which 20 to 39 are the middle ones.
    middle = made(features={"max_frames": 20, "crop": "centre"})
    np.testing.assert_array_equal(middle, WAVE[20 * 160 :][: 400 + 19 * 160] / 32_768)


def test_padding_is_of_zeros_after_normalisation():
    padded = made(2000, features={"pad_to": 20}, normalised=True)
    assert len(padded) == 400 + 19 * 160
    assert torch.equal(padded[:2000], made(2000, normalised=True))
    assert not padded[2000:].any()
    assert len(made(features={"pad_to": 20})) == len(WAVE)


def test_too_short_and_too_long_is_refused():
    assert len(made(500, shortest=500, longest=500)) == 500
    with pytest.raises(AudioError, match="at least 500 samples"):
        made(499, shortest=500)
    with pytest.raises(AudioError, match=r"at most 0.5 s, found 0.6 s; .*max_frames: 47"):
        made(longest=8_000)
    for length in (8_001, 8_079, 9_999):
        cropped = made(length, longest=8_000, features={"max_frames": 47})
        assert len(cropped) == 400 + 46 * 160
    with pytest.raises(AudioError, match="too long"):
        made(500, longest=8_000, features={"pad_to": 100})
