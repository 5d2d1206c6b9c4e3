"""Ogg: whether a file has several streams one after another; libsndfile reads only the first."""

from pathlib import Path

from jobs.audio.tags import after_id3v2

_PAGE_HEADER = 27
_BEGINS = 0x02
"""Flag of the first page of a stream."""


def is_chained(path: Path) -> bool:
    """Return whether a stream begins after others have had audio (RFC 3533, section 4).

    The streams that play together begin with the first pages of the file. Reading stops at what is
    not a page.
    """
    has_audio = False
    with path.open("rb") as file:
        offset = after_id3v2(file)
        while True:
            file.seek(offset)
            header = file.read(_PAGE_HEADER)
            if len(header) < _PAGE_HEADER or header[:4] != b"OggS":
                return False
            begins = bool(header[5] & _BEGINS)
            if begins and has_audio:
                return True
            has_audio = has_audio or not begins
            segments = file.read(header[26])
            offset += _PAGE_HEADER + len(segments) + sum(segments)
