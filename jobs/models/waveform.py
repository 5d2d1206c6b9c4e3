"""Front end of networks on waveforms."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from jobs.audio.features import cropped
from jobs.audio.frames import FRAME_LENGTH, FRAME_SHIFT, SAMPLE_RATE, n_frames
from jobs.audio.read import INT16_SCALE, AudioError
from jobs.audio.settings import FeatureSettings


def describe_waveform(normalised: bool = False) -> str:
    """Describe the input of `Waveform` in a phrase, for the methods text."""
    scaled = ", normalised to zero mean and unit variance" if normalised else " within ±1"
    return f"the waveform at {SAMPLE_RATE // 1000} kHz{scaled}"


class Waveform:
    """Samples in [-1, 1), cropped to the same part of an utterance as the filterbank's frames.

    Args:
        settings: ``max_frames`` and ``crop`` cut to the samples of that many 10 ms frames,
            ``pad_to`` pads to its number of frames with zeros.
        normalised: normalise to zero mean and unit variance after cropping, as
            ``Wav2Vec2FeatureExtractor`` in transformers does: (x − x̄) / √(var + 1e-7).
        shortest: minimum number of samples, for which the network has one frame.
        longest: maximum number of samples that the network accepts; None: no limit.
    """

    def __init__(
        self,
        settings: FeatureSettings,
        normalised: bool = False,
        shortest: int = 1,
        longest: int | None = None,
    ) -> None:
        self._settings = settings
        self._normalised = normalised
        self._shortest = shortest
        self._longest = longest

    def __call__(self, wave: npt.NDArray[np.float32]) -> Tensor:
        """Compute the network's input from a waveform.

        Args:
            wave: (N,) in int16 scale.

        Returns:
            (N',) float32.

        Raises:
            AudioError: too short or too long for the network.
        """
        wave = cropped(wave, self._settings)
        if len(wave) < self._shortest:
            raise AudioError(
                f"too short: expected at least {self._shortest} samples (one frame of this "
                f"network), found {len(wave)}"
            )
        samples = wave / np.float32(INT16_SCALE)
        if self._normalised:
            samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
        if self._settings.pad_to is not None:
            padded = FRAME_LENGTH + (self._settings.pad_to - 1) * FRAME_SHIFT
            samples = np.pad(samples, (0, max(0, padded - len(samples))))
        if self._longest is not None and len(samples) > self._longest:
            # Samples may follow the last whole frame: one frame fewer fits in any case.
            most = n_frames(self._longest + 1) - 1
            raise AudioError(
                f"too long: this network takes at most {self._longest / SAMPLE_RATE:g} s, found "
                f"{len(samples) / SAMPLE_RATE:.1f} s; crop with "
                f"features: {{max_frames: {most}}}"
            )
        return torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))
