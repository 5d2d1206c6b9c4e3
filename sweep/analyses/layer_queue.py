"""The queue of an analysis with one job per layer, whose file is complete when it is done."""

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import Protocol, TypeVar

from jobs.job import Job
from jobs.probing.layer_report import LayerReport
from sweep.analyses.base import QueueRecorder
from sweep.errors import reason
from sweep.state.run_folder import RunFolder
from sweep.wording import counted

log = logging.getLogger(__name__)


class LayerJob(Job, Protocol):
    """A job that reads the activations of one layer, writes a file and returns a `LayerReport`."""

    @property
    def model(self) -> str:
        """Name of the model."""

    @property
    def layer(self) -> str:
        """Name of the layer."""


LayerJobT = TypeVar("LayerJobT", bound=LayerJob)


class LayerFile(Protocol):
    """A layer of a plan with the file that its job writes."""

    @property
    def file(self) -> str:
        """Name of the file in the folder of predictions."""


LayerFileT = TypeVar("LayerFileT", bound=LayerFile)


def unfinished(folder: RunFolder, layers: Iterable[LayerFileT]) -> list[LayerFileT]:
    """Select the layers whose files are missing."""
    present = {path.name for path in folder.predictions.glob("*.npz")}
    return [layer for layer in layers if layer.file not in present]


def cost_of_layers(layers: int, jobs_left: int) -> str:
    """Describe the jobs of ``layers`` for ``sweep plan``."""
    left = f"{jobs_left} to do" if jobs_left else "all done"
    return f"{counted(layers, 'layer')}, {left}, no forward passes of their own"


class LayerQueue:
    """Hands out the jobs of layers. A ``sweep.work_queue.WorkQueue``.

    A job that fails leaves no file, so that the next run does it again.

    Args:
        analysis: name of the analysis.
        jobs: jobs that are left.
        others: names of further models, such as baselines, whose activations every job reads.
        is_extracted: whether the activations of the model with this name are complete.
        recorder: records the outcomes; None if jobs are only counted.
    """

    affinities: Collection[str] = ()

    def __init__(
        self,
        analysis: str,
        jobs: Iterable[LayerJobT],
        others: Collection[str],
        is_extracted: Callable[[str], bool],
        recorder: QueueRecorder | None,
    ) -> None:
        self._analysis = analysis
        self._jobs: deque[LayerJob] = deque(jobs)
        self._others = frozenset(others)
        self._is_extracted = is_extracted
        self._recorder = recorder
        self._dropped: set[str] = set()

    @property
    def models(self) -> frozenset[str]:
        """Names of the models whose activations are needed."""
        own = {job.model for job in self._jobs}
        return frozenset(own | self._others if own else own)

    @property
    def waiting(self) -> int:
        """Number of jobs that no executor has."""
        return len(self._jobs)

    def next(self, is_due: Callable[[str], bool], full: Collection[str]) -> LayerJob | None:
        """Return the first job that is due and whose activations are complete."""
        if not self._jobs or not all(map(self._is_extracted, self._others)):
            return None
        return next(
            (job for job in self._jobs if self._is_extracted(job.model) and is_due(job.key)), None
        )

    def sent(self, job: LayerJob) -> None:
        """Note that an executor has the job."""
        self._jobs.remove(job)

    def again(self, job: LayerJob) -> None:
        """Move the job to the end of the queue."""
        self._jobs.append(job)

    def finish(self, job: LayerJob, result: LayerReport) -> None:
        """Record the job, whose results are in its file."""
        if self._recorder:
            self._recorder.compared(result.seconds, self._analysis)
            for warning in result.warnings:
                self._recorder.warning(warning)

    def fail(self, job: LayerJob, error: BaseException | None) -> None:
        """Record that the layer has no result."""
        if not self.is_needed(job):
            return
        log.error("%s failed", job.title, exc_info=error)
        if self._recorder:
            self._recorder.failure(self._analysis, job.model, job.layer, reason(error))

    def flush(self) -> None:
        """Do nothing: jobs write their own files."""

    def drop(self, model: str, reason: str) -> None:
        """Give up the jobs of a model without activations, or all if every job needs the model."""
        self._dropped.add(model)
        self._jobs = deque(job for job in self._jobs if self.is_needed(job))

    def is_needed(self, job: LayerJob) -> bool:
        """Return False if its model, or another that it needs, was given up meanwhile."""
        return not self._dropped & {job.model, *self._others}
