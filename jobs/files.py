"""Files that are either whole or absent, whatever dies while they are written."""

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SLUG_LENGTH = 80
"""A file name has 255 bytes at most; two slugs, an id and the suffix of a temporary file fit."""


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


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically, as UTF-8."""
    write_bytes(path, text.encode())


def cut_torn_line(path: Path) -> int:
    """Cut off a last line that a crash left without its newline; how many bytes that were."""
    if not path.exists():
        return 0
    with path.open("r+b") as file:
        data = file.read()
        whole = data.rfind(b"\n") + 1
        file.truncate(whole)
    return len(data) - whole


def slug(name: str) -> str:
    """``name`` as a part of a file name: letters, digits, ``.``, ``_`` and ``-``, at most 80 of
    them, never empty or hidden."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:_SLUG_LENGTH].strip(".-") or "unnamed"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
