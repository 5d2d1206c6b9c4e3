"""Truncated files whose length libsndfile lowers, with no more than an entry in its log."""

import re

import soundfile

from jobs.audio.containers import is_placeholder

_CHUNK = re.compile(r"^ *(?:data|SSND|BODY|riff|Data Size) *: (-?\d+) \(should be (\d+)\)$", re.M)
"""A chunk that ends beyond the file: WAV, AIFF, IFF, W64 and AU, in bytes."""
_RF64 = re.compile(r"frame count (\d+) does not match value from 'ds64' chunk of (-?\d+)")
_ALIGN = re.compile(r"^ *Block Align *: (\d+)$", re.M)
_SPHERE = re.compile(rb"^sample_count -i (\d+)$", re.M)
_SPHERE_HEADER = 1024


def truncation(file: soundfile.SoundFile, head: bytes) -> str | None:
    """Return what a file lacks, None if it is complete or does not say how long it is.

    Args:
        file: the open file.
        head: its first bytes.
    """
    log = file.extra_info
    for declared, found in ((int(cut[1]), int(cut[2])) for cut in _CHUNK.finditer(log)):
        align = _ALIGN.search(log)
        unit = int(align[1]) if align else 1
        # The padding byte at the end may be missing.
        if not is_placeholder(declared) and declared // unit > found // unit:
            return f"the header says {declared} bytes, found {found}"
    declared, found = _samples(file, log, head)
    if not is_placeholder(declared) and declared > found:
        return f"the header says {declared} samples, found {found}"
    return None


def _samples(file: soundfile.SoundFile, log: str, head: bytes) -> tuple[int, int]:
    """Return the declared and the found number of samples per channel, 0 if none is declared."""
    rf64 = _RF64.search(log)
    if rf64:
        return int(rf64[2]), int(rf64[1])
    sphere = _SPHERE.search(head[:_SPHERE_HEADER]) if file.format == "NIST" else None
    return int(sphere[1]) if sphere else 0, file.frames
