"""What a model must beat: an utterance's duration, and its input. Each is a model of one layer."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor, nn

from jobs.audio.features import Fbank, FeatureSettings
from jobs.audio.read import SAMPLE_RATE
from jobs.models.model import FrontEnd, ProbedModel
from jobs.models.taps import Tap, mean_and_std_over_time
from jobs.settings import Settings

BASELINE_PREFIX = "baseline:"
"""How the names of baseline models begin, in specs, tables and plots."""


class BaselineSettings(Settings):
    """A baseline, probed as a model is."""

    name: str = Field(min_length=1)
    """What tables and plots call it."""
    kind: Literal["baseline"] = "baseline"
    what: Literal["duration", "fbank"]
    """Seconds of audio, or mean and SD over time of each log-mel bin."""


class TimeStatistics(nn.Module):
    """(B, T, F) to (B, 2·F): the mean over time of each bin, then the population SD of each."""

    def forward(self, features_BTF: Tensor) -> Tensor:
        """Mean and SD over time."""
        return mean_and_std_over_time(features_BTF.transpose(1, 2))


def seconds(wave: npt.NDArray[np.float32]) -> Tensor:
    """(N,) to (1,): the whole utterance's duration, however few of its frames a model sees."""
    return torch.tensor([len(wave) / SAMPLE_RATE])


def _duration() -> ProbedModel:
    def front_end(settings: FeatureSettings) -> FrontEnd:
        return seconds

    tap = Tap("duration", "duration", module="", point="output")
    return ProbedModel(f"{BASELINE_PREFIX}duration", {}, nn.Identity(), (tap,), front_end)


def _fbank() -> ProbedModel:
    def front_end(settings: FeatureSettings) -> FrontEnd:
        # With the mean left in: after its subtraction every mean would be zero.
        return Fbank(settings).uncentred

    tap = Tap("statistics", "statistics", module="", point="output")
    return ProbedModel(f"{BASELINE_PREFIX}fbank", {}, TimeStatistics(), (tap,), front_end)


BASELINES: dict[str, Callable[[], ProbedModel]] = {"duration": _duration, "fbank": _fbank}


def load_baseline(settings: BaselineSettings) -> ProbedModel:
    """The baseline that ``settings.what`` names."""
    return BASELINES[settings.what]()
