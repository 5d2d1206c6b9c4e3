"""The work of ``jobs`` as Ray actors and tasks: resources, threads, devices, and nothing else.

Every failure is left to the driver: Ray restarts no actor and retries no task, which would replay a
poison call for ever.
"""

from typing import Any

import ray

from jobs.extract import Extractor, ExtractSettings, Shard, ShardReport
from jobs.probe import CellResult, ProbeJob, probe_layer
from jobs.threads import limit_threads

NO_GPU = {"env_vars": {"CUDA_VISIBLE_DEVICES": ""}}
"""Ray shows every GPU to a task that asked for none (ray-project/ray#62492)."""


class _ExtractionActor:
    """An ``Extractor`` in a process of its own; the model is loaded with the first shard.

    Loading in ``__init__`` would turn a model that does not load into a dead actor.
    """

    def __init__(self, settings: ExtractSettings, device: str, cpus: int) -> None:
        limit_threads(cpus)
        self._settings = settings
        self._device = device
        self._extractor: Extractor | None = None

    def extract(self, shard: Shard) -> ShardReport:
        """Extract one shard."""
        if self._extractor is None:
            self._extractor = Extractor(self._settings, device=self._device)
        return self._extractor.extract(shard)


def _probe(job: ProbeJob, cpus: int) -> list[CellResult]:
    limit_threads(cpus)
    return probe_layer(job)


def extraction_actor(settings: ExtractSettings, gpus: float, cpus: int) -> Any:
    """Start an actor that extracts with ``settings``; it ends when ``ray.kill`` is called on it."""
    options: dict[str, Any] = {"num_cpus": cpus, "max_restarts": 0, "max_task_retries": 0}
    options |= {"num_gpus": gpus} if gpus else {"runtime_env": NO_GPU}
    device = "cuda" if gpus else "cpu"
    return ray.remote(_ExtractionActor).options(**options).remote(settings, device, cpus)


def submit_probe(job: ProbeJob, cpus: int) -> Any:
    """Start a task that probes one layer."""
    options = {"num_cpus": cpus, "max_retries": 0, "runtime_env": NO_GPU}
    return ray.remote(_probe).options(**options).remote(job, cpus)
