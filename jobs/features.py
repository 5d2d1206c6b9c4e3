"""Waveform to log-mel filterbank, exactly as WeSpeaker's ``Speaker.compute_features`` does it.

WeSpeaker calls ``torchaudio.compliance.kaldi.fbank`` (80 bins, 25 ms, 10 ms, hamming, all else
default) on the waveform in int16 scale and subtracts the mean over time. The same algorithm is
computed here by lhotse, which needs no torchaudio.

Legend: N samples, T frames, F mel bins: 80 unless a network asks for others.
"""

import math
import re
import warnings
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import soundfile
import torch
from lhotse.features.kaldi.layers import Wav2LogFilterBank
from pydantic import Field, model_validator
from scipy.signal import resample_poly
from torch import Tensor
from torch.nn import functional

from jobs.settings import Settings
from jobs.span import Span, split_span, split_tempo
from jobs.tempo import stretch

SAMPLE_RATE = 16_000
"""Hz; the only rate that the models know."""
FRAME_LENGTH = 400
"""Samples of a frame: 25 ms."""
FRAME_SHIFT = 160
"""Samples from frame to frame: 10 ms."""
N_BINS = 80
"""Mel bins, where nothing else is said."""
INT16_SCALE = 32_768.0
"""What a sample of 1.0 becomes: the features are those of 16-bit integers."""

_CUT_WAV = re.compile(r"^data : (?!4294967295)(\d+) \(should be (\d+)\)$", re.MULTILINE)
"""How libsndfile's log tells of a cut-off WAV, whose frame count it quietly lowers (a FLAC raises);
2³² − 1 is what a writer to a pipe puts there, and promises nothing."""
_UNKNOWN_LENGTH = 2**63 - 1
"""libsndfile's frame count where the header has none."""
_LOUDEST = 1e6
"""A sample of a float file at most, 1 being full scale; the power of far larger ones has no place
in float32, and the features would not be numbers."""
_BLOCK = 1 << 20
"""Samples a channel decoded at once."""
_RATES = (4_000, 384_000)
"""Hz; beyond them a header is damaged, or there is no speech."""

FloatArray = npt.NDArray[np.float32]


class FeatureSettings(Settings):
    """What changes the features."""

    max_frames: Annotated[int, Field(ge=1)] | None = None
    """Frames that a network is given at most, cut out before the mean is taken; None: all."""
    crop: Literal["start", "centre", "windows"] = "start"
    """Which frames of a longer utterance: the first; the middle ones; or all, in windows of
    ``max_frames`` (see `pieces`), over which the pooled activations are averaged."""
    pad_to: Annotated[int, Field(ge=1)] | None = None
    """Fewer frames than these are followed by frames of zeros, after the mean is taken. The network
    sees them as if they were speech, in any batch: it is for reproducing studies that padded."""

    @model_validator(mode="after")
    def _crop_to_something(self) -> "FeatureSettings":
        if self.crop != "start" and self.max_frames is None:
            raise ValueError(
                f"crop: {self.crop} needs the number of frames: add max_frames, or remove crop"
            )
        return self

    def identity(self) -> dict[str, object]:
        """As of all settings; but what is left at its default changes no id that there was before
        it could be set."""
        unused = {
            name
            for name, off in (("crop", "start"), ("pad_to", None))
            if getattr(self, name) == off
        }
        return self.model_dump(mode="json", exclude=unused)


class AudioError(ValueError):
    """Audio that cannot be used; the message is the reason, for a human."""


class AudioUnavailable(OSError):  # noqa: N818 (a state of the storage, as FileNotFound would be)
    """Audio that the system does not give now: nothing is said of what is in it."""


def check_format(sample_rate: int, n_samples: int) -> None:
    """Refuse audio that is shorter than one frame at 16 kHz, or of an absurd rate.

    Args:
        sample_rate: Hz.
        n_samples: a channel, at that rate.

    Raises:
        AudioError: with what was expected and what was found.
    """
    if not _RATES[0] <= sample_rate <= _RATES[1]:
        raise AudioError(
            f"wrong sample rate: expected {_RATES[0]} to {_RATES[1]} Hz, found {sample_rate} Hz"
        )
    if n_samples == 0:
        raise AudioError("zero duration: the header counts no samples, or does not say how many")
    if resampled_length(n_samples, sample_rate) < FRAME_LENGTH:
        raise AudioError(
            f"too short: expected at least {FRAME_LENGTH} samples (one frame), "
            f"found {resampled_length(n_samples, sample_rate)}"
        )


