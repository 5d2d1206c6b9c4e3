"""Jobs in this process, one at a time: no Ray, and a debugger sees it all."""

from collections import deque

from jobs.extraction.extractor import Extractor
from jobs.probing.job import ProbeJob, probe_layer
from jobs.process import keep_freed_memory, limit_threads
from jobs.similarity.job import ComparisonJob, compare
from sweep.executors.base import Job, Outcome, Result
from sweep.spec.schema import Compute


class InlineExecutor:
    """Runs every job in this process, one at a time, in ``wait``."""

    def __init__(self, compute: Compute) -> None:
        self._compute = compute
        self._queue: deque[Job] = deque()
        self._extractors: dict[str, Extractor] = {}

    def room(self, job: Job) -> bool:
        """One job at a time."""
        return not self._queue

    def submit(self, job: Job, *, alone: bool = False) -> None:
        """Keep the job for ``wait``."""
        self._queue.append(job)

    def hasten(self) -> None:
        """Nobody is there to help."""

    def wait(self, seconds: float) -> list[Outcome]:
        """Run one job to its end, however long it takes."""
        if not self._queue:
            return []
        job = self._queue.popleft()
        try:
            return [Outcome(job, result=self._run(job))]
        except Exception as error:  # noqa: BLE001 - user code may raise anything; the driver records it
            return [Outcome(job, error=error)]

    def release(self, model: str, *, last: bool) -> None:
        """Drop the model."""
        self._extractors.pop(model, None)

    def _run(self, job: Job) -> Result:
        if isinstance(job, ProbeJob):
            limit_threads(self._compute.probe.cpus)
            return probe_layer(job)
        if isinstance(job, ComparisonJob):
            limit_threads(self._compute.probe.cpus)
            return compare(job)
        limit_threads(self._compute.extractor.cpus)
        keep_freed_memory()
        if job.model not in self._extractors:
            device = "cuda" if self._compute.extractor.gpus else "cpu"
            self._extractors[job.model] = Extractor(job.settings, device=device)
        return self._extractors[job.model].extract(job.shard)
