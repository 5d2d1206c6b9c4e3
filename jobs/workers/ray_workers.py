"""The work of ``jobs`` as Ray actors and tasks: resources, threads, devices, and nothing else.

Every failure is left to the driver: Ray restarts no actor and retries no task, which would replay a
poison call for ever.
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
from jobs.workers.node import NodeReport, describe_node

NO_GPU: dict[str, Any] = {"runtime_env": {"env_vars": {"CUDA_VISIBLE_DEVICES": ""}}}
"""Ray shows every GPU to a task that asked for none (ray-project/ray#62492). Only for machines that
have some: an environment of its own costs every worker a new process."""
NODE_LABEL = "ray.io/node-id"
"""Ray labels every node with its id."""


DEVICE_OF_GPUS = "cuda"
"""What torch calls the GPUs that Ray gave an actor."""


@dataclass(frozen=True)
class JobResult:
    """What a job returned, with what is known of its run."""

    result: Any
    node: str
    """Ray's id of the node."""
    seconds: float
    """Wall time."""


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
    start = time.perf_counter()
    return JobResult(job.run(worker), _here(), time.perf_counter() - start)


def _here() -> str:
    node: str = ray.get_runtime_context().get_node_id()
    return node


@cache
def _on_ray(work: Callable[..., Any]) -> Any:
    """``work`` for Ray, made once: each time it is made, its code is sent to the cluster and stays
    there. Ray itself sends it again to the next cluster that this process connects to."""
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
        node: Ray's id of the node that it is to run on, or wait for.
        gpus: it owns.
        cpus: it owns, and threads of torch.
        memory: bytes that it owns.
        hide_gpus: see ``NO_GPU``.
        seconds: a job may take, else the process ends; None: any time.
    """
    there = NodeAffinitySchedulingStrategy(node, soft=False)
    options: dict[str, Any] = {
        "num_cpus": cpus, "max_restarts": 0, "max_task_retries": 0, "scheduling_strategy": there,
    }  # fmt: skip
    options |= {"memory": memory} if memory else {}
    # Two jobs at a time on a GPU: it computes one shard while the CPUs load the next.
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
        seconds: it may take, else its process ends; None: any time.
    """
    options: dict[str, Any] = {"num_cpus": reserved, "max_retries": 0}
    options |= {"memory": memory} if memory else {}
    options |= NO_GPU if hide_gpus else {}
    if nodes is not None:
        # Not `label_selector`: where the first of the nodes was busy, tasks took 4 times as long.
        among = NodeLabelSchedulingStrategy({NODE_LABEL: In(*sorted(nodes))})
        options |= {"scheduling_strategy": among}
    # Packed here: Ray's own pickler, in Python, takes as long for 70 cells as for all else.
    return _on_ray(_run_task).options(**options).remote(pickle.dumps(job), cpus, seconds)


def wait(refs: Sequence[Any], seconds: float) -> list[Any]:
    """Of what was started, all that is done, up to ``seconds`` after now for the first."""
    first, rest = ray.wait(refs, num_returns=1, timeout=seconds, fetch_local=False)
    if not first or not rest:
        return list(first)
    more, _ = ray.wait(rest, num_returns=len(rest), timeout=0, fetch_local=False)
    return [*first, *more]


@dataclass(frozen=True)
class Ended:
    """How a job ended."""

    result: Any = None
    error: BaseException | None = None
    died: Literal["died", "memory", "disk"] | None = None
    """Why its process or node ended; None: it did not, and ``error`` says what went wrong."""
    node: str | None = None
    """Ray's id of the node that it ran on to its end."""
    seconds: float | None = None
    """Wall time of a job that ran to its end."""


def collect(ref: Any) -> Ended:
    """How a job ended that is done."""
    try:
        done: JobResult = ray.get(ref)
        return Ended(done.result, node=done.node, seconds=done.seconds)
    except ray.exceptions.RayTaskError as error:
        return Ended(error=error.cause if error.cause is not None else error)
    except ray.exceptions.OutOfMemoryError as error:
        return Ended(error=error, died="memory")
    except ray.exceptions.OutOfDiskError as error:
        return Ended(error=error, died="disk")
    except ray.exceptions.RayError as error:  # the worker, the actor or the node is gone
        return Ended(error=error, died="died")


def end(actor: Any) -> None:
    """End the process of an actor, whatever it does."""
    ray.kill(actor)


def cancel(ref: Any) -> None:
    """Give up a task, and end its process if it has one."""
    ray.cancel(ref, force=True)


def ask_nodes(
    node_ids: Sequence[str], places: Sequence[Location], seconds: float
) -> dict[str, NodeReport | str]:
    """Let every node describe itself; node id → its report, or why there is none.

    Args:
        node_ids: Ray's.
        places: see ``describe_node``; every node leaves a file that is named after its id.
        seconds: for all of them together.
    """
    asked = {node_id: ask_node(node_id, places) for node_id in node_ids}
    ray.wait(list(asked.values()), num_returns=len(asked), timeout=seconds)
    return {node_id: answer_of(ref, seconds) for node_id, ref in asked.items()}


def ask_node(node_id: str, places: Sequence[Location]) -> Any:
    """Begin to let a node describe itself; ``answer_of`` has what it says."""
    here = NodeAffinitySchedulingStrategy(node_id, soft=False)
    # No CPU: a node whose CPUs are taken answers, too.
    options = {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": here}
    return _on_ray(describe_node).options(**options).remote(places, node_id)


def has_answered(ref: Any) -> bool:
    """Whether a node that was asked has said something, or failed to."""
    return bool(ray.wait([ref], timeout=0)[0])


def answer_of(ref: Any, seconds: float) -> NodeReport | str:
    """What a node said that was asked ``seconds`` ago, or why it said nothing."""
    if not has_answered(ref):
        ray.cancel(ref, force=True)
        return f"does not answer within {seconds:g} s"
    try:
        report: NodeReport = ray.get(ref)
    except ray.exceptions.RayError as error:
        return f"cannot run jobs: {str(error).strip().splitlines()[-1]}"
    return report
