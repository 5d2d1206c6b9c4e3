"""Setup of a worker process: threads, freed memory, and the time limit of jobs."""

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
"""Message of the RuntimeError of torch's CPU allocator (c10/core/impl/alloc_cpu.cpp)."""


def ran_out_of_memory(error: BaseException | None) -> bool:
    """Return whether an error is a lack of memory, which may not recur next to less work."""
    torch = sys.modules.get("torch")  # only a process that imported it can raise its errors
    if isinstance(error, MemoryError) or (torch and isinstance(error, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and _NO_MEMORY in str(error)


def limit_threads(cpus: int) -> None:
    """Limit torch and the BLAS libraries to ``cpus`` threads.

    Every executor calls it, so that all compute equal numbers.
    """
    import torch

    torch.set_num_threads(cpus)
    threadpool_limits(limits=cpus)


def keep_freed_memory() -> None:
    """Make glibc keep freed memory for the rest of this process.

    Otherwise tensors of some megabytes may be returned to the kernel and faulted in again, which
    takes a tenth of a small network's time or more, depending on the heap's layout.
    """
    if sys.platform == "linux":
        glibc = ctypes.CDLL(None)
        glibc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        glibc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)


class TimeLimit:
    """Ends this process, logging every thread's traceback, when a job takes too long.

    A hanging job may hold the interpreter lock, so the watchdog is faulthandler's, a thread in C.
    It has a single deadline: the earliest one of all running jobs.

    Args:
        seconds: maximum time of a job; None: no limit.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._deadlines: list[float] = []
        self._lock = Lock()

    @contextmanager
    def job(self) -> Iterator[None]:
        """Apply the time limit to a job while the context is open."""
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
