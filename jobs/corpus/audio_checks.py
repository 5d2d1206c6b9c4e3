"""Length and identity of an audio file, from its header where that says enough."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from jobs.audio.frames import SAMPLE_RATE, resampled_length
from jobs.audio.read import AudioError, SoundFacts, check_format, examine, piece_of
from jobs.audio.segments import Span
from jobs.audio.tags import after_id3v2
from jobs.corpus.examined import ExaminedFiles
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
    full_scale: float = 1.0
    """Value of a full-scale sample, by which the samples are divided."""

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


def describe_audio(path: Path, size: int, examined: ExaminedFiles | None = None) -> AudioFile:
    """Describe a file of ``size`` bytes, from its header if that says enough.

    A FLAC header contains the MD5 of the audio; for other formats the whole file is hashed. A file
    is decoded only if its length has to be counted, or the level of its float samples measured.

    Args:
        path: the file.
        size: its bytes.
        examined: facts of files that were decoded before.

    Raises:
        AudioError: empty, not audio, too short, or of unknown level.
    """
    is_flac = path.suffix.lower() == ".flac"
    header = read_flac_header(path) if is_flac else None
    has_md5 = header is not None and header.md5 != _NO_MD5
    content = header.md5.hex() if header is not None and has_md5 else file_digest(path)
    if header is not None and header.n_samples:
        sound = SoundFacts(header.sample_rate, header.channels, header.n_samples, 1.0, False)
    elif is_flac and header is None:
        sound = _examine_other(path)
    elif examined is None or has_md5:
        sound = examine(path)
    else:
        sound = examined.facts(path, content)
    check_format(sound.sample_rate, sound.length)
    n_samples = resampled_length(sound.length, sound.sample_rate)
    # A truncated file keeps its header, so the size is part of the identity.
    digest = f"{content}-{n_samples}-{size}"
    if (sound.sample_rate, sound.channels) != (SAMPLE_RATE, 1):
        # The MD5 covers the samples only, which sound different at another rate.
        digest += f"-{sound.sample_rate}x{sound.channels}"
    if sound.full_scale != 1.0:
        # Earlier versions used these samples as they are.
        digest += f"-fs{sound.full_scale:.0f}"
    return AudioFile(
        seconds=sound.length / sound.sample_rate,
        n_samples=n_samples,
        digest=digest,
        sample_rate=sound.sample_rate,
        channels=sound.channels,
        length=sound.length,
        full_scale=sound.full_scale,
    )


def _examine_other(path: Path) -> SoundFacts:
    """Examine a file that is called FLAC but is something else, which libsndfile may know."""
    try:
        return examine(path)
    except AudioError as error:
        with path.open("rb") as file:
            begin = file.read(4)
        raise AudioError(
            f"not FLAC audio: it begins with {begin!r}, expected b'fLaC'; {error}"
        ) from error


def read_flac_header(path: Path) -> FlacHeader | None:
    """Read the STREAMINFO block (RFC 9639, section 8.2), None if the file is not FLAC.

    The file begins with ``fLaC``, perhaps after ID3v2 tags; the first block must be STREAMINFO
    (type 0, 34 bytes). Its bytes 10 to 17 pack 20 bits of sample rate, 3 of channels − 1, 5 of bits
    per sample − 1 and 36 of samples per channel; the last 16 bytes are the MD5 of the decoded
    samples.

    Raises:
        AudioError: empty, or too short for a header.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
        if header.startswith(b"ID3"):
            file.seek(after_id3v2(file))
            header = file.read(_HEADER_BYTES)
    if not header:
        raise AudioError("empty file")
    if not header.startswith(b"fLaC"):
        return None
    if len(header) < _HEADER_BYTES:
        raise AudioError(f"truncated: a FLAC header has {_HEADER_BYTES} bytes, found {len(header)}")
    if header[4] & 0x7F != 0:
        return None
    packed = int.from_bytes(header[18:26])
    return FlacHeader(
        sample_rate=packed >> 44,
        channels=(packed >> 41 & 0b111) + 1,
        n_samples=packed & (1 << 36) - 1,
        md5=header[26:42],
    )