def resampled_length(n_samples: int, sample_rate: int) -> int:
    """Samples at 16 kHz of ``n_samples`` at ``sample_rate`` Hz."""
    return -(-n_samples * SAMPLE_RATE // sample_rate)


def load_audio(path: Path | str) -> FloatArray:
    """Decode a file, or a piece of one (see `jobs.span`), to one channel at 16 kHz.

    Several channels are averaged; other rates are resampled (``scipy.signal.resample_poly``). A
    path with a tempo is stretched at the end (`jobs.tempo.stretch`).

    Returns:
        (N,) in int16 scale: mono 16-bit PCM at 16 kHz comes out as its integers, exactly; 24-bit
        and float files are scaled by 32768.

    Raises:
        AudioError: empty, not audio, truncated, silent, or too short for one frame.
        AudioUnavailable: missing, or not readable by the system.
        jobs.tempo.TempoUnavailable: it asks for a tempo, and the library for it is not installed.
    """
    _, factor = split_tempo(path)
    path, span = split_span(path)
    wave = _load(path, span)
    return wave if factor is None else _at_tempo(wave, factor)


def _at_tempo(wave: FloatArray, factor: float) -> FloatArray:
    changed = stretch(wave, factor)
    if len(changed) < FRAME_LENGTH:
        raise AudioError(
            f"too short: expected at least {FRAME_LENGTH} samples (one frame) at {factor} times "
            f"its rate, found {len(changed)}"
        )
    return changed


def _load(path: Path, span: Span | None) -> FloatArray:
    try:
        return _decode(path, span)
    except AudioError:
        # libsndfile takes a failing disk for a damaged file: who blames the content must have
        # seen it.
        _read_through(path)
        raise


def _read_through(path: Path) -> None:
    """Read every byte of a file.

    Raises:
        AudioUnavailable: the system does not give them.
    """
    try:
        with path.open("rb") as file:
            while file.read(_BLOCK):
                pass
    except OSError as error:
        raise AudioUnavailable(
            f"{path} cannot be read: {error.strerror}; make it readable and run again"
        ) from error


def _decode(path: Path, span: Span | None) -> FloatArray:
    if not path.is_file():
        raise AudioUnavailable(
            f"{path} is missing: expected the file that was there when the corpus was read; put it "
            "back, or run again to go on without it"
        )
    if path.stat().st_size == 0:
        raise AudioError("empty file")
    try:
        with soundfile.SoundFile(path) as file:
            _check_whole(file)
            sample_rate = file.samplerate
            first, expected = piece_of(span, sample_rate, file.frames)
            file.seek(first)
            wave = _read(file, expected)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"not readable as audio: {error.error_string}") from error
    if len(wave) < expected:
        raise AudioError(f"truncated: the header says {expected} samples, found {len(wave)}")
    if not np.isfinite(wave).all():
        raise AudioError("not finite: the samples hold NaN or infinity")
    peak = float(np.abs(wave).max())
    if peak > _LOUDEST:
        raise AudioError(
            f"damaged: expected samples of about ±1, or ±32768, found one of {peak:.3g}"
        )
    if not wave.any():
        raise AudioError("silent: every sample is zero")
    # A power of two: exact, and so 16-bit PCM is back to its integers.
    wave *= INT16_SCALE
    return wave if sample_rate == SAMPLE_RATE else _resample(wave, sample_rate)


def _check_whole(file: soundfile.SoundFile) -> None:
    """Refuse what the header already shows to be unusable.

    Raises:
        AudioError: a WAV that was cut off, an unknown length, an absurd rate, or too short.
    """
    cut = _CUT_WAV.search(file.extra_info)
    if cut:
        raise AudioError(f"truncated: the header says {cut[1]} bytes, found {cut[2]}")
    n_samples = 0 if file.frames == _UNKNOWN_LENGTH else file.frames
    check_format(file.samplerate, n_samples)


