"""The driver's log file, which also captures output of Ray and native libraries."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from jobs.secrets import without_secrets
from jobs.storage.regular_files import open_to_write
from sweep.streams import LossyStream


def terminal_stream() -> TextIO:
    """Open a stream to the current standard error that is not affected when fd 2 is captured.

    It is never an error to write to it: a run does not end because nobody sees it.
    """
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    return LossyStream(os.dup(2), closes=True, encoding=encoding)


class _Formatter(logging.Formatter):
    """Formats records without passwords, since logs are shared."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


@contextmanager
def driver_log(path: Path) -> Iterator[None]:
    """While the block runs, logging and everything written to fd 2 is appended to ``path``.

    Ray's ``(raylet)`` lines reach fd 2 regardless of its options, and would break up the live view.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The name is known: what somebody put there in its place is not written through.
    file = os.fdopen(open_to_write(path, os.O_WRONLY | os.O_APPEND), "a", encoding="utf-8")
    handler = logging.StreamHandler(file)
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    sys.stderr.flush()
    saved = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(saved, 2)
        os.close(saved)
        root.setLevel(level)
        root.removeHandler(handler)
        handler.close()
        file.close()
