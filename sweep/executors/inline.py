"""Jobs in this process, one at a time: without Ray, and open to a debugger."""

from jobs.job import Job, Worker
from jobs.process import keep_freed_memory, limit_threads
from jobs.user_code import run_job
from sweep.executors.base import Outcome
from sweep.executors.usage import Usage
from sweep.spec.schema import Compute


class InlineExecutor:
    """Runs every job in this process, one at a time, in ``wait``."""

    def __init__(self, compute: Compute) -> None:
        keep_freed_memory()
        self._cpus = {"extractor": compute.extractor.cpus, "probe": compute.probe.cpus}
        self._worker = Worker("cuda" if compute.extractor.gpus else "cpu")
        self._job: Job | None = None

    def room(self, job: Job) -> bool:
        """Return whether no job is pending."""
        return self._job is None

    def submit(self, job: Job, *, alone: bool = False) -> None:
        """Keep the job for ``wait``."""
        self._job = job

    def help_stragglers(self) -> None:
        """Do nothing, since there is no other place."""

    def wait(self, seconds: float) -> list[Outcome]:
        """Run one job to completion, however long it takes."""
        job, self._job = self._job, None
        if job is None:
            return []
        limit_threads(self._cpus[job.resources])
        try:
            return [Outcome(job, result=run_job(job, self._worker))]
        except Exception as error:  # noqa: BLE001 - user code may raise anything; the driver records it
            return [Outcome(job, error=error)]

    def usage(self) -> Usage:
        """Return the one place there is."""
        return Usage(nodes=1, jobs=int(self._job is not None), places=1)

    def release(self, job: Job, *, last: bool) -> None:
        """Drop the worker's state."""
        self._worker.drop()
