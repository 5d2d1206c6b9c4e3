"""The front end of networks that take waveforms."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from jobs.audio.features import cropped
from jobs.audio.frames import FRAME_LENGTH, FRAME_SHIFT, SAMPLE_RATE, n_frames
from jobs.audio.read import INT16_SCALE, AudioError
from jobs.audio.settings import FeatureSettings


class Waveform:
    """Samples in [-1, 1), of the same piece of an utterance whose frames the filterbank would give.

    Args:
        settings: ``max_frames`` and ``crop`` cut to the samples of so many 10 ms frames, ``pad_to``
            pads to them with zeros.
        normalised: to zero mean and unit variance, as ``Wav2Vec2FeatureExtractor`` does it in
            transformers: (x − x̄) / √(var + 1e-7), after cropping.
        shortest: samples without which the network has no frame.
        longest: samples that the network can take at most; None: no limit.
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
        """What the network is given.

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
            # Some samples may follow the last whole frame: with one frame fewer all fit.
            most = n_frames(self._longest + 1) - 1
            raise AudioError(
                f"too long: this network takes at most {self._longest / SAMPLE_RATE:g} s, found "
                f"{len(samples) / SAMPLE_RATE:.1f} s; crop with "
                f"features: {{max_frames: {most}}}"
            )
        return torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))
