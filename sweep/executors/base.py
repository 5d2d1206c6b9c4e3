"""The interface between the driver and the places where jobs run."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from jobs.job import Job


@dataclass(frozen=True)
class Outcome:
    """A job that is done: its result, or its error."""

    job: Job
    result: Any = None
    error: BaseException | None = None
    """None: the job succeeded."""
    died: Literal["died", "timeout", "memory", "disk"] | None = None
    """Why the process or node that ran it ended; None: it did not, and ``error`` says what went
    wrong."""


class Executor(Protocol):
    """A place to run jobs. It never retries: the driver does."""

    def room(self, job: Job) -> bool:
        """Whether ``job`` may be submitted now."""

    def submit(self, job: Job, *, alone: bool = False) -> None:
        """Take a job; a later ``wait`` returns its outcome.

        Args:
            job: what to do.
            alone: run it on a node without other work, as far as possible: it ran out of memory.
        """

    def help_stragglers(self) -> None:
        """Free places may run copies of late jobs: no job that keeps a model loaded waits."""

    def wait(self, seconds: float) -> list[Outcome]:
        """The outcomes there are, after at most about ``seconds``; may be empty."""

    def release(self, job: Job, *, last: bool) -> None:
        """Let go of what workers keep for this job's affinity: it was the affinity's last job, and
        with ``last`` no job of any affinity is left."""
