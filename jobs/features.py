"""Waveform to log-mel filterbank, exactly as WeSpeaker's ``Speaker.compute_features`` does it.

WeSpeaker calls ``torchaudio.compliance.kaldi.fbank`` (80 bins, 25 ms, 10 ms, hamming, all else
default) on the waveform in int16 scale and subtracts the mean over time. The same algorithm is
computed here by lhotse, which needs no torchaudio.

Legend: N samples, T frames, 80 mel bins.
"""

import re
import warnings
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import soundfile
import torch
from lhotse.features.kaldi.layers import Wav2LogFilterBank
from pydantic import Field
from torch import Tensor

from jobs.settings import Settings

SAMPLE_RATE = 16_000
"""Hz; the only rate that the models know."""
FRAME_LENGTH = 400
"""Samples of a frame: 25 ms."""
FRAME_SHIFT = 160
"""Samples from frame to frame: 10 ms."""
N_BINS = 80
"""Mel bins."""
INT16_SCALE = 32_768.0
"""What a sample of 1.0 becomes: the features are those of 16-bit integers."""

_WAV_TRUNCATED = re.compile(r"^data : (?!4294967295)(\d+) \(should be (\d+)\)$", re.MULTILINE)
"""How libsndfile's log tells of a cut-off WAV, whose frame count it quietly lowers (a FLAC raises);
2³² − 1 is what a writer to a pipe puts there, and promises nothing."""
_UNKNOWN_LENGTH = 2**63 - 1
"""libsndfile's frame count where the header has none."""
_BLOCK = 1 << 20
"""Samples decoded at once."""

_CUT_WAV = re.compile(r"^data : (?!4294967295)(\d+) \(should be (\d+)\)$", re.MULTILINE)
"""How libsndfile's log tells of a cut-off WAV, whose frame count it quietly lowers (a FLAC raises);
2³² − 1 is what a writer to a pipe puts there, and promises nothing."""
_UNKNOWN_LENGTH = 2**63 - 1
"""libsndfile's frame count where the header has none."""
_BLOCK = 1 << 20
"""Samples decoded at once."""

FloatArray = npt.NDArray[np.float32]


class FeatureSettings(Settings):
    """What changes the features."""

    max_frames: Annotated[int, Field(ge=1)] | None = None
    """Only the first so many frames are used, cut off before the mean is taken; None: all."""


class AudioError(ValueError):
    """Audio that cannot be used; the message is the reason, for a human."""


def check_format(sample_rate: int, channels: int, n_samples: int) -> None:
    """Refuse audio of the wrong rate, with several channels, or shorter than one frame.

    Raises:
        AudioError: with what was expected and what was found.
    """
    if sample_rate != SAMPLE_RATE:
        raise AudioError(
            f"wrong sample rate: expected {SAMPLE_RATE} Hz, found {sample_rate} Hz; resample it"
        )
    if channels != 1:
        raise AudioError(f"not mono: expected 1 channel, found {channels}; mix it down")
    if n_samples == 0:
        raise AudioError("zero duration: the header counts no samples, or does not say how many")
    if n_samples < FRAME_LENGTH:
        raise AudioError(
            f"too short: expected at least {FRAME_LENGTH} samples (one frame), found {n_samples}"
        )


def load_audio(path: Path | str) -> FloatArray:
    """Decode a mono 16 kHz file.

    Returns:
        (N,) in int16 scale: 16-bit PCM comes out as its integers, exactly; 24-bit and float files
        are scaled by 32768.

    Raises:
        AudioError: missing, empty, not audio, truncated, silent, too short for one frame, of
            another rate, or not mono.
    """
    path = Path(path)
    if not path.is_file():
        raise AudioError("missing: no such file")
    if path.stat().st_size == 0:
        raise AudioError("empty file")
    try:
        with soundfile.SoundFile(path) as file:
            _check_whole(file)
            wave = _read_all(file)
            expected = file.frames
    except soundfile.LibsndfileError as error:
        raise AudioError(f"not readable as audio: {error.error_string}") from error
    if len(wave) < expected:
        raise AudioError(f"truncated: the header says {expected} samples, found {len(wave)}")
    if not np.isfinite(wave).all():
        raise AudioError("not finite: the samples hold NaN or infinity")
    if not wave.any():
        raise AudioError("silent: every sample is zero")
    # A power of two: exact, and so 16-bit PCM is back to its integers.
    wave *= INT16_SCALE
    return wave


def _check_whole(file: soundfile.SoundFile) -> None:
    """Refuse what the header already shows to be unusable.

    Raises:
        AudioError: a WAV that was cut off, an unknown length, or another format.
    """
    cut = _CUT_WAV.search(file.extra_info)
    if cut:
        raise AudioError(f"truncated: the header says {cut[1]} bytes, found {cut[2]}")
    n_samples = 0 if file.frames == _UNKNOWN_LENGTH else file.frames
    check_format(file.samplerate, file.channels, n_samples)


def _read_all(file: soundfile.SoundFile) -> FloatArray:
    """(N,) samples, block by block: a damaged header cannot ask for all the memory at once."""
    blocks = []
    while len(block := file.read(_BLOCK, dtype="float32")):
        blocks.append(block)
    return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)


def n_frames(n_samples: int, max_frames: int | None = None) -> int:
    """Frames of ``n_samples`` samples: those that fit wholly, at most ``max_frames``."""
    frames = 1 + (n_samples - FRAME_LENGTH) // FRAME_SHIFT if n_samples >= FRAME_LENGTH else 0
    return frames if max_frames is None else min(frames, max_frames)


class Fbank:
    """Log-mel filterbank of one waveform, on the CPU in float32."""

    def __init__(self, settings: FeatureSettings | None = None) -> None:
        self.settings = settings or FeatureSettings()
        with warnings.catch_warnings():
            # Frames that do not fit are dropped on purpose: WeSpeaker drops them.
            warnings.filterwarnings("ignore", message="Setting snip_edges=True")
            # lhotse takes numpy's logarithm of a tensor; the result is right.
            warnings.filterwarnings("ignore", message="__array_wrap__", category=DeprecationWarning)
            self._fbank = Wav2LogFilterBank(
                sampling_rate=SAMPLE_RATE,
                frame_length=FRAME_LENGTH / SAMPLE_RATE,
                frame_shift=FRAME_SHIFT / SAMPLE_RATE,
                window_type="hamming",
                snip_edges=True,
                low_freq=20.0,
                high_freq=0.0,
                num_filters=N_BINS,
            )

    def __call__(self, wave: FloatArray) -> Tensor:
        """What the models see.

        Args:
            wave: (N,) in int16 scale.

        Returns:
            (T, 80) float32, log-mel minus its mean over time.

        Raises:
            AudioError: shorter than one frame.
        """
        features_TF = self.uncentred(wave)
        return features_TF - features_TF.mean(dim=0)

    def uncentred(self, wave: FloatArray) -> Tensor:
        """The same as calling it, (T, 80), but with the mean over time left in."""
        frames = n_frames(len(wave), self.settings.max_frames)
        if frames == 0:
            raise AudioError(
                f"too short: expected at least {FRAME_LENGTH} samples (one frame), "
                f"found {len(wave)}"
            )
        used = FRAME_LENGTH + (frames - 1) * FRAME_SHIFT
        features_TF: Tensor = self._fbank(torch.tensor(wave[:used])[None])[0]
        return features_TF
