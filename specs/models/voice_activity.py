"""Silero's voice-activity network, trained on recordings in many languages to find speech.

Its weights come with a package: ``pip install silero-vad``. The package's own form of the network,
TorchScript, has no modules that can be tapped: here it is built of ordinary ones.
"""

from importlib.util import find_spec
from pathlib import Path
from warnings import catch_warnings

import torch
from torch import Tensor, nn

CHUNK, CONTEXT, HOP = 512, 64, 128  # 32, 4 and 8 ms at 16 kHz
CONVOLUTIONS = ((129, 128, 1), (128, 64, 2), (64, 64, 2), (64, 128, 1))  # ins, outs, stride


class Spectrum(nn.Module):
    """Magnitudes of four spectra to each chunk, which begins with the end of the one before."""

    def __init__(self, basis: Tensor) -> None:
        super().__init__()
        self.register_buffer("basis", basis[:, :, None], persistent=False)

    def forward(self, wave: Tensor) -> Tensor:
        """Turn (B, N) samples, whose rows have no padding, into (B, 129, T, 4)."""
        padded = nn.functional.pad(wave, (CONTEXT, -wave.shape[1] % CHUNK))
        chunks = padded.unfold(1, CONTEXT + CHUNK, CHUNK)
        chunks = nn.functional.pad(chunks, (0, HOP // 2), "reflect")
        both = nn.functional.conv2d(chunks[:, None], self.basis, stride=(1, HOP))
        real, imaginary = both.chunk(2, dim=1)
        return (real.square() + imaginary.square()).sqrt()


class Block(nn.Sequential):
    """A convolution within each chunk, (B, C, T, spectra), which never mixes chunks."""

    def __init__(self, ins: int, outs: int, stride: int) -> None:
        super().__init__(nn.Conv2d(ins, outs, (1, 3), (1, stride), (0, 1)), nn.ReLU())


class Speech(nn.Linear):
    """The probability that a chunk is speech."""

    def forward(self, states: Tensor) -> Tensor:
        """Turn (B, T, 128) into (B, T, 1)."""
        return super().forward(states.relu()).sigmoid()


class VoiceActivity(nn.Module):
    """Waveform (B, N) at 16 kHz to the probability of speech (B, T, 1)."""

    def __init__(self, basis: Tensor) -> None:
        super().__init__()
        self.spectrum = Spectrum(basis)
        self.conv1, self.conv2, self.conv3, self.conv4 = (Block(*one) for one in CONVOLUTIONS)
        self.lstm = nn.LSTM(128, 128, batch_first=True)
        self.speech = Speech(128, 1)

    def forward(self, wave: Tensor) -> Tensor:
        """Compute the probability, and on the way the layers that are probed."""
        maps = self.conv4(self.conv3(self.conv2(self.conv1(self.spectrum(wave)))))
        states, _ = self.lstm(maps[..., 0].transpose(1, 2))
        return self.speech(states)


def make() -> nn.Module:
    """Load the weights of the installed package, without importing it or what it imports."""
    package = find_spec("silero_vad")
    if package is None:
        raise ModuleNotFoundError("needs pip install silero-vad==6.2.3")
    file = Path(package.submodule_search_locations[0]) / "data" / "silero_vad.jit"
    with catch_warnings(action="ignore", category=DeprecationWarning):  # of torch.jit
        scripted = torch.jit.load(file, map_location="cpu")
    state = scripted.state_dict()  # of a network for 16 kHz, _model, and of one for 8 kHz
    trained = [value for name, value in state.items() if name.startswith("_model.")]
    network = VoiceActivity(trained[0])
    with torch.no_grad():
        for value, given in zip(network.parameters(), trained[1:], strict=True):
            value.copy_(given.reshape(value.shape))
    return network
