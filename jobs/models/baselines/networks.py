"""The networks of the baselines: an utterance's duration, and statistics of the models' input."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from jobs.audio.features import Fbank
from jobs.audio.frames import SAMPLE_RATE
from jobs.audio.settings import FeatureSettings
from jobs.models.model import FrontEnd, ProbedModel
from jobs.models.pooling import mean_and_std_over_time
from jobs.models.settings import BASELINE_PREFIX
from jobs.models.taps import Tap


class TimeStatistics(nn.Module):
    """Mean over time of each bin, then the population SD of each: (B, T, F) to (B, 2·F)."""

    def forward(self, features_BTF: Tensor) -> Tensor:
        """Return mean and SD over time."""
        return mean_and_std_over_time(features_BTF.transpose(1, 2))


def seconds(wave: npt.NDArray[np.float32]) -> Tensor:
    """Return the duration in seconds, (1,), of a whole waveform (N,)."""
    return torch.tensor([len(wave) / SAMPLE_RATE])


def _duration() -> ProbedModel:
    def front_end(settings: FeatureSettings) -> FrontEnd:
        return seconds

    tap = Tap("duration", "duration", module="", point="output")
    return ProbedModel(f"{BASELINE_PREFIX}duration", {}, nn.Identity(), (tap,), front_end)


def _fbank() -> ProbedModel:
    def front_end(settings: FeatureSettings) -> FrontEnd:
        # Uncentred: after mean normalisation every mean would be zero.
        return Fbank(settings).uncentred

    tap = Tap("statistics", "statistics", module="", point="output")
    return ProbedModel(f"{BASELINE_PREFIX}fbank", {}, TimeStatistics(), (tap,), front_end)


BASELINES: dict[str, Callable[[], ProbedModel]] = {"duration": _duration, "fbank": _fbank}

"""Baseline → builds its model."""
