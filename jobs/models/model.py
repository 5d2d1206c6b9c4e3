"""What a loaded model is, to everything that reads one: data, the same for every family."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from jobs.features import FeatureSettings
from jobs.models.taps import Tap

FrontEnd = Callable[[npt.NDArray[np.float32]], Tensor]
"""Waveform (N,) in int16 scale to the network's input for one utterance, without a batch axis;
the first axis is time where there is one, and equal shapes may share a batch."""


class ModelError(ValueError):
    """A model that cannot be loaded; the message says what was expected, found, and what to do."""


@dataclass(frozen=True)
class ProbedModel:
    """A network in evaluation mode, float32, on the CPU, and where to read it."""

    architecture: str
    args: dict[str, object]
    """The architecture's arguments, defaults filled in, as plain JSON values."""
    module: nn.Module
    """Takes a stack of front-end outputs, (B, ...)."""
    taps: tuple[Tap, ...]
    """In depth order."""
    front_end: Callable[[FeatureSettings], FrontEnd]
    """Makes the function from waveform to input, once, for given feature settings."""
