"""The work of ``jobs`` as Ray actors and tasks: resources, threads, devices, and nothing else.

Every failure is left to the driver: Ray restarts no actor and retries no task, which would replay a
poison call for ever.
"""

from collections.abc import Sequence
from threading import Lock
from typing import Any

import ray
import ray.exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from jobs.compare import ComparisonJob, ComparisonReport, compare
from jobs.extract import Extractor, ExtractSettings, Shard, ShardReport
from jobs.node import NodeReport, describe_node
from jobs.place import Place
from jobs.probe import CellResult, ProbeJob, probe_layer
from jobs.process import TimeLimit, keep_freed_memory, limit_threads

NO_GPU: dict[str, Any] = {"runtime_env": {"env_vars": {"CUDA_VISIBLE_DEVICES": ""}}}
"""Ray shows every GPU to a task that asked for none (ray-project/ray#62492). Only for machines that
have some: an environment of its own costs every worker a new process."""


class _ExtractionActor:
    """A process that extracts: it holds one model at a time, loaded with the first shard of it.

    Loading in ``__init__`` would turn a model that does not load into a dead actor.
    """

    def __init__(self, device: str, cpus: int, seconds: float | None) -> None:
        limit_threads(cpus)
        keep_freed_memory()
        self._limit = TimeLimit(seconds)
        self._device = device
        self._settings: ExtractSettings | None = None
        self._extractor: Extractor | None = None
        self._loading = Lock()

    def extract(self, settings: ExtractSettings, shard: Shard) -> ShardReport:
        """Extract one shard."""
        with self._limit.job():
            with self._loading:
                if self._extractor is None or settings != self._settings:
                    self._extractor = None  # the old model goes before the new one comes
                    self._extractor = Extractor(settings, device=self._device)
                    self._settings = settings
                extractor = self._extractor
            return extractor.extract(shard)


def _probe(job: ProbeJob, cpus: int, seconds: float | None) -> list[CellResult]:
    limit_threads(cpus)
    with TimeLimit(seconds).job():
        return probe_layer(job)


def _compare(job: ComparisonJob, cpus: int, seconds: float | None) -> ComparisonReport:
    limit_threads(cpus)
    with TimeLimit(seconds).job():
        return compare(job)


def extraction_actor(*, gpus: float, cpus: int, hide_gpus: bool, seconds: float | None) -> Any:
    """Start an actor that extracts; it ends when ``ray.kill`` is called on it.

    Args:
        gpus: it owns.
        cpus: it owns, and threads of torch.
        hide_gpus: see ``NO_GPU``.
        seconds: a shard may take, else the process ends; None: any time.
    """
    options: dict[str, Any] = {"num_cpus": cpus, "max_restarts": 0, "max_task_retries": 0}
    # Two calls at a time on a GPU: it computes one shard while the CPUs load the next.
    gpu = {"num_gpus": gpus, "max_concurrency": 2}
    options |= gpu if gpus else NO_GPU if hide_gpus else {}
    device = "cuda" if gpus else "cpu"
    return ray.remote(_ExtractionActor).options(**options).remote(device, cpus, seconds)


def submit_task(
    job: ProbeJob | ComparisonJob,
    *,
    cpus: int,
    reserved: int,
    hide_gpus: bool,
    seconds: float | None,
) -> Any:
    """Start a task that probes one layer, or of the comparison of layers.

    Args:
        job: what to do.
        cpus: threads.
        reserved: CPUs that nothing else of the run uses meanwhile, ``cpus`` or more.
        hide_gpus: see ``NO_GPU``.
        seconds: it may take, else its process ends; None: any time.
    """
    options = {"num_cpus": reserved, "max_retries": 0} | (NO_GPU if hide_gpus else {})
    work = _probe if isinstance(job, ProbeJob) else _compare
    return ray.remote(work).options(**options).remote(job, cpus, seconds)


def ask_nodes(
    node_ids: Sequence[str], places: Sequence[Place], seconds: float
) -> dict[str, NodeReport | str]:
    """Let every node describe itself; node id → its report, or why there is none.

    Args:
        node_ids: Ray's.
        places: see ``describe_node``; every node leaves a file that is named after its id.
        seconds: for all of them together.
    """
    asked = {}
    for node_id in node_ids:
        here = NodeAffinitySchedulingStrategy(node_id, soft=False)
        # No CPU: a node whose CPUs are taken answers, too.
        options = {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": here}
        asked[node_id] = ray.remote(describe_node).options(**options).remote(places, node_id)
    ready, _ = ray.wait(list(asked.values()), num_returns=len(asked), timeout=seconds)
    answers: dict[str, NodeReport | str] = {}
    for node_id, ref in asked.items():
        if ref not in ready:
            ray.cancel(ref, force=True)
            answers[node_id] = f"does not answer within {seconds:g} s"
            continue
        try:
            answers[node_id] = ray.get(ref)
        except ray.exceptions.RayError as error:
            answers[node_id] = f"cannot run jobs: {str(error).strip().splitlines()[-1]}"
    return answers
