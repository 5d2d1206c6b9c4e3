"""What a process that works sets for itself: threads, freed memory, how long a job may take."""

import ctypes
import faulthandler
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from threadpoolctl import threadpool_limits

# Parameters of mallopt in glibc's malloc.h, and the largest mmap threshold that 64 bits allow.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD = 32 * 2**20

_NO_MEMORY = "can't allocate memory"
"""What torch's allocator of the CPU says (c10/core/impl/alloc_cpu.cpp), in a RuntimeError."""


def ran_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error says that there was no memory: the same may go well beside less work."""
    torch = sys.modules.get("torch")  # only a process that imported it can raise its errors
    if isinstance(error, MemoryError) or (torch and isinstance(error, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and _NO_MEMORY in str(error)


def limit_threads(cpus: int) -> None:
    """Let torch and the BLAS libraries use ``cpus`` threads: what the job was given, no more.

    Every executor calls it, so that all give equal numbers.
    """
    import torch

    torch.set_num_threads(cpus)
    threadpool_limits(limits=cpus)


def keep_freed_memory() -> None:
    """Let glibc keep what is freed, for the rest of this process.

    Else every tensor of some megabytes may be given back to the kernel and faulted in again: a
    tenth of a small network's time and more, by the luck of the heap's layout.
    """
    if sys.platform == "linux":
        glibc = ctypes.CDLL(None)
        glibc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        glibc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)


class TimeLimit:
    """Ends this process, with every thread's traceback in its log, when a job takes too long.

    What hangs may hold the interpreter, and no thread of Python would notice: faulthandler's
    watchdog is one of C. It has one deadline; of jobs at one time the first one's counts.

    Args:
        seconds: a job may take; None: any time.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._deadlines: list[float] = []
        self._lock = Lock()

    @contextmanager
    def job(self) -> Iterator[None]:
        """The length of a job."""
        if self._seconds is None:
            yield
            return
        deadline = time.monotonic() + self._seconds
        with self._lock:
            self._deadlines.append(deadline)
            self._arm()
        try:
            yield
        finally:
            with self._lock:
                self._deadlines.remove(deadline)
                self._arm()

    def _arm(self) -> None:
        faulthandler.cancel_dump_traceback_later()
        if self._deadlines:
            left = max(min(self._deadlines) - time.monotonic(), 0.001)
            faulthandler.dump_traceback_later(left, exit=True, file=sys.__stderr__ or 2)
