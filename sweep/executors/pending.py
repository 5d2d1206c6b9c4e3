"""Jobs that were sent to Ray, and the outcome of those that returned."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch

from jobs.job import Job
from jobs.process import ran_out_of_memory
from jobs.workers.ray_workers import Ended
from sweep.executors.actor_pool import Actor
from sweep.executors.base import Outcome
from sweep.executors.preflight import Demand


@dataclass
class PendingJob:
    """A job on Ray."""

    job: Job
    sent: float
    """Time at which it was sent."""
    actor: Actor | None = None
    """Actor that has it, if it is a shard."""
    held: Demand | None = None
    """Resources that it holds, if it is not a shard."""
    nodes: frozenset[str] | None = None
    """Nodes that it may run on, if it is not a shard; None: all."""
    twin: Any = None
    """Speculative copy of the job; the first result counts."""
    helpers: int = 0
    """Number of copies that were started, whatever their outcome."""
    helped: float = -math.inf
    """Time of the last copy."""
    begun: float = field(init=False)
    """Later than ``sent`` if its actor had another shard first; tasks are in a ``Line``."""

    def __post_init__(self) -> None:
        self.begun = self.sent


def outcome_of(job: Job, ended: Ended, minutes: float | None, seconds: float | None) -> Outcome:
    """Make the outcome of a job that returned, died, or was ended at its time limit.

    Args:
        job: the job.
        ended: how it ended.
        minutes: its time limit, if it has one.
        seconds: time since it began; None: it never did.
    """
    if ended.died != "died" or minutes is None:
        return Outcome(job, ended.result, ended.error, ended.died)
    if seconds is None or seconds < 60 * minutes:
        return Outcome(job, error=ended.error, died="died")
    late = TimeoutError(
        f"no result within {minutes:g} minutes (compute.timeout): its process was ended, with a "
        "traceback in Ray's log of that worker"
    )
    late.__cause__ = ended.error
    return Outcome(job, error=late, died="timeout")


def lacked_shared_memory(error: BaseException | None, gpus: float) -> bool:
    """Return whether fewer actors, with ``gpus`` each, would have avoided the error: a GPU that an
    actor owns is not shared."""
    own_gpu = gpus >= 1 and isinstance(error, torch.OutOfMemoryError)
    return ran_out_of_memory(error) and not own_gpu
