"""Is a padded batch exact? A network's layers beside those of every utterance alone.

The measure is the rounding of the network itself: how far its values in float32 are from those in
float64, on the same inputs, in the same run.

Legend: U utterances, D the pooled width of a layer.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from jobs.audio.frames import FRAME_LENGTH, FRAME_SHIFT
from jobs.audio.settings import FeatureSettings
from jobs.extraction.forward import read_padded
from jobs.models.arithmetic import arithmetic
from jobs.models.model import ProbedModel
from jobs.models.padding import pad
from jobs.models.pooling import POOLINGS
from jobs.models.tap_reader import TapReader
from jobs.models.taps import Pooling

LIMIT = 3.0
"""A masked batch's error by the rounding error, up to which it is rounding, too."""
FRAMES = (97, 160, 231)
"""Of the utterances: no two a multiple of one stride apart."""


@dataclass(frozen=True)
class LayerCheck:
    """One layer's values of all utterances together, ‖x − x′‖ / ‖x′‖."""

    layer: str
    error: float
    """In a masked batch, against one utterance at a time, both in float32."""
    rounding: float
    """One at a time, float32 against float64."""

    @property
    def ratio(self) -> float:
        """``error`` by ``rounding``; of a layer without either 0."""
        if self.rounding:
            return self.error / self.rounding
        return float("inf") if self.error else 0.0


def check_mask(
    model: ProbedModel,
    pooling: Pooling,
    device: str = "cpu",
    frames: Sequence[int] = FRAMES,
) -> list[LayerCheck]:
    """Read utterances of noise in one padded batch, and alone.

    Args:
        model: it is left with hooks, and of no other use afterwards.
        pooling: of the layers.
        device: a torch device to compute on.
        frames: of the utterances.

    Returns:
        Of every layer, in depth order.

    Raises:
        CannotMask: the network cannot be run on padded batches.
    """
    on = torch.device(device)
    inputs = [_noise(model, n_frames).to(on) for n_frames in frames]
    module, pool = model.module.to(on), POOLINGS[pooling]
    exact_reader = TapReader(copy.deepcopy(module).double(), model.taps, pool)
    reader = TapReader(module, model.taps, pool)
    batch, lengths = pad(inputs)
    if model.padding == "rules":
        # Zeros could be taken for silence; whatever this network makes of noise, it must not show.
        noise = torch.Generator(on).manual_seed(0)
        for row, length in enumerate(lengths):
            batch[row, length:].normal_(0, 10, generator=noise)
    with arithmetic("fp32", on):
        masked = read_padded(reader, model.padding, batch, lengths)
        alone = _one_at_a_time(reader, inputs)
        exact = _one_at_a_time(exact_reader, [one.double() for one in inputs])
    return [
        LayerCheck(
            layer,
            _distance(masked[layer], alone[layer]),
            _distance(alone[layer].double(), exact[layer]),
        )
        for layer in alone
    ]


def _noise(model: ProbedModel, n_frames: int) -> Tensor:
    """Input for one utterance of white noise, another one for every length."""
    n_samples = FRAME_LENGTH + (n_frames - 1) * FRAME_SHIFT
    wave = np.random.default_rng(n_frames).normal(0, 3000, n_samples).astype(np.float32)
    return model.front_end(FeatureSettings())(wave)


def _one_at_a_time(reader: TapReader, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
    readings = [reader.read(one[None]) for one in inputs]
    return {layer: torch.cat([one[layer] for one in readings]) for layer in readings[0]}


def _distance(values_UD: Tensor, from_UD: Tensor) -> float:
    scale = float(from_UD.norm())
    difference = float((values_UD - from_UD).norm())
    return difference / scale if scale else difference
