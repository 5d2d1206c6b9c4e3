"""Check that a padded batch is exact: every layer, compared with each utterance alone.

The yardstick is the network's own rounding error: the distance between its values in float32 and
in float64 on the same inputs.

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
"""Maximum ratio of the masked batch's error to the rounding error of a network that is exact."""
UNIT_ROUNDOFF = 2.0**-24
"""Largest relative error of rounding one value to float32 (IEEE 754). A layer that happens to be
nearer to its float64 values on one CPU is no more exact than this."""
FRAMES = (97, 160, 231)
"""Lengths of the test utterances; no two differ by a multiple of a common stride."""


@dataclass(frozen=True)
class LayerCheck:
    """Relative errors ‖x − x′‖ / ‖x′‖ of one layer's values over all utterances."""

    layer: str
    error: float
    """Error of a masked batch against one utterance at a time, both in float32."""
    rounding: float
    """Error of float32 against float64, one utterance at a time."""

    @property
    def ratio(self) -> float:
        """``error`` ÷ ``rounding``, where ``rounding`` counts as at least `UNIT_ROUNDOFF`."""
        return self.error / max(self.rounding, UNIT_ROUNDOFF)


def check_mask(
    model: ProbedModel,
    pooling: Pooling,
    device: str = "cpu",
    frames: Sequence[int] = FRAMES,
) -> list[LayerCheck]:
    """Compare the layers of noise utterances in one padded batch with those of each alone.

    Args:
        model: model to check; it keeps its hooks and must not be used afterwards.
        pooling: pooling of the layers over time.
        device: a torch device to compute on.
        frames: length of each utterance.

    Returns:
        One check per layer, in depth order.

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
        # Fill the padding with loud noise: a leak would show, where zeros could pass for silence.
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
    """Return the input of one utterance of white noise, with a different seed for every length."""
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
