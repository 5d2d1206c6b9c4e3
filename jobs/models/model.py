"""A loaded model, as data: the same for every family."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from jobs.audio.frames import FRAME_LENGTH, FRAME_SHIFT
from jobs.audio.settings import FeatureSettings
from jobs.models.taps import Tap

FrontEnd = Callable[[npt.NDArray[np.float32]], Tensor]
"""Converts a waveform (N,) in int16 scale to the network's input for one utterance, without a
batch axis. The first axis is time where there is one; inputs of equal shape may share a batch."""

PaddingMode = Literal["none", "lengths", "rules"]
"""How a network runs utterances of unequal length in one pass, padded at their ends, each exactly
as if it were alone (to rounding):

- ``none``: not at all; a batch has inputs of equal length.
- ``lengths``: the network takes the (B,) lengths as its second argument and masks the padding
  (zeros) itself; every tap's ``frames`` says which frames are an utterance's own.
- ``rules``: by the rules of `jobs.models.padding` if they cover every operation, else not at all.
"""


def dummy_input(front_end: FrontEnd, n_frames: int) -> Tensor:
    """Return the input for an utterance of ``n_frames`` frames, from which to learn shapes."""
    n_samples = FRAME_LENGTH + (n_frames - 1) * FRAME_SHIFT
    return front_end(np.arange(n_samples, dtype=np.float32))


@dataclass(frozen=True)
class ProbedModel:
    """A network in evaluation mode, in float32, on the CPU, with its taps."""

    architecture: str
    args: dict[str, object]
    """The architecture's arguments, defaults filled in, as plain JSON values."""
    module: nn.Module
    """Takes a stack of front-end outputs, (B, ...); and lengths, see `PaddingMode`."""
    taps: tuple[Tap, ...]
    """In depth order."""
    front_end: Callable[[FeatureSettings], FrontEnd]
    """Makes the function from waveform to input for given feature settings."""
    step: int = FRAME_SHIFT
    """Samples per position of the input's first axis: 1 for a waveform."""
    padding: PaddingMode = "none"
    notes: tuple[str, ...] = ()
    """Warnings for the user, one sentence each."""
    input: str = ""
    """Description of the features that the front end computes, a phrase for the methods text."""
