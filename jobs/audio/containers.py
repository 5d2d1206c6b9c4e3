"""Headers without a length, or with a placeholder, as programs that write to a pipe leave them.

libsndfile takes most of them for empty files. A `Repair` says how to present such a file to it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from jobs.audio.tags import after_id3v2, before_id3v1

_Order = Literal["little", "big"]
_PLACEHOLDERS = (
    (0x7F000000, 0x7F00FFFF),
    (0x7FFF0000, 0x80000000),
    (0xFFFF0000, 0xFFFFFFFF),
    (1 << 62, 1 << 64),
)
"""Ranges of sizes that stand for "unknown": the largest numbers of 31, 32 and 64 bits, less the
length of a header; SoX writes 0x7FFFF000, and 0x7F000000 into AIFF."""
_MOST_CHUNKS = 1000


@dataclass(frozen=True)
class Repair:
    """Changes to a file that let libsndfile read all of it."""

    start: int = 0
    """Number of bytes to leave out before the audio."""
    end: int | None = None
    """Offset of the bytes to leave out after the audio."""
    patches: tuple[tuple[int, bytes], ...] = ()
    """(offset, bytes) that replace those of the file."""
    endless: bool = False
    """Present the file as much longer than it is: the length that libsndfile estimates from its
    size is then never too small, and decoding ends where the file ends."""


class _Chunk(NamedTuple):
    name: bytes
    content: int
    """Offset of its content."""
    size: int
    """Size of its content, as the header says."""


def is_placeholder(size: int) -> bool:
    """Return whether the size of a chunk stands for "unknown"."""
    return size <= 0 or any(low <= size <= high for low, high in _PLACEHOLDERS)


def find_repair(path: Path) -> Repair | None:
    """Return the repair that a file needs before libsndfile reads all of it, None for most."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        start = after_id3v2(file)
        file.seek(start)
        magic = file.read(12)
        if magic[:4] == b"fLaC":
            end = before_id3v1(file, size)
            return Repair(start, end) if start or end < size else None
        if start:
            known = magic[:4] in (b"RIFF", b"RF64", b"FORM", b"OggS", b"caff", b".snd")
            return Repair(start) if known else None
        patches = tuple(_patches(file, size, magic))
    return Repair(patches=patches) if patches else None


def _patches(file: BinaryIO, size: int, magic: bytes) -> Iterator[tuple[int, bytes]]:
    if magic[:4] in (b"RIFF", b"RF64") and magic[8:] == b"WAVE":
        yield from _wave_patches(file, size, magic[:4] == b"RF64")
    elif magic[:4] == b"FORM" and magic[8:] in (b"AIFF", b"AIFC"):
        for chunk in _chunks(file, 12, size, "big"):
            # Its content begins with two numbers of four bytes each.
            if chunk.name == b"SSND" and chunk.size <= 8 and _holds_audio(file, chunk, size, 8):
                yield chunk.content - 4, (size - chunk.content).to_bytes(4, "big")
    elif magic[:4] in (b".snd", b"dns."):
        order: _Order = "big" if magic[:4] == b".snd" else "little"
        if is_placeholder(int.from_bytes(magic[8:12], order)):
            yield 8, b"\xff\xff\xff\xff"
    elif magic[:4] == b"caff":
        for chunk in _chunks(file, 8, size, "big", width=8):
            if chunk.name == b"data" and is_placeholder(chunk.size):
                yield chunk.content - 8, (size - chunk.content).to_bytes(8, "big")


def _wave_patches(file: BinaryIO, size: int, is_rf64: bool) -> Iterator[tuple[int, bytes]]:
    """Yield the size of the data chunk; of RF64, it is in the chunk ``ds64``, as 64 bits."""
    sizes: _Chunk | None = None
    for chunk in _chunks(file, 12, size, "little"):
        if chunk.name == b"ds64":
            sizes = chunk
        if chunk.name != b"data":
            continue
        if not is_rf64:
            if chunk.size == 0 and _holds_audio(file, chunk, size):
                yield chunk.content - 4, b"\xff\xff\xff\xff"
        elif sizes is not None:
            file.seek(sizes.content + 8)
            length = int.from_bytes(file.read(8), "little")
            if is_placeholder(length):
                yield sizes.content, (size - 8).to_bytes(8, "little")
                yield sizes.content + 8, (size - chunk.content).to_bytes(8, "little")
                yield chunk.content - 4, b"\xff\xff\xff\xff"


def _chunks(
    file: BinaryIO, offset: int, size: int, order: _Order, width: int = 4
) -> Iterator[_Chunk]:
    """Yield the chunks from ``offset`` to the one that ends beyond the file."""
    for _ in range(_MOST_CHUNKS):
        file.seek(offset)
        header = file.read(4 + width)
        if len(header) < 4 + width:
            return
        chunk = _Chunk(header[:4], offset + 4 + width, int.from_bytes(header[4:], order))
        yield chunk
        # Chunks of RIFF and IFF are padded to an even length, those of CAF are not.
        offset = chunk.content + chunk.size + (chunk.size % 2 if width == 4 else 0)
        if offset >= size:
            return


def _holds_audio(file: BinaryIO, chunk: _Chunk, size: int, skipped: int = 0) -> bool:
    """Return whether the header of a chunk is followed by content and not by another chunk."""
    file.seek(chunk.content + skipped)
    following = file.read(8)
    is_chunk = len(following) == 8 and all(0x20 <= byte < 0x7F for byte in following[:4])
    return bool(following) and not is_chunk
