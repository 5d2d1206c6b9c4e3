"""Run jobs as Ray actors and tasks, with their resources, threads and devices.

The driver handles all failures: Ray neither restarts actors nor retries tasks, as it would repeat a
call that kills its process forever.
"""

import pickle
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import ray
import ray.exceptions
from ray.util.scheduling_strategies import (
    In,
    NodeAffinitySchedulingStrategy,
    NodeLabelSchedulingStrategy,
)

from jobs.job import Job, Worker
from jobs.process import TimeLimit, keep_freed_memory, limit_threads
from jobs.storage.location import Location
from jobs.user_code import run_job
from jobs.workers.node import NodeReport, describe_node
from jobs.workers.usage import MachineUsage, UsageMeter

NO_GPU: dict[str, Any] = {"runtime_env": {"env_vars": {"CUDA_VISIBLE_DEVICES": ""}}}
"""Environment that hides GPUs, which Ray shows to tasks that requested none
(ray-project/ray#62492). Use it only on machines that have GPUs: a separate environment costs every
worker a new process."""
NODE_LABEL = "ray.io/node-id"
"""Ray labels every node with its id."""


DEVICE_OF_GPUS = "cuda"
"""Torch's device for the GPUs that Ray assigned to an actor."""


@dataclass(frozen=True)
class JobResult:
    """Return value of a job, with its node and duration."""

    result: Any
    node: str
    """Ray's id of the node."""
    seconds: float
    """Wall time."""
    usage: MachineUsage | None = None
    """Use of its machine during that time."""


class _JobActor:
    """A process that runs jobs and keeps a value between them.

    Loading a model in ``__init__`` would turn a model that does not load into a dead actor.
    """

    def __init__(self, device: str, cpus: int, seconds: float | None) -> None:
        limit_threads(cpus)
        keep_freed_memory()
        self._limit = TimeLimit(seconds)
        self._worker = Worker(device)

    def run(self, job: Job) -> JobResult:
        """Run one job."""
        with self._limit.job():
            return _run(job, self._worker)


def _run_task(packed: bytes, cpus: int, seconds: float | None) -> JobResult:
    limit_threads(cpus)
    with TimeLimit(seconds).job():
        job: Job = pickle.loads(packed)
        return _run(job, Worker())


def _run(job: Job, worker: Worker) -> JobResult:
    start, meter = time.perf_counter(), UsageMeter()
    result = run_job(job, worker)
    return JobResult(result, _here(), time.perf_counter() - start, meter.look())


def _here() -> str:
    node: str = ray.get_runtime_context().get_node_id()
    return node


@cache
def _on_ray(work: Callable[..., Any]) -> Any:
    """Wrap ``work`` for Ray, once: each wrapper sends its code to the cluster, where it stays. Ray
    itself sends it again to the next cluster that this process connects to."""
    return ray.remote(work)


def start_actor(
    node: str,
    *,
    gpus: float,
    cpus: int,
    memory: int,
    hide_gpus: bool,
    seconds: float | None,
) -> Any:
    """Start an actor that runs jobs one after the other; it ends when ``ray.kill`` is called on it.

    Args:
        node: Ray's id of the node that it must run on, or wait for.
        gpus: GPUs that it owns.
        cpus: CPUs that it owns, and threads of torch.
        memory: bytes that it owns.
        hide_gpus: see ``NO_GPU``.
        seconds: time limit of a job, after which the process ends; None: no limit.
    """
    there = NodeAffinitySchedulingStrategy(node, soft=False)
    options: dict[str, Any] = {
        "num_cpus": cpus, "max_restarts": 0, "max_task_retries": 0, "scheduling_strategy": there,
    }  # fmt: skip
    options |= {"memory": memory} if memory else {}
    # Two jobs at a time on a GPU: it computes one shard while the CPUs load the next one.
    gpu = {"num_gpus": gpus, "max_concurrency": 2}
    options |= gpu if gpus else NO_GPU if hide_gpus else {}
    device = DEVICE_OF_GPUS if gpus else "cpu"
    return _on_ray(_JobActor).options(**options).remote(device, cpus, seconds)


def submit_to_actor(actor: Any, job: Job) -> Any:
    """Give a job to an actor."""
    return actor.run.remote(job)