def piece_of(span: Span | None, sample_rate: int, n_samples: int) -> tuple[int, int]:
    """First sample and number of samples of a piece, or of all, of a file.

    Raises:
        AudioError: the piece is beyond the end, or too short.
    """
    if span is None:
        return 0, n_samples
    try:
        first, length = span.samples(sample_rate, n_samples)
    except ValueError as error:
        raise AudioError(str(error)) from None
    check_format(sample_rate, length)
    return first, length


def _read(file: soundfile.SoundFile, n_samples: int) -> FloatArray:
    """(N,) samples of all channels' mean, N at most ``n_samples``, block by block: a damaged header
    cannot ask for all the memory at once."""
    blocks = [np.zeros(0, dtype=np.float32)]
    left = n_samples
    while len(block := file.read(min(left, _BLOCK), dtype="float32", always_2d=True)):
        with np.errstate(over="ignore", invalid="ignore"):  # of damaged float files; found below
            blocks.append(block[:, 0] if block.shape[1] == 1 else block.mean(axis=1))
        left -= len(block)
    return np.concatenate(blocks)


def _resample(wave: FloatArray, sample_rate: int) -> FloatArray:
    """(N,) at ``sample_rate`` Hz → (N',) at 16 kHz, N' as ``resampled_length`` says."""
    common = math.gcd(SAMPLE_RATE, sample_rate)
    resampled: FloatArray = resample_poly(wave, SAMPLE_RATE // common, sample_rate // common)
    return resampled.astype(np.float32, copy=False)


def n_frames(n_samples: int, max_frames: int | None = None) -> int:
    """Frames of ``n_samples`` samples: those that fit wholly, at most ``max_frames``."""
    frames = 1 + (n_samples - FRAME_LENGTH) // FRAME_SHIFT if n_samples >= FRAME_LENGTH else 0
    return frames if max_frames is None else min(frames, max_frames)


def pieces(wave: FloatArray, settings: FeatureSettings) -> list[FloatArray]:
    """What networks are given of an utterance, one piece after the other: by ``crop``, `n_frames`
    frames each, ``max_frames`` at most.

    Windows follow one another from the start. The rest, if there is one, is not left out and not
    short: the last window ends where the utterance does, and overlaps the one before it.

    Args:
        wave: (N,).
        settings: by ``max_frames`` and ``crop``.

    Returns:
        Views of ``wave``; itself if it has no more than ``max_frames`` frames.
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
    """The piece of an utterance that a front end takes: the only one, or, where there are windows,
    whatever it is given: it is given one after the other."""
    return wave if settings.crop == "windows" else pieces(wave, settings)[0]


class Fbank:
    """Log-mel filterbank of one waveform, on the CPU in float32.

    Args:
        settings: by default those of `FeatureSettings`.
        n_bins: mel bins, as many as the network takes.
    """

    def __init__(self, settings: FeatureSettings | None = None, n_bins: int = N_BINS) -> None:
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
                num_filters=n_bins,
            )

    def __call__(self, wave: FloatArray) -> Tensor:
        """What the models see.

        Args:
            wave: (N,) in int16 scale.

        Returns:
            (T, n_bins) float32, log-mel minus its mean over time; zeros follow up to ``pad_to``.

        Raises:
            AudioError: shorter than one frame.
        """
        features_TF = self.uncentred(wave)
        missing = max(0, (self.settings.pad_to or 0) - len(features_TF))
        return functional.pad(features_TF - features_TF.mean(dim=0), (0, 0, 0, missing))

    def uncentred(self, wave: FloatArray) -> Tensor:
        """The same as calling it, (T, n_bins), but with the mean left in, and nothing padded."""
        wave = cropped(wave, self.settings)
        frames = n_frames(len(wave))
        if frames == 0:
            raise AudioError(
                f"too short: expected at least {FRAME_LENGTH} samples (one frame), "
                f"found {len(wave)}"
            )
        used = FRAME_LENGTH + (frames - 1) * FRAME_SHIFT
        features_TF: Tensor = self._fbank(torch.tensor(wave[:used])[None])[0]
        return features_TF
