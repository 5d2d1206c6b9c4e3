"""What a process that works sets for itself: threads, and what becomes of freed memory."""

import ctypes
import sys

import torch
from threadpoolctl import threadpool_limits

# Parameters of mallopt in glibc's malloc.h, and the largest mmap threshold that 64 bits allow.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD = 32 * 2**20


def limit_threads(cpus: int) -> None:
    """Let torch and the BLAS libraries use ``cpus`` threads: what the job was given, no more.

    Every executor calls it, so that all give equal numbers.
    """
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
