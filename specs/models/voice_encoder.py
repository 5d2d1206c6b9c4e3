"""Resemblyzer's voice encoder: three LSTMs trained on human speech to tell speakers apart.

Its weights come with a package: ``pip install --no-deps resemblyzer``. The package cuts out pauses
before this network and averages passes over 1.6 s; here one pass reads the whole utterance.
"""

from importlib.util import find_spec
from math import log
from pathlib import Path

import torch
from torch import Tensor, nn

WINDOW, HOP, MELS = 400, 160, 40  # 25 ms and 10 ms at 16 kHz


class MelPower(nn.Module):
    """Power in 40 mel bands of Slaney's scale, of a waveform raised to at least -30 dBFS."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)
        top = 15 + 27 * log(8) / log(6.4)  # 8 kHz in mels, which are linear up to 1 kHz, 15 mels
        mels = torch.linspace(0, top, MELS + 2, dtype=torch.float64)
        edges = torch.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))
        low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
        bins = torch.linspace(0, 8000, WINDOW // 2 + 1, dtype=torch.float64)
        triangles = torch.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
        bank = (triangles.clamp(min=0) * 2 / (high - low)).float()
        self.register_buffer("bank", bank, persistent=False)

    def forward(self, wave: Tensor) -> Tensor:
        """Turn (B, N) samples, whose rows have no padding, into (B, T, 40)."""
        level = wave.square().mean(dim=1, keepdim=True).sqrt().clamp(min=1e-8)
        wave = wave * (10 ** (-30 / 20) / level).clamp(min=1)
        spectrum = torch.stft(
            wave, WINDOW, HOP, window=self.window, pad_mode="constant", return_complex=True
        )
        return (self.bank @ spectrum.abs().square()).transpose(1, 2)


class Embedding(nn.Linear):
    """The last frame's state as a voice embedding of length 1, without negative values."""

    def forward(self, states: Tensor) -> Tensor:
        """Turn (B, T, 256) states into (B, 256)."""
        return nn.functional.normalize(super().forward(states[:, -1]).relu())


class VoiceEncoder(nn.Module):
    """Waveform (B, N) at 16 kHz to embedding (B, 256)."""

    def __init__(self) -> None:
        super().__init__()
        self.mel = MelPower()
        self.lstm1 = nn.LSTM(MELS, 256, batch_first=True)
        self.lstm2 = nn.LSTM(256, 256, batch_first=True)
        self.lstm3 = nn.LSTM(256, 256, batch_first=True)
        self.embedding = Embedding(256, 256)

    def forward(self, wave: Tensor) -> Tensor:
        """Compute the embedding, and on the way the layers that are probed."""
        states = self.mel(wave)
        for lstm in (self.lstm1, self.lstm2, self.lstm3):
            states, _ = lstm(states)
        return self.embedding(states)


def make() -> nn.Module:
    """Load the weights of the installed package, without importing it or what it imports."""
    package = find_spec("resemblyzer")
    if package is None:
        raise ModuleNotFoundError("needs pip install --no-deps resemblyzer==0.1.4")
    file = Path(package.submodule_search_locations[0]) / "pretrained.pt"
    trained = torch.load(file, map_location="cpu", weights_only=True)["model_state"]
    network = VoiceEncoder()
    with torch.no_grad():
        for number, lstm in enumerate((network.lstm1, network.lstm2, network.lstm3)):
            for name, value in lstm.named_parameters():
                value.copy_(trained[f"lstm.{name.replace('l0', f'l{number}')}"])
    network.embedding.load_state_dict({k: trained[f"linear.{k}"] for k in ("weight", "bias")})
    return network
