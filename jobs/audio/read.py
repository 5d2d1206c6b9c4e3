"""Audio files to samples at 16 kHz: what can be used of them, or the reason why nothing can.

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


def load_audio(path: Path | str) -> FloatArray:
    """Decode a file, or a piece of one (see `jobs.audio.segments`), to one channel at 16 kHz.

    Several channels are averaged; other rates are resampled (``scipy.signal.resample_poly``). A
    path with a tempo is stretched at the end (`jobs.audio.stretch.stretch`).

    Returns:
        (N,) in int16 scale: mono 16-bit PCM at 16 kHz comes out as its integers, exactly; 24-bit
        and float files are scaled by 32768.

    Raises:
        AudioError: empty, not audio, truncated, silent, or too short for one frame.
        AudioUnavailable: missing, or not readable by the system.
        MissingPackageError: it asks for a tempo, and the library for it is not installed.
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
    # Slow to import, and most corpora are at 16 kHz.
    from scipy.signal import resample_poly

    common = math.gcd(SAMPLE_RATE, sample_rate)
    resampled: FloatArray = resample_poly(wave, SAMPLE_RATE // common, sample_rate // common)
    return resampled.astype(np.float32, copy=False)
