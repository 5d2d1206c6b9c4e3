"""Where the driver's log goes: a file, with all that Ray and native libraries print on the way."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from jobs.secrets import without_secrets


def terminal_stream() -> TextIO:
    """A stream to what standard error is now, which stays whole when fd 2 is captured."""
    return os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace")


class _Formatter(logging.Formatter):
    """A log is shown around: it has no passwords."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


@contextmanager
def driver_log(path: Path) -> Iterator[None]:
    """While the block runs, logging and everything written to fd 2 is appended to ``path``.

    Ray's ``(raylet)`` lines reach fd 2 whatever its options say, and would tear the live view.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    sys.stderr.flush()
    saved = os.dup(2)
    with path.open("ab") as file:
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
