"""Files of lines in the cache, which several runs may append to at a time."""

import errno
import fcntl
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from jobs.storage.atomic import cut_torn_line
from jobs.storage.regular_files import open_to_write, read_regular

log = logging.getLogger(__name__)

_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


def read_whole_lines(path: Path) -> bytes:
    """Read a file, and cut off the line that a crash left unfinished.

    Raises:
        OSError: it cannot be read.
        DamagedFile: it is not a file.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = open_to_write(path, os.O_WRONLY | os.O_APPEND)
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        return read_regular(path) if path.exists() else b""
    with os.fdopen(descriptor, "ab") as file:
        # Another run may be writing: its unfinished line must not be cut as a torn one.
        fcntl.flock(file, fcntl.LOCK_EX)
        cut_torn_line(path)
        return read_regular(path)


def append_lines(path: Path, lines: Iterable[bytes]) -> bool:
    """Append lines, all or none; return whether the file may be written.

    Raises:
        OSError: the disk is full or broken.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = open_to_write(path, os.O_WRONLY | os.O_APPEND)
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        log.warning("nothing can be kept for later runs: %s", error)
        return False
    data = b"".join(line + b"\n" for line in lines)
    with os.fdopen(descriptor, "ab", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        cut_torn_line(path)
        before = os.fstat(descriptor).st_size
        try:
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, before)
            raise
    return True
