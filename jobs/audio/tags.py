"""Tags that players write around audio: ID3v2 before it, ID3v1 after it."""

from typing import BinaryIO

_ID3V2_HEADER = 10
_ID3V1_LENGTH = 128


def after_id3v2(file: BinaryIO, offset: int = 0) -> int:
    """Return the offset of what follows all ID3v2 tags at ``offset`` (ID3 2.4, section 3.1)."""
    while True:
        file.seek(offset)
        header = file.read(_ID3V2_HEADER)
        if header[:3] != b"ID3" or len(header) < _ID3V2_HEADER or max(header[6:10]) > 0x7F:
            return offset
        # Seven bits of each byte count.
        length = sum(byte << shift for byte, shift in zip(header[6:], (21, 14, 7, 0), strict=True))
        footer = _ID3V2_HEADER if header[5] & 0x10 else 0
        offset += _ID3V2_HEADER + length + footer


def before_id3v1(file: BinaryIO, size: int) -> int:
    """Return the offset at which an ID3v1 tag begins, ``size`` if there is none."""
    if size < _ID3V1_LENGTH:
        return size
    file.seek(size - _ID3V1_LENGTH)
    return size - _ID3V1_LENGTH if file.read(3) == b"TAG" else size
