"""Threads of a job: as many as it was given, so that every executor gives equal numbers."""

import torch
from threadpoolctl import threadpool_limits


def limit_threads(cpus: int) -> None:
    """Let torch and the BLAS libraries of this process use ``cpus`` threads."""
    torch.set_num_threads(cpus)
    threadpool_limits(limits=cpus)
