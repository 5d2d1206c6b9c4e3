"""What a loaded model is, to everything that reads one: data, the same for every family."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from jobs.audio.features import FRAME_SHIFT, FeatureSettings
from jobs.audio.read import FRAME_LENGTH
from jobs.models.taps import Tap

FrontEnd = Callable[[npt.NDArray[np.float32]], Tensor]
"""Waveform (N,) in int16 scale to the network's input for one utterance, without a batch axis;
the first axis is time where there is one, and equal shapes may share a batch."""


Masked = Literal["none", "attention", "convolution"]
"""How a network reads utterances of unequal length in one pass, padded at their ends, each exactly
as it would be read alone (to rounding):

- ``none``: it cannot; a batch has equal lengths.
- ``attention``: padded with zeros, with the (B,) lengths as the network's second argument; it masks
  what must not be seen, and every tap's ``frames`` says which frames are an utterance's own.
- ``convolution``: inside `jobs.models.padding`, if all that it does has a rule there; none if not.
"""


def dummy_input(front_end: FrontEnd, n_frames: int) -> Tensor:
    """What a network is given for an utterance of ``n_frames`` frames, to learn its shapes."""
    n_samples = FRAME_LENGTH + (n_frames - 1) * FRAME_SHIFT
    return front_end(np.arange(n_samples, dtype=np.float32))


class ModelError(ValueError):
    """A model that cannot be loaded; the message says what was expected, found, and what to do."""


@dataclass(frozen=True)
class ProbedModel:
    """A network in evaluation mode, float32, on the CPU, and where to read it."""

    architecture: str
    args: dict[str, object]
    """The architecture's arguments, defaults filled in, as plain JSON values."""
    module: nn.Module
    """Takes a stack of front-end outputs, (B, ...); and lengths, see `Masked`."""
    taps: tuple[Tap, ...]
    """In depth order."""
    front_end: Callable[[FeatureSettings], FrontEnd]
    """Makes the function from waveform to input, once, for given feature settings."""
    step: int = FRAME_SHIFT
    """Samples from one position of the input's first axis to the next: 1 where it is a waveform."""
    masked: Masked = "none"
