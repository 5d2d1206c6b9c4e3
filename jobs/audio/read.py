"""Reading of audio files to samples at 16 kHz, with the reason if a file is not usable.

Legend: N samples.
"""

import math
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from jobs.audio.frames import FRAME_LENGTH, SAMPLE_RATE, resampled_length
from jobs.audio.segments import Span, split_span, split_tempo
from jobs.audio.stretch import stretch

INT16_SCALE = 32_768.0
"""Value of a full-scale sample: features are computed in the range of 16-bit integers."""

_TRUNCATED_WAV = re.compile(r"^data : (?!4294967295)(\d+) \(should be (\d+)\)$", re.MULTILINE)
"""Entry in libsndfile's log for a truncated WAV, whose frame count it lowers without an error (it
raises for a FLAC). 2³² − 1 is excluded: programs that write to a pipe use it for "unknown"."""
_UNKNOWN_LENGTH = 2**63 - 1
"""libsndfile's frame count where the header has none."""
_MAX_MAGNITUDE = 1e6
"""Largest magnitude of a sample in a float file, where 1 is full scale; the power of far larger
ones overflows float32, and the features would not be finite."""
_BLOCK = 1 << 20
"""Samples per channel decoded at a time."""
_RATES = (4_000, 384_000)
"""Hz; outside this range the header is damaged, or the audio is not speech."""

FloatArray = npt.NDArray[np.float32]


class AudioError(ValueError):
    """Audio that cannot be used; the message is the human-readable reason."""


class AudioUnavailable(OSError):  # noqa: N818 (a state of the storage, like FileNotFound)
    """An audio file that cannot be read at the moment; its content may be fine."""


def check_format(sample_rate: int, n_samples: int) -> None:
    """Refuse audio that is shorter than one frame at 16 kHz, or has an implausible sample rate.

    Args:
        sample_rate: Hz.
        n_samples: samples per channel, at that rate.

    Raises:
        AudioError: the audio is too short, or its rate out of range.
    """
    if not _RATES[0] <= sample_rate <= _RATES[1]:
        raise AudioError(
            f"wrong sample rate: expected {_RATES[0]} to {_RATES[1]} Hz, found {sample_rate} Hz"
        )
    if n_samples == 0:
        raise AudioError("zero duration: the header has a sample count of zero, or none")
    if resampled_length(n_samples, sample_rate) < FRAME_LENGTH:
        raise AudioError(
            f"too short: expected at least {FRAME_LENGTH} samples (one frame), "
            f"found {resampled_length(n_samples, sample_rate)}"
        )


def load_audio(path: Path | str) -> FloatArray:
    """Decode a file, or a piece of one (see `jobs.audio.segments`), to one channel at 16 kHz.

    Several channels are averaged; other rates are resampled (``scipy.signal.resample_poly``). If
    the path has a tempo, the result is time-stretched (`jobs.audio.stretch.stretch`).

    Returns:
        (N,) in int16 scale: mono 16-bit PCM at 16 kHz gives exactly its integers; 24-bit and float
        files are scaled by 32768.

    Raises:
        AudioError: the file is empty, not audio, truncated, silent, or shorter than one frame.
        AudioUnavailable: the file is missing, or the system cannot read it.
        MissingPackageError: the path has a tempo, and ``python-stretch`` is not installed.
    """
    _, factor = split_tempo(path)
    path, span = split_span(path)
    wave = _load(path, span)
    return wave if factor is None else _stretch_checked(wave, factor)


def _stretch_checked(wave: FloatArray, factor: float) -> FloatArray:
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
        # libsndfile reports a failing disk as a damaged file, so read all bytes before blaming
        # the content.
        _read_through(path)
        raise


def _read_through(path: Path) -> None:
    """Read every byte of a file.

    Raises:
        AudioUnavailable: the system cannot read them.
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
            "back, or run again to continue without it"
        )
    if path.stat().st_size == 0:
        raise AudioError("empty file")
    try:
        with soundfile.SoundFile(path) as file:
            _check_header(file)
            sample_rate = file.samplerate
            first, expected = piece_of(span, sample_rate, file.frames)
            file.seek(first)
            wave = _read(file, expected)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"not readable as audio: {error.error_string}") from error
    if len(wave) < expected:
        raise AudioError(f"truncated: the header says {expected} samples, found {len(wave)}")
    if not np.isfinite(wave).all():
        raise AudioError("not finite: the samples contain NaN or infinity")
    peak = float(np.abs(wave).max())
    if peak > _MAX_MAGNITUDE:
        raise AudioError(
            f"damaged: expected samples of about ±1, or ±32768, found one of {peak:.3g}"
        )
    if not wave.any():
        raise AudioError("silent: every sample is zero")
    # A power of two, so the product is exact and 16-bit PCM gets its integers back.
    wave *= INT16_SCALE
    return wave if sample_rate == SAMPLE_RATE else _resample(wave, sample_rate)


def _check_header(file: soundfile.SoundFile) -> None:
    """Refuse a file whose header shows that it is unusable.

    Raises:
        AudioError: a truncated WAV, an unknown length, an implausible rate, or too short.
    """
    cut = _TRUNCATED_WAV.search(file.extra_info)
    if cut:
        raise AudioError(f"truncated: the header says {cut[1]} bytes, found {cut[2]}")
    n_samples = 0 if file.frames == _UNKNOWN_LENGTH else file.frames
    check_format(file.samplerate, n_samples)


def piece_of(span: Span | None, sample_rate: int, n_samples: int) -> tuple[int, int]:
    """Return the first sample and number of samples of a piece of a file; without a span, of all.

    Raises:
        AudioError: the piece ends beyond the file, or is too short.
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
    """Read the mean of all channels: (N,) samples, N at most ``n_samples``.

    It is read block by block, so that a damaged header cannot cause a huge allocation.
    """
    blocks = [np.zeros(0, dtype=np.float32)]
    left = n_samples
    while len(block := file.read(min(left, _BLOCK), dtype="float32", always_2d=True)):
        with np.errstate(over="ignore", invalid="ignore"):  # damaged float files are refused later
            blocks.append(block[:, 0] if block.shape[1] == 1 else block.mean(axis=1))
        left -= len(block)
    return np.concatenate(blocks)


def _resample(wave: FloatArray, sample_rate: int) -> FloatArray:
    """Resample (N,) at ``sample_rate`` Hz to (N',) at 16 kHz, N' = ``resampled_length(N, …)``."""
    # Imported late: slow, and not needed by most corpora, which are at 16 kHz.
    from scipy.signal import resample_poly

    common = math.gcd(SAMPLE_RATE, sample_rate)
    resampled: FloatArray = resample_poly(wave, SAMPLE_RATE // common, sample_rate // common)
    return resampled.astype(np.float32, copy=False)
