"""The interface between the driver and the kinds of work that a run consists of."""

from collections.abc import Callable, Collection
from typing import Any, Protocol, TypeVar

from jobs.job import Job

JobT = TypeVar("JobT", bound=Job)


class WorkQueue(Protocol[JobT]):
    """The jobs of one kind that are left. The driver loops over queues and knows no kind.

    A job is taken with ``next``, leaves the queue with ``sent``, and comes back once: to ``finish``
    with its result, to ``fail`` with its last error, or to ``again`` if it is to be retried.
    """

    @property
    def waiting(self) -> int:
        """Jobs that are not sent, whether they may begin now or not."""

    @property
    def affinities(self) -> Collection[str]:
        """Affinities (see ``jobs.job.Job``) of the jobs that wait or are in flight."""

    def next(self, is_due: Callable[[str], bool], full: Collection[str]) -> JobT | None:
        """The first job that can begin now; it stays in the queue until ``sent``.

        Args:
            is_due: whether the job with this key may be tried now.
            full: affinities that the executor has no room for.
        """

    def sent(self, job: JobT) -> None:
        """An executor has taken the job."""

    def is_needed(self, job: JobT) -> bool:
        """Whether a job in flight is still worth a retry."""

    def again(self, job: JobT) -> None:
        """Put a job back that is to be retried."""

    def finish(self, job: JobT, result: Any) -> None:
        """Take in the result of a job."""

    def fail(self, job: JobT, error: BaseException | None) -> None:
        """Take in that a job failed for good."""

    def flush(self) -> None:
        """Write what was taken in to the disk: called once for all jobs that came back together."""


class NeedsActivations(Protocol):
    """Work that reads the activations of models."""

    def drop(self, model: str, reason: str) -> None:
        """Give up what needs a model whose extraction failed for good."""
