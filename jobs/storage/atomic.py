"""Writes files atomically: after a crash they are complete or absent."""

import errno
import os
import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_BLOCK = 1 << 16
_SLUG_LENGTH = 80
"""A file name has 255 bytes at most; two slugs, an id and the suffix of a temporary file fit."""

_TEMPORARY = re.compile(r"\..*\.[0-9a-f]{8}\.tmp(\.[^.]*)?", re.DOTALL)

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a full disk or an exhausted quota."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` to write to; moved onto ``path`` when the block succeeds.

    The data is on the disk before the name appears (fsync, then ``os.replace``, then fsync of the
    folder); when the block raises, the temporary file is removed and ``path`` is untouched.
    The suffix is kept, since some writers add one of their own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.tmp{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def is_temporary(name: str) -> bool:
    """Return whether a file name is that of an ``atomic_path``."""
    return _TEMPORARY.fullmatch(name) is not None


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically, as UTF-8."""
    write_bytes(path, text.encode())


def cut_torn_line(path: Path) -> int:
    """Remove a last line without newline, as a crash leaves it; return its number of bytes."""
    if not path.exists():
        return 0
    with path.open("r+b") as file:
        size = whole = file.seek(0, os.SEEK_END)
        while whole:  # backwards, block by block: the file may be larger than memory
            start = max(0, whole - _BLOCK)
            file.seek(start)
            newline = file.read(whole - start).rfind(b"\n")
            whole = start if newline < 0 else start + newline + 1
            if newline >= 0:
                break
        if whole < size:
            file.truncate(whole)
    return size - whole


def slug(name: str) -> str:
    """Return ``name`` as part of a file name: at most 80 letters, digits, ``.``, ``_`` and ``-``,
    never empty or hidden."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:_SLUG_LENGTH].strip(".-") or "unnamed"


def file_names(names: Iterable[str]) -> dict[str, str]:
    """Return a file name for each name, unique even on case-insensitive file systems."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        stem, number = slug(name), 2
        while stem.lower() in taken:
            stem = f"{slug(name)}-{number}"
            number += 1
        taken.add(stem.lower())
        found[name] = stem
    return found


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
