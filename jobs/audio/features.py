"""Log-mel filterbank features, identical to those of WeSpeaker's ``Speaker.compute_features``.

WeSpeaker calls ``torchaudio.compliance.kaldi.fbank`` (80 bins, 25 ms, 10 ms, Hamming, otherwise
defaults) on the waveform in int16 scale and subtracts the mean over time. The same algorithm is
implemented here without torchaudio, with the operations of ``lhotse.features.kaldi.layers``.

Legend: N samples, T frames, L samples in a frame, F mel bins (80 by default).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from jobs.audio.frames import FRAME_LENGTH, FRAME_SHIFT, N_BINS, SAMPLE_RATE, n_frames
from jobs.audio.read import AudioError, FloatArray
from jobs.audio.settings import FeatureSettings, Window

_LOWEST_HZ = 20.0
_PREEMPHASIS = 0.97
_FFT_LENGTH = 512
_INT16 = 32_768
"""Scale of the samples."""
_WINDOWS: dict[Window, Callable[[], Tensor]] = {
    "hamming": lambda: torch.hamming_window(FRAME_LENGTH, periodic=False, alpha=0.54, beta=0.46),
    # Kaldi's default, which is Hann's with wider shoulders.
    "povey": lambda: torch.hann_window(FRAME_LENGTH, periodic=False).pow(0.85),
}
"""Name → function that makes the (L,) weights."""


def pieces(wave: FloatArray, settings: FeatureSettings) -> list[FloatArray]:
    """Cut an utterance into the pieces that networks receive, of ``max_frames`` frames at most.

    ``crop`` chooses the first frames, the middle ones, or consecutive windows from the start. The
    last window ends where the utterance ends, overlapping the one before it rather than being
    short.

    Args:
        wave: (N,) samples.
        settings: ``max_frames`` and ``crop`` are used.

    Returns:
        Views of ``wave``; ``wave`` itself if it has no more than ``max_frames`` frames.
    """
    frames, most = n_frames(len(wave)), settings.max_frames
    if most is None or frames <= most:
        return [wave]
    starts = {
        "start": [0],
        "centre": [(frames - most) // 2],
        "windows": [*range(0, frames - most, most), frames - most],
    }[settings.crop]
    length = FRAME_LENGTH + (most - 1) * FRAME_SHIFT
    return [wave[start * FRAME_SHIFT :][:length] for start in starts]


def cropped(wave: FloatArray, settings: FeatureSettings) -> FloatArray:
    """Crop an utterance for a front end; with ``crop: windows``, ``wave`` already is one window."""
    return wave if settings.crop == "windows" else pieces(wave, settings)[0]


def describe_fbank(n_bins: int = N_BINS, window: Window = "hamming") -> str:
    """Describe the features of `Fbank` in a phrase, for the methods text."""
    name, scale = ("Povey", "within ±1") if window == "povey" else ("Hamming", "in int16 range")
    length, shift = (1000 * samples // SAMPLE_RATE for samples in (FRAME_LENGTH, FRAME_SHIFT))
    return (
        f"{n_bins} log-mel filter-bank energies (frames of {length} ms every {shift} ms, {name} "
        f"window, pre-emphasis {_PREEMPHASIS}, mel filters from {_LOWEST_HZ:g} to "
        f"{SAMPLE_RATE // 2} Hz, samples {scale}), from which their mean over time was subtracted"
    )


class Fbank:
    """Log-mel filterbank of one waveform, on the CPU in float32.

    Args:
        settings: by default ``FeatureSettings()``.
        n_bins: number of mel bins that the network expects.
        window: ``povey`` also takes samples within ±1, as WeSpeaker does for the networks that it
            gives this window; the floor of the logarithm is higher then.
    """

    def __init__(
        self,
        settings: FeatureSettings | None = None,
        n_bins: int = N_BINS,
        window: Window = "hamming",
    ) -> None:
        self.settings = settings or FeatureSettings()
        self._window_L = _WINDOWS[window]()
        self._scale = _INT16 if window == "povey" else 1
        self._filters_KF = _mel_filters(n_bins)

    def __call__(self, wave: FloatArray) -> Tensor:
        """Compute the features of a waveform.

        Args:
            wave: (N,) in int16 scale.

        Returns:
            (T, n_bins) float32, log-mel minus its mean over time; zeros follow up to ``pad_to``.

        Raises:
            AudioError: the waveform is shorter than one frame.
        """
        features_TF = self.uncentred(wave)
        missing = max(0, (self.settings.pad_to or 0) - len(features_TF))
        return functional.pad(features_TF - features_TF.mean(dim=0), (0, 0, 0, missing))

    def uncentred(self, wave: FloatArray) -> Tensor:
        """Compute (T, n_bins) features without mean subtraction and padding.

        Raises:
            AudioError: the waveform is shorter than one frame.
        """
        wave = cropped(wave, self.settings)
        frames = n_frames(len(wave))
        if frames == 0:
            raise AudioError(
                f"too short: expected at least {FRAME_LENGTH} samples (one frame), "
                f"found {len(wave)}"
            )
        used = FRAME_LENGTH + (frames - 1) * FRAME_SHIFT
        return self._log_mel(torch.tensor(wave[:used]) / self._scale)

    def _log_mel(self, wave: Tensor) -> Tensor:
        """Compute (T, F) from (N,) as Kaldi's ``compute-fbank-feats`` does.

        It is the logarithm of ``|FFT(window · preemphasis(frame − its mean))|² · filters``, floored
        at float32's ε.
        """
        frames_TL = wave.unfold(0, FRAME_LENGTH, FRAME_SHIFT)
        frames_TL = frames_TL - frames_TL.mean(dim=1, keepdim=True)
        before_TL = functional.pad(frames_TL, (1, 0), mode="replicate")[:, :-1]
        frames_TL = (frames_TL - _PREEMPHASIS * before_TL) * self._window_L
        power_TK = torch.fft.rfft(frames_TL, n=_FFT_LENGTH).abs() ** 2
        floor = torch.finfo(torch.float32).eps
        return torch.matmul(power_TK, self._filters_KF).clamp(min=floor).log()


def _mel_filters(n_bins: int) -> Tensor:
    """Return (K, F) weights of F triangular filters at the K = 257 frequencies of the FFT.

    The filters are equally spaced in mel from ``_LOWEST_HZ`` to half the sampling rate; the weights
    of the last frequency are 0.
    """
    low, high = (float(_mel(np.array(hertz))) for hertz in (_LOWEST_HZ, SAMPLE_RATE / 2))
    step = (high - low) / (n_bins + 1)
    bins_F1 = torch.arange(n_bins)[:, None]
    left_F1, centre_F1, right_F1 = (low + (bins_F1 + edge) * step for edge in (0, 1, 2))
    hertz_K = SAMPLE_RATE / _FFT_LENGTH * torch.arange(_FFT_LENGTH // 2, dtype=torch.float32)
    mel_K = torch.from_numpy(_mel(hertz_K.numpy()))
    rising_FK = (mel_K - left_F1) / (centre_F1 - left_F1)
    falling_FK = (right_F1 - mel_K) / (right_F1 - centre_F1)
    # Keep this a view of (F, K): rounding in a matrix product depends on the memory layout.
    return functional.pad(torch.minimum(rising_FK, falling_FK).clamp(min=0), (0, 1)).T


def _mel(hertz: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """Convert Hz to the mel scale of HTK and Kaldi, in the precision of ``hertz``."""
    mel: npt.NDArray[np.floating[Any]] = 1127.0 * np.log(1 + hertz / 700)
    return mel
