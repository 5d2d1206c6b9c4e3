"""MPEG audio (MP3): whether a file says how many frames it has.

The format has no length. Encoders that can seek write it into the first frame, as a Xing (or Info)
header; without that, decoders guess it from the bit rate of the first frame and the size of the
file, far off where the bit rate varies or a picture is attached.
"""

from pathlib import Path
from typing import BinaryIO, NamedTuple

from jobs.audio.tags import after_id3v2

_KBPS = {
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""(version, layer) → kbit/s by index; MPEG 2.5 is as MPEG 2. Index 0 is "free", of unknown size."""
_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""Code of the version → Hz by index."""
_SEARCHED = 1 << 16
"""Bytes after the ID3 tags in which the first frame is looked for."""
_VBRI_AT = 36
_HAS_FRAMES, _HAS_BYTES = 1, 2


class Frame(NamedTuple):
    """A frame, as its four bytes of header describe it."""

    kind: tuple[int, int, int]
    """Version, layer and sample rate, which all frames of a file share."""
    size: int
    """Bytes, with the header."""
    tag_at: int
    """Bytes from its start to the place of a Xing header."""


def frame_at(data: bytes, offset: int) -> Frame | None:
    """Parse the header of the frame at ``offset``, None if there is none (ISO 11172-3, 2.4.1.3)."""
    header = data[offset : offset + 4]
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    code, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    rate_index, kbps_index = header[2] >> 2 & 3, header[2] >> 4
    if code == 1 or layer == 4 or rate_index == 3 or kbps_index in (0, 15):
        return None
    version = 1 if code == 3 else 2
    kbps, hertz = _KBPS[version, layer][kbps_index], _HZ[code][rate_index]
    padding = header[2] >> 1 & 1
    if layer == 1:
        size = (12_000 * kbps // hertz + padding) * 4
    else:
        size = (72_000 if (version, layer) == (2, 3) else 144_000) * kbps // hertz + padding
    mono = header[3] >> 6 == 3
    side = {(1, False): 32, (1, True): 17, (2, False): 17, (2, True): 9}[version, mono]
    return Frame((code, layer, hertz), size, 4 + side)


def start_without_length(path: Path) -> int | None:
    """Return the offset of the first frame if its file does not say how many frames follow.

    None: a Xing header says it. It does not count where frames follow those of its own stream, as
    in files that were joined.
    """
    with path.open("rb") as file:
        tags = after_id3v2(file)
        file.seek(tags)
        data = file.read(_SEARCHED)
        found = _first_frame(data)
        if found is None:
            return tags
        offset, frame = found
        start = tags + offset
        if data[offset + _VBRI_AT :][:4] == b"VBRI":
            return start + frame.size
        tag = data[offset + frame.tag_at :][:16]
        if tag[:4] not in (b"Xing", b"Info") or len(tag) < 16:
            return start
        flags, n_frames = int.from_bytes(tag[4:8]), int.from_bytes(tag[8:12])
        if not flags & _HAS_FRAMES or n_frames == 0:
            return start + frame.size
        if flags & _HAS_BYTES and _goes_on(file, start + int.from_bytes(tag[12:16]), frame):
            return start + frame.size
        return None


def _first_frame(data: bytes) -> tuple[int, Frame] | None:
    """Find the first frame that is followed by another of its kind."""
    offset = data.find(b"\xff")
    while offset >= 0:
        frame = frame_at(data, offset)
        if frame is not None:
            after = frame_at(data, offset + frame.size)
            if after is not None and after.kind == frame.kind:
                return offset, frame
        offset = data.find(b"\xff", offset + 1)
    return None


def _goes_on(file: BinaryIO, offset: int, first: Frame) -> bool:
    """Return whether two frames like ``first`` are at ``offset``."""
    offset = after_id3v2(file, offset)
    file.seek(offset)
    frame = frame_at(file.read(4), 0)
    if frame is None or frame.kind != first.kind:
        return False
    file.seek(offset + frame.size)
    after = frame_at(file.read(4), 0)
    return after is not None and after.kind == first.kind
