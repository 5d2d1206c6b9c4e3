"""The interface between the driver and the places where jobs run."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from jobs.job import Job

if TYPE_CHECKING:
    from sweep.executors.usage import Usage


@dataclass(frozen=True)
class Outcome:
    """A job that is done: its result, or its error."""

    job: Job
    result: Any = None
    error: BaseException | None = None
    """None if the job succeeded."""
    died: Literal["died", "timeout", "memory", "disk"] | None = None
    """Reason why its process or node ended; None: it did not, and ``error`` is the job's own."""


class Executor(Protocol):
    """A place to run jobs. It never retries: the driver does."""

    def room(self, job: Job) -> bool:
        """Return whether ``job`` may be submitted now."""

    def submit(self, job: Job, *, alone: bool = False) -> None:
        """Take a job; a later ``wait`` returns its outcome.

        Args:
            job: what to do.
            alone: run it on a node without other work, as far as possible: it ran out of memory.
        """

    def help_stragglers(self) -> None:
        """Start copies of late jobs in free places, as no extraction job is waiting for them."""

    def wait(self, seconds: float) -> list[Outcome]:
        """Return the available outcomes after at most about ``seconds``; may be empty."""

    def usage(self) -> "Usage":
        """Return what is in use now."""

    def release(self, job: Job, *, last: bool) -> None:
        """Release the state that workers keep for this job's affinity: it was the affinity's last
        job, and with ``last`` no job of any affinity is left."""
