"""What the driver hands to an executor, and what it gets back."""

from dataclasses import dataclass
from typing import Literal, Protocol

from jobs.extraction.extractor import ExtractSettings, Shard, ShardReport
from jobs.probing.job import ProbeJob
from jobs.probing.results import CellResult
from jobs.similarity.job import ComparisonJob, ComparisonReport, SketchJob


@dataclass(frozen=True)
class ExtractJob:
    """One shard of one model."""

    model: str
    settings: ExtractSettings
    shard: Shard


Job = ExtractJob | ProbeJob | ComparisonJob
Result = ShardReport | list[CellResult] | ComparisonReport


def kind_of(job: Job) -> str:
    """Of jobs that take about as long as each other."""
    if isinstance(job, ExtractJob):
        return shards_of(job.model)
    if isinstance(job, ProbeJob):
        return f"layers of {job.model}"
    return f"sketches of {job.model}" if isinstance(job, SketchJob) else "comparisons"


def shards_of(model: str) -> str:
    """The kind of a model's shards."""
    return f"shards of {model}"


def title_of(job: Job) -> str:
    """Of a job, for people."""
    if isinstance(job, ExtractJob):
        return f"{job.model} / shard {job.shard.index}"
    return f"{job.model} / {job.layer}" if isinstance(job, ProbeJob) else f"comparison {job.place}"


@dataclass(frozen=True)
class Outcome:
    """What became of a job: a result, or an error."""

    job: Job
    result: Result | None = None
    error: BaseException | None = None
    died: Literal["died", "timeout", "memory", "disk"] | None = None
    """Why the process or node that ran it ended; None: it did not, and the error tells."""


class Executor(Protocol):
    """What the driver needs of a place to run jobs; it never retries, for the driver does."""

    def room(self, job: Job) -> bool:
        """Whether ``job`` may be submitted now."""

    def submit(self, job: Job, *, alone: bool = False) -> None:
        """Take a job; its outcome comes from a later ``wait``.

        Args:
            job: what to do.
            alone: as far as can be, beside nothing else on its machine: it ran out of memory.
        """

    def hasten(self) -> None:
        """There is no shard left to submit: places that are free may help those that are late."""

    def wait(self, seconds: float) -> list[Outcome]:
        """The outcomes there are, after at most about ``seconds``; none when nothing is done."""

    def release(self, model: str, *, last: bool) -> None:
        """The model's shards are all there, and with ``last`` those of all models: let go of it."""
