"""Opens files in folders that several people may write to.

A name that a run knows can have been replaced there by a link, a pipe or a folder. Reading such a
pipe would wait forever, and writing to such a link would change a file elsewhere.
"""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

MOST_BYTES = 2**31
"""Largest file that is read as a whole; a plan of a million cells has some megabytes."""
_MODE = 0o666
"""Permissions of new files before the umask, as of every file that Python makes."""


class DamagedFile(ValueError):  # noqa: N818 - a finding about data, as FileNotFound would be
    """A file that cannot be what it should be; the message says where and what was expected."""


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading.

    Raises:
        OSError: there is none, or it cannot be read.
        DamagedFile: it is a folder, a pipe or a device.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    return open(_checked(descriptor, path), "rb")


def read_regular(path: Path, most: int = MOST_BYTES) -> bytes:
    """Read a file.

    Raises:
        OSError: there is none, or it cannot be read.
        DamagedFile: it is a folder, a pipe or a device, or has more than ``most`` bytes.
    """
    with open_regular(path) as file:
        n_bytes = os.fstat(file.fileno()).st_size
        if n_bytes > most:
            raise DamagedFile(f"{path} has {n_bytes} bytes: expected at most {most}")
        return file.read(most)


def open_to_write(path: Path, flags: int) -> int:
    """Open a file of a known name for writing, creating it if it does not exist.

    Args:
        path: the file.
        flags: ``os.O_RDWR``, or ``os.O_WRONLY | os.O_APPEND``.

    Returns:
        Its descriptor.

    Raises:
        OSError: it cannot be written, or is a link.
        DamagedFile: it is a folder, a pipe or a device.
    """
    flags |= os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, _MODE)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        reason = "is a link, which is not written through: delete it, or choose another folder"
        raise OSError(errno.ELOOP, reason, str(path)) from None
    return _checked(descriptor, path)


def _checked(descriptor: int, path: Path) -> int:
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise DamagedFile(f"{path} is {kind}: expected a file; move it away")
    return descriptor
