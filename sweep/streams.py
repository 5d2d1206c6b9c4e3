"""Standard streams that cannot end the work: closed, full, without a reader, or in ASCII."""

import errno
import io
import os
import sys
from collections.abc import Collection

READER_IS_GONE = frozenset({errno.EPIPE, errno.EIO})
"""Errors of a pipe, and of a terminal, that nobody reads any more."""


class LossyStream(io.TextIOWrapper):
    """Text to a file descriptor; once that cannot be written to, to nowhere.

    Args:
        fd: the descriptor.
        tolerated: errors that lose what is written; None: all.
        closes: whether closing the stream closes the descriptor.
        encoding: of the text; characters that it lacks are replaced.
    """

    def __init__(
        self,
        fd: int,
        tolerated: Collection[int] | None = None,
        *,
        closes: bool = False,
        encoding: str = "utf-8",
    ) -> None:
        raw = io.FileIO(fd, "wb", closefd=closes)
        super().__init__(
            io.BufferedWriter(raw), encoding=encoding, errors="replace", line_buffering=raw.isatty()
        )
        self._tolerated = tolerated

    def write(self, text: str) -> int:
        """Write, or lose, all of ``text``."""
        try:
            return super().write(text)
        except OSError as error:
            self._lose(error)
            return len(text)

    def flush(self) -> None:
        """Write, or lose, what is buffered."""
        try:
            super().flush()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        if self._tolerated is not None and error.errno not in self._tolerated:
            raise error
        self.drop()

    def drop(self) -> None:
        """Lose all that was not written yet, and all that follows."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        super().flush()


def protect_standard_streams() -> None:
    """Replace the standard streams by such that no closed, full or lost one ends the process.

    What is printed on standard output may be data, and is lost without an error only if nobody
    reads it. Streams that were replaced already, as by tests, are left alone.
    """
    _open_closed_descriptors()
    if sys.stdout is None or _writes_to(sys.stdout, 1):
        sys.stdout = LossyStream(1, READER_IS_GONE, encoding=_encoding(sys.stdout))
    if sys.stderr is None or _writes_to(sys.stderr, 2):
        sys.stderr = LossyStream(2, encoding=_encoding(sys.stderr))
        sys.stderr.reconfigure(line_buffering=True)


def drop_standard_output() -> None:
    """Lose what could not be printed, so that it is not tried again at the end of the process."""
    if isinstance(sys.stdout, LossyStream):
        sys.stdout.drop()


def _open_closed_descriptors() -> None:
    """Let closed standard descriptors lead nowhere: the next file to be opened would take their
    place, and receive what is printed."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != fd:
                os.dup2(opened, fd)
                os.close(opened)


def _writes_to(stream: object, fd: int) -> bool:
    try:
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() == fd
    except OSError:  # a stream without a descriptor
        return False


def _encoding(stream: io.TextIOBase | object) -> str:
    return getattr(stream, "encoding", None) or "utf-8"
