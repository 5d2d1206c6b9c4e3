"""Opening of sound files, of those too that do not say how long they are.

libsndfile reads no further than the length that it takes from a header, or estimates.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile

from jobs.audio.containers import Repair, find_repair
from jobs.audio.mpeg import start_without_length

BLOCK = 1 << 20
"""Samples per channel decoded at a time."""
_UNKNOWN_LENGTH = 2**63 - 1
"""libsndfile's frame count where the header has none."""
_TIMES_LONGER = 64
"""The largest bit rate of MPEG audio is 56 times the smallest."""
_TAIL = 128
"""Bytes at the end that MPEG decoders read to look for a tag."""

Samples = npt.NDArray[np.float32]


class RepairedFile:
    """A file as libsndfile should see it: without tags, with a length, or longer than it is."""

    def __init__(self, path: Path, repair: Repair) -> None:
        self._file = path.open("rb")
        self._repair = repair
        end = self._file.seek(0, 2) if repair.end is None else repair.end
        self._size = max(0, end - repair.start)
        self._end = self._size * _TIMES_LONGER + _TAIL if repair.endless else self._size
        self._position = 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move the position and return it."""
        self._position = offset + (0, self._position, self._end)[whence]
        return self._position

    def read(self, count: int) -> bytes:
        """Read at most ``count`` bytes."""
        if self._repair.endless and self._position >= self._end - _TAIL:
            return self._advance(bytes(min(count, self._end - self._position)))
        left = max(0, min(count, self._size - self._position))
        offset = self._repair.start + self._position
        self._file.seek(offset)
        content = bytearray(self._file.read(left))
        for at, patch in self._repair.patches:
            for position, byte in enumerate(patch, start=at - offset):
                if 0 <= position < len(content):
                    content[position] = byte
        if self._repair.endless and content:
            # The decoder fails on half a frame, and silence completes it.
            content += bytes(count - len(content))
        return self._advance(bytes(content))

    def _advance(self, content: bytes) -> bytes:
        self._position += len(content)
        return content


class _Stream(soundfile.SoundFile):  # type: ignore[misc]
    """A file of unknown length, read from its start: soundfile seeks after reading, if it can, and
    libsndfile cannot seek to an end that it does not know."""

    def seekable(self) -> bool:
        return False


class Sound(NamedTuple):
    """An open sound file."""

    file: soundfile.SoundFile
    length: int | None
    """Samples per channel; None: known when all is decoded."""

    @property
    def is_float(self) -> bool:
        """Whether its samples are stored as floats, which have no largest value."""
        return self.file.subtype in ("FLOAT", "DOUBLE")

    def blocks(self, first: int, n_samples: int | None) -> Iterator[Samples]:
        """Yield (N, channels) samples from ``first`` to the end, at most ``n_samples`` in all.

        They come block by block, so that a damaged header cannot cause a huge allocation.
        """
        if self.file.seekable():
            self.file.seek(first)
        else:
            for _ in self._blocks(first):
                pass
        yield from self._blocks(n_samples)

    def _blocks(self, n_samples: int | None) -> Iterator[Samples]:
        left = _UNKNOWN_LENGTH if n_samples is None else n_samples
        while len(block := self.file.read(min(left, BLOCK), dtype="float32", always_2d=True)):
            yield block
            left -= len(block)


@contextmanager
def open_sound(path: Path) -> Iterator[Sound]:
    """Open a sound file.

    Raises:
        soundfile.LibsndfileError: libsndfile cannot read it.
        OSError: the system cannot read it.
    """
    repair = find_repair(path)
    with _open(path, repair, soundfile.SoundFile) as file:
        start = start_without_length(path) if file.format == "MP3" else None
        if start is None and file.frames != _UNKNOWN_LENGTH:
            yield Sound(file, file.frames)
            return
    if start is not None:
        repair = Repair(start=start, endless=True)
    with _open(path, repair, _Stream) as file:
        yield Sound(file, None)


@contextmanager
def _open(
    path: Path, repair: Repair | None, kind: type[soundfile.SoundFile]
) -> Iterator[soundfile.SoundFile]:
    if repair is None:
        with kind(path) as file:
            yield file
    else:
        with closing(RepairedFile(path, repair)) as repaired, kind(repaired) as file:
            yield file
