"""Length and identity of an audio file, from its header, without decoding."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import soundfile

from jobs.audio.frames import SAMPLE_RATE, resampled_length
from jobs.audio.read import AudioError, check_format, piece_of
from jobs.audio.segments import Span
from jobs.identity import file_digest

_HEADER_BYTES = 42
_NO_MD5 = bytes(16)


class FlacHeader(NamedTuple):
    """The contents of a STREAMINFO block."""

    sample_rate: int
    channels: int
    n_samples: int
    """0 if the encoder did not know it."""
    md5: bytes
    """MD5 of the decoded audio; 16 zero bytes if the encoder did not compute it."""


@dataclass(frozen=True)
class AudioFile:
    """A usable audio file."""

    seconds: float
    n_samples: int
    """Samples after resampling to 16 kHz."""
    digest: str
    """Equal if the decoded audio is equal, whatever the path."""
    sample_rate: int
    """Sample rate of the file itself, in Hz."""
    channels: int
    length: int
    """Samples per channel, at the file's own rate."""

    def piece(self, span: Span) -> "AudioFile":
        """Return the description of a segment of the file.

        Raises:
            AudioError: the segment is beyond the end, or too short.
        """
        first, length = piece_of(span, self.sample_rate, self.length)
        return replace(
            self,
            seconds=length / self.sample_rate,
            n_samples=resampled_length(length, self.sample_rate),
            digest=f"{self.digest}@{first}+{length}",
            length=length,
        )


def describe_audio(path: Path, size: int) -> AudioFile:
    """Read the header of a file of ``size`` bytes.

    A FLAC header contains the MD5 of the audio; for other formats the whole file is hashed.

    Raises:
        AudioError: empty, not audio, or too short.
    """
    if path.suffix.lower() == ".flac":
        header = read_flac_header(path)
        sample_rate, channels, length = header.sample_rate, header.channels, header.n_samples
        md5 = header.md5
    else:
        sample_rate, channels, length = _sound_header(path, size)
        md5 = _NO_MD5
    check_format(sample_rate, length)
    n_samples = resampled_length(length, sample_rate)
    # A truncated file keeps its header, so the size is part of the identity.
    digest = f"{md5.hex() if md5 != _NO_MD5 else file_digest(path)}-{n_samples}-{size}"
    if (sample_rate, channels) != (SAMPLE_RATE, 1):
        # The MD5 covers the samples only, which sound different at another rate.
        digest += f"-{sample_rate}x{channels}"
    return AudioFile(length / sample_rate, n_samples, digest, sample_rate, channels, length)


def read_flac_header(path: Path) -> FlacHeader:
    """Read the STREAMINFO block (RFC 9639, section 8.2).

    The file begins with ``fLaC``; the first block must be STREAMINFO (type 0, 34 bytes). Its bytes
    10 to 17 pack 20 bits of sample rate, 3 of channels − 1, 5 of bits per sample − 1 and 36 of
    samples per channel; the last 16 bytes are the MD5 of the decoded samples.

    Raises:
        AudioError: empty, or not a FLAC file.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if not header:
        raise AudioError("empty file")
    if header.startswith(b"fLaC") and len(header) < _HEADER_BYTES:
        raise AudioError(f"truncated: a FLAC header has {_HEADER_BYTES} bytes, found {len(header)}")
    if header[:4] != b"fLaC" or len(header) < _HEADER_BYTES or header[4] & 0x7F != 0:
        raise AudioError(f"not FLAC audio: it begins with {header[:4]!r}, expected b'fLaC'")
    packed = int.from_bytes(header[18:26])
    return FlacHeader(
        sample_rate=packed >> 44,
        channels=(packed >> 41 & 0b111) + 1,
        n_samples=packed & (1 << 36) - 1,
        md5=header[26:42],
    )


def _sound_header(path: Path, size: int) -> tuple[int, int, int]:
    """Return rate, channels and samples per channel, read by libsndfile."""
    if size == 0:
        raise AudioError("empty file")
    try:
        info = soundfile.info(path)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"not readable as audio: {error.error_string}") from error
    return info.samplerate, info.channels, info.frames
