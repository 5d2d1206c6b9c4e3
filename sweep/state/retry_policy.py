"""Retry policy by cause of failure: number of attempts, and waits between them."""

from dataclasses import dataclass
from typing import Literal

from jobs.storage.atomic import DISK_FULL

Cause = Literal["died", "timeout", "memory", "io", "disk", "corrupt", "code"]


@dataclass(frozen=True)
class Policy:
    """Number of attempts, and the waits between them."""

    attempts: int
    """Number of attempts in total; work may fail for several causes, and all attempts count."""
    first_wait: float = 0.0
    """Seconds before the second attempt."""
    factor: float = 4.0
    """Ratio of each wait to the previous one."""


POLICIES: dict[Cause, Policy] = {
    "died": Policy(3, 1.0),
    "timeout": Policy(3, 1.0),
    "memory": Policy(3, 1.0),
    "io": Policy(5, 1.0),
    "corrupt": Policy(3),
    "code": Policy(1),
}
"""Policies by cause. A full disk has none: the run waits for it, however long it takes."""


LONGEST_WAIT = 60.0
"""Longest wait in seconds."""


def cause_of(error: BaseException | None) -> Cause:
    """Determine the cause of an error that a job raised."""
    # With numpy and threadpoolctl, which `sweep status` spares.
    from jobs.activations.manifest import CorruptShard
    from jobs.process import ran_out_of_memory

    if isinstance(error, CorruptShard):
        return "corrupt"
    if isinstance(error, OSError):
        return "disk" if error.errno in DISK_FULL else "io"
    return "memory" if ran_out_of_memory(error) else "code"


def may_try_again(cause: Cause, attempts: int) -> bool:
    """Return whether to retry work after ``attempts`` attempts, of which the last failed for
    ``cause``."""
    return cause == "disk" or attempts < POLICIES[cause].attempts


def wait_seconds(cause: Cause, attempts: int) -> float:
    """Return the wait after ``attempts`` attempts: storage may need a minute to recover."""
    if cause == "disk":
        return 0.0
    policy = POLICIES[cause]
    return float(min(policy.first_wait * policy.factor ** (attempts - 1), LONGEST_WAIT))
