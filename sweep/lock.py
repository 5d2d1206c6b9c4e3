"""One driver a run: a lock that the kernel releases when its holder dies, however it dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class RunIsLocked(RuntimeError):  # noqa: N818 - a state of the run, as FileExists would be
    """Another driver works on the run."""


@contextmanager
def run_lock(path: Path) -> Iterator[None]:
    """Hold the run's lock while the block runs.

    Raises:
        RunIsLocked: another process holds it; the message names its pid.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise RunIsLocked(
                f"{path.parent} is being worked on by process {holder}: "
                "wait for it, stop it, or choose another folder with --out"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
