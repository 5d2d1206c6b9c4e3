"""The work of ``jobs`` as Ray actors and tasks: resources, threads, devices, and nothing else.

Every failure is left to the driver: Ray restarts no actor and retries no task, which would replay a
poison call for ever.
"""

from typing import Any

import ray

from jobs.extract import Extractor, ExtractSettings, Shard, ShardReport
from jobs.probe import CellResult, ProbeJob, probe_layer
from jobs.process import keep_freed_memory, limit_threads

NO_GPU: dict[str, Any] = {"runtime_env": {"env_vars": {"CUDA_VISIBLE_DEVICES": ""}}}
"""Ray shows every GPU to a task that asked for none (ray-project/ray#62492). Only for machines that
have some: an environment of its own costs every worker a new process."""


class _ExtractionActor:
    """A process that extracts: it holds one model at a time, loaded with the first shard of it.

    Loading in ``__init__`` would turn a model that does not load into a dead actor.
    """

    def __init__(self, device: str, cpus: int) -> None:
        limit_threads(cpus)
        keep_freed_memory()
        self._device = device
        self._settings: ExtractSettings | None = None
        self._extractor: Extractor | None = None

    def extract(self, settings: ExtractSettings, shard: Shard) -> ShardReport:
        """Extract one shard."""
        if self._extractor is None or settings != self._settings:
            self._extractor = None  # the old model goes before the new one comes
            self._extractor = Extractor(settings, device=self._device)
            self._settings = settings
        return self._extractor.extract(shard)


def _probe(job: ProbeJob, cpus: int) -> list[CellResult]:
    limit_threads(cpus)
    return probe_layer(job)


def extraction_actor(*, gpus: float, cpus: int, hide_gpus: bool) -> Any:
    """Start an actor that extracts; it ends when ``ray.kill`` is called on it."""
    options: dict[str, Any] = {"num_cpus": cpus, "max_restarts": 0, "max_task_retries": 0}
    options |= {"num_gpus": gpus} if gpus else NO_GPU if hide_gpus else {}
    device = "cuda" if gpus else "cpu"
    return ray.remote(_ExtractionActor).options(**options).remote(device, cpus)


def submit_probe(job: ProbeJob, *, cpus: int, hide_gpus: bool) -> Any:
    """Start a task that probes one layer."""
    options = {"num_cpus": cpus, "max_retries": 0} | (NO_GPU if hide_gpus else {})
    return ray.remote(_probe).options(**options).remote(job, cpus)
