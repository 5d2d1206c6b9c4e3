"""The networks of the baselines: an utterance's duration, and statistics of the models' input.

Legend: B utterances, T frames, F mel bins.
"""

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

FBANK_VERSION = 2
"""Part of the identity of the baseline ``fbank``; increment it when its values become others."""


class SpreadOverTime(nn.Module):
    """Population SD over time of each feature: (B, T, F) to (B, F)."""

    def forward(self, features_BTF: Tensor) -> Tensor:
        """Return the SDs."""
        n_features = features_BTF.shape[2]
        return mean_and_std_over_time(features_BTF.transpose(1, 2))[:, n_features:]


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
        fbank = Fbank(settings)

        def with_changes(wave: npt.NDArray[np.float32]) -> Tensor:
            # As networks get it, but without padding; means are left out, since they are 0.
            bins_TF = fbank.uncentred(wave)
            centred_TF = bins_TF - bins_TF.mean(dim=0)
            changes_TF = torch.diff(centred_TF, dim=0, prepend=centred_TF[:1])
            return torch.cat([centred_TF, changes_TF], dim=1)

        return with_changes

    tap = Tap("statistics", "statistics", module="", point="output")
    made: dict[str, object] = {"version": FBANK_VERSION}
    return ProbedModel(f"{BASELINE_PREFIX}fbank", made, SpreadOverTime(), (tap,), front_end)


BASELINES: dict[str, Callable[[], ProbedModel]] = {"duration": _duration, "fbank": _fbank}

"""Baseline → builds its model."""