def submit_task(
    job: Job,
    *,
    cpus: int,
    reserved: int,
    memory: int,
    nodes: Collection[str] | None,
    hide_gpus: bool,
    seconds: float | None,
) -> Any:
    """Run a job as a task, in any free process.

    Args:
        job: what to do.
        cpus: threads.
        reserved: CPUs that nothing else of the run uses meanwhile, ``cpus`` or more.
        memory: bytes that nothing else of the run uses meanwhile.
        nodes: Ray's ids of those that it may run on; None: all.
        hide_gpus: see ``NO_GPU``.
        seconds: time limit, after which its process ends; None: no limit.
    """
    options: dict[str, Any] = {"num_cpus": reserved, "max_retries": 0}
    options |= {"memory": memory} if memory else {}
    options |= NO_GPU if hide_gpus else {}
    if nodes is not None:
        # Not `label_selector`: if the first of the nodes was busy, tasks took 4 times as long.
        among = NodeLabelSchedulingStrategy({NODE_LABEL: In(*sorted(nodes))})
        options |= {"scheduling_strategy": among}
    # Pickled here: for 70 cells, Ray's own pickler, in Python, takes as long as everything else.
    return _on_ray(_run_task).options(**options).remote(pickle.dumps(job), cpus, seconds)


def wait(refs: Sequence[Any], seconds: float) -> list[Any]:
    """Wait up to ``seconds`` for the first job to finish; return all that are done."""
    first, rest = ray.wait(refs, num_returns=1, timeout=seconds, fetch_local=False)
    if not first or not rest:
        return list(first)
    more, _ = ray.wait(rest, num_returns=len(rest), timeout=0, fetch_local=False)
    return [*first, *more]


@dataclass(frozen=True)
class Ended:
    """Outcome of a job."""

    result: Any = None
    error: BaseException | None = None
    died: Literal["died", "memory", "disk"] | None = None
    """Reason why its process or node ended; None: it did not, and ``error`` is the job's own."""
    node: str | None = None
    """Ray's id of the node on which it completed."""
    seconds: float | None = None
    """Wall time of a completed job."""
    usage: MachineUsage | None = None
    """Use of its machine during a completed job."""


def collect(ref: Any) -> Ended:
    """Return the outcome of a job that is done."""
    try:
        done: JobResult = ray.get(ref)
        return Ended(done.result, node=done.node, seconds=done.seconds, usage=done.usage)
    except ray.exceptions.RayTaskError as error:
        return Ended(error=error.cause if error.cause is not None else error)
    except ray.exceptions.OutOfMemoryError as error:
        return Ended(error=error, died="memory")
    except ray.exceptions.OutOfDiskError as error:
        return Ended(error=error, died="disk")
    except ray.exceptions.RayError as error:  # the worker, the actor or the node has died
        return Ended(error=error, died="died")


def end(actor: Any) -> None:
    """Kill the process of an actor, whatever it is doing."""
    ray.kill(actor)


def cancel(ref: Any) -> None:
    """Cancel a task, and kill its process if it has one."""
    ray.cancel(ref, force=True)


def ask_nodes(
    node_ids: Sequence[str], places: Sequence[Location], seconds: float
) -> dict[str, NodeReport | str]:
    """Ask every node to describe itself: node id → its report, or why there is none.

    Args:
        node_ids: Ray's.
        places: see ``describe_node``; every node leaves a file named after its id.
        seconds: time limit for all of them together.
    """
    asked = {node_id: ask_node(node_id, places) for node_id in node_ids}
    ray.wait(list(asked.values()), num_returns=len(asked), timeout=seconds)
    return {node_id: answer_of(ref, seconds) for node_id, ref in asked.items()}


def ask_node(node_id: str, places: Sequence[Location]) -> Any:
    """Ask a node to describe itself; ``answer_of`` returns its answer."""
    here = NodeAffinitySchedulingStrategy(node_id, soft=False)
    # No CPU requested, so that a node whose CPUs are busy answers, too.
    options = {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": here}
    return _on_ray(describe_node).options(**options).remote(places, node_id)


def has_answered(ref: Any) -> bool:
    """Check whether a node has answered, or failed to."""
    return bool(ray.wait([ref], timeout=0)[0])


def answer_of(ref: Any, seconds: float) -> NodeReport | str:
    """Return the answer of a node that was asked ``seconds`` ago, or why there is none."""
    if not has_answered(ref):
        ray.cancel(ref, force=True)
        return f"does not answer within {seconds:g} s"
    try:
        report: NodeReport = ray.get(ref)
    except ray.exceptions.RayError as error:
        return f"cannot run jobs: {str(error).strip().splitlines()[-1]}"
    return report
