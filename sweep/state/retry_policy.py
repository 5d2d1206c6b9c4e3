"""Rules of what is tried again, how often and after how long."""

from dataclasses import dataclass
from typing import Literal

from jobs.activations.manifest import CorruptShard
from jobs.process import ran_out_of_memory
from jobs.storage.atomic import DISK_FULL

Cause = Literal["died", "timeout", "memory", "io", "disk", "corrupt", "code"]


@dataclass(frozen=True)
class Policy:
    """How often, and how soon."""

    attempts: int
    """In all; work may fail for several causes, and all of its attempts count."""
    first_wait: float = 0.0
    """Seconds before the second."""
    factor: float = 4.0
    """Of each wait to the one before."""


POLICIES: dict[Cause, Policy] = {
    "died": Policy(3, 1.0),
    "timeout": Policy(3, 1.0),
    "memory": Policy(3, 1.0),
    "io": Policy(5, 1.0),
    "corrupt": Policy(3),
    "code": Policy(1),
}
"""No word of a full disk: it is waited for, however long it takes."""


LONGEST_WAIT = 60.0
"""Seconds."""


def cause_of(error: BaseException | None) -> Cause:
    """The cause, as far as an error tells it that a job raised."""
    if isinstance(error, CorruptShard):
        return "corrupt"
    if isinstance(error, OSError):
        return "disk" if error.errno in DISK_FULL else "io"
    return "memory" if ran_out_of_memory(error) else "code"


def may_try_again(cause: Cause, attempts: int) -> bool:
    """Whether work that was tried ``attempts`` times, at last failing for ``cause``, is again."""
    return cause == "disk" or attempts < POLICIES[cause].attempts


def wait_seconds(cause: Cause, attempts: int) -> float:
    """How long to wait after ``attempts`` of them: a storage may need a minute to recover."""
    if cause == "disk":
        return 0.0
    policy = POLICIES[cause]
    return float(min(policy.first_wait * policy.factor ** (attempts - 1), LONGEST_WAIT))
