"""Reading of audio files to samples at 16 kHz, with the reason if a file is not usable.

Legend: N samples.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from jobs.audio.frames import FRAME_LENGTH, SAMPLE_RATE, resampled_length
from jobs.audio.level import LevelMeter
from jobs.audio.ogg import is_chained
from jobs.audio.opening import BLOCK, Sound, open_sound
from jobs.audio.segments import Span, split_span, split_tempo
from jobs.audio.stretch import stretch
from jobs.audio.truncation import truncation

INT16_SCALE = 32_768.0
"""Value of a full-scale sample: features are computed in the range of 16-bit integers."""

_RATES = (4_000, 384_000)
"""Hz; outside this range the header is damaged, or the audio is not speech."""
_HOW_TO_CONVERT = "for example with `ffmpeg -i FILE FILE.flac`"
_UNKNOWN_FORMAT = (1, 7)
"""libsndfile's codes of errors for content that it does not know, such as AAC."""
_HEAD = 1024
"""Bytes at the start of a file that may hold a text header."""
_REMEMBERED = 4096
"""Files whose length and level are remembered."""

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
        raise AudioError(
            "zero duration: found no samples; if the file contains audio, "
            f"save it again with its length, {_HOW_TO_CONVERT}"
        )
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
    except AudioUnavailable:
        raise
    except AudioError:
        # libsndfile reports a failing disk as a damaged file, so read all bytes before blaming
        # the content.
        try:
            _read_through(path)
        except OSError as error:
            raise _unavailable(path, error) from error
        raise
    except OSError as error:
        raise _unavailable(path, error) from error


def _read_through(path: Path) -> None:
    """Read every byte of a file."""
    with path.open("rb") as file:
        while file.read(BLOCK):
            pass


def _unavailable(path: Path, error: OSError) -> AudioUnavailable:
    return AudioUnavailable(
        f"{path} cannot be read: {error.strerror}; make it readable and run again"
    )


def _decode(path: Path, span: Span | None) -> FloatArray:
    if not path.is_file():
        raise AudioUnavailable(
            f"{path} is missing: expected the file that was there when the corpus was read; put it "
            "back, or run again to continue without it"
        )
    with _open(path) as sound:
        sample_rate = sound.file.samplerate
        if span is None:
            wave, meter = _read(sound, 0, sound.length)
            _check_length(len(wave), sound.length, sample_rate)
            full_scale = _full_scale(meter, sound.is_float)
        else:
            # The level is that of the whole file: a quiet piece does not show its full scale.
            whole = examine(path) if _has_to_be_decoded(sound) else _header_facts(sound)
            first, length = piece_of(span, sample_rate, whole.length)
            wave, _ = _read(sound, first, length)
            _check_length(len(wave), length, sample_rate)
            full_scale = whole.full_scale
    if not np.isfinite(wave).all():
        raise AudioError("not finite: the samples contain NaN or infinity")
    if not wave.any():
        raise AudioError("silent: every sample is zero")
    # A power of two, so the product is exact and 16-bit PCM gets its integers back.
    wave *= INT16_SCALE / full_scale
    return wave if sample_rate == SAMPLE_RATE else _resample(wave, sample_rate)


@dataclass(frozen=True)
class SoundFacts:
    """Properties of an audio file that are needed before its samples are read."""

    sample_rate: int
    """Hz."""
    channels: int
    length: int
    """Samples per channel, at the file's own rate."""
    full_scale: float
    """Value of a full-scale sample: 1, or larger in a float file with the values of integers."""
    decoded: bool
    """Whether the file had to be decoded to find them."""


def examine(path: Path) -> SoundFacts:
    """Read the header of an audio file, and all of it if the header does not say enough.

    The length is counted where the header has none, or an estimate; the level of float files is
    measured. Both are remembered as long as the file does not change.

    Raises:
        AudioError: the file is empty, not audio, truncated, or of unknown level.
    """
    status = path.stat()
    return _examine(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=_REMEMBERED)
def _examine(path: Path, size: int, modified: int) -> SoundFacts:
    with _open(path) as sound:
        if not _has_to_be_decoded(sound):
            return _header_facts(sound)
        meter, length = LevelMeter(), 0
        for block in sound.blocks(0, sound.length):
            meter.add(block)
            length += len(block)
        _check_length(length, sound.length, sound.file.samplerate)
        full_scale = _full_scale(meter, sound.is_float)
        return replace(_header_facts(sound), length=length, full_scale=full_scale, decoded=True)


def _has_to_be_decoded(sound: Sound) -> bool:
    return sound.length is None or sound.is_float


def _header_facts(sound: Sound) -> SoundFacts:
    file = sound.file
    return SoundFacts(file.samplerate, file.channels, file.frames, full_scale=1.0, decoded=False)


@contextmanager
def _open(path: Path) -> Iterator[Sound]:
    """Open a file, and refuse it if its header shows that it is unusable.

    Raises:
        AudioError: it is empty, not audio, truncated, too short, or its rate is out of range.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        raise AudioError("empty file")
    try:
        with open_sound(path) as sound:
            missing = truncation(sound.file, head)
            if missing:
                raise AudioError(f"truncated: {missing}")
            if sound.file.format == "OGG" and is_chained(path):
                raise AudioError(
                    "several streams one after another: libsndfile reads the first only; join "
                    f"them, {_HOW_TO_CONVERT}"
                )
            if sound.length is not None:
                check_format(sound.file.samplerate, sound.length)
            yield sound
    except soundfile.LibsndfileError as error:
        if error.code in _UNKNOWN_FORMAT:
            reason = f"the format is not known to libsndfile; convert it, {_HOW_TO_CONVERT}"
        else:
            reason = error.error_string
        raise AudioError(f"not readable as audio: {reason}") from error


def _check_length(found: int, expected: int | None, sample_rate: int) -> None:
    if expected is None:
        check_format(sample_rate, found)
    elif found < expected:
        raise AudioError(f"truncated: the header says {expected} samples, found {found}")


def _full_scale(meter: LevelMeter, is_float: bool) -> float:
    if not np.isfinite(meter.peak):
        raise AudioError("not finite: the samples contain NaN or infinity")
    try:
        full_scale = meter.full_scale()
    except ValueError as error:
        raise AudioError(str(error)) from None
    if full_scale != 1.0 and not is_float:
        raise AudioError(f"damaged: expected samples of about ±1, found a peak of {meter.peak:.3g}")
    return full_scale


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


def _read(sound: Sound, first: int, n_samples: int | None) -> tuple[FloatArray, LevelMeter]:
    """Read the mean of all channels, (N,) samples, and the level of the channels."""
    waves, meter = [np.zeros(0, dtype=np.float32)], LevelMeter()
    for block in sound.blocks(first, n_samples):
        meter.add(block)
        with np.errstate(over="ignore", invalid="ignore"):  # damaged float files are refused later
            waves.append(block[:, 0] if block.shape[1] == 1 else block.mean(axis=1))
    return np.concatenate(waves), meter


def _resample(wave: FloatArray, sample_rate: int) -> FloatArray:
    """Resample (N,) at ``sample_rate`` Hz to (N',) at 16 kHz, N' = ``resampled_length(N, …)``."""
    # Imported late: slow, and not needed by most corpora, which are at 16 kHz.
    from scipy.signal import resample_poly

    common = math.gcd(SAMPLE_RATE, sample_rate)
    resampled: FloatArray = resample_poly(wave, SAMPLE_RATE // common, sample_rate // common)
    return resampled.astype(np.float32, copy=False)
