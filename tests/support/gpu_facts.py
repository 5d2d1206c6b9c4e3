"""Who sees which GPUs on a cluster whose GPUs are a claim: a program that tells it as JSON.

In a process of its own, for Ray looks for its token once in a process. The jobs are spies: where
one is unpacked, it leaves a file, and the work it stands for then fails.
"""

import json
import os
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import ray

from jobs.extraction.job import ExtractJob
from sweep.executors.ray import RayExecutor
from sweep.executors.session import ray_session
from sweep.spec.schema import Compute

PATIENCE = 600.0


class Spy:
    """Stands for the settings of a model, or for a probe's job."""

    affinity = None
    kind = "spies"
    resources = "probe"

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.key = self.title = name

    def __reduce__(self) -> tuple[Callable[..., str], tuple[Path, str]]:
        return look_around, (self.folder, self.name)


def look_around(folder: Path, name: str) -> str:
    """What the process sees that it is in."""
    found = {
        "name": name,
        "pid": os.getpid(),
        "node": ray.get_runtime_context().get_node_id(),
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
    }
    (folder / f"{uuid.uuid4().hex}.json").write_text(json.dumps(found))
    return name


def seen(folder: Path) -> list[dict[str, Any]]:
    """What spies left, and take it away."""
    found = []
    for path in folder.glob("*.json"):
        found.append(json.loads(path.read_text()))
        path.unlink()
    return sorted(found, key=lambda one: one["name"])


def shard_of(model: str, folder: Path) -> ExtractJob:
    """A shard of the model that leaves a note of where it is unpacked."""
    return ExtractJob(
        model, settings=cast(Any, Spy(folder, model)), shard=cast(Any, SimpleNamespace(index=0))
    )


def send(executor: RayExecutor, folder: Path, *names: str) -> list[dict[str, Any]]:
    """Let a shard of each of these models be extracted, and what was seen there."""
    for name in names:
        job = shard_of(name, folder)
        assert executor.room(job), name
        executor.submit(job)
    return collect(executor, folder, len(names))


def collect(executor: RayExecutor, folder: Path, count: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + PATIENCE
    while count:
        count -= len(executor.wait(1.0))
        assert time.monotonic() < deadline, "waited in vain"
    return seen(folder)


def free_gpus(expected: float) -> float:
    """That nobody holds, once they are ``expected`` or it has taken for ever."""
    deadline = time.monotonic() + PATIENCE
    while True:
        free = float(ray.available_resources().get("GPU", 0.0))
        if free == expected or time.monotonic() > deadline:
            return free
        time.sleep(0.1)


def is_gone(pid: int) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.1)
    return False


def whole_gpus(address: str, folder: Path) -> dict[str, Any]:
    """Two models, three GPUs for one and one for the other, and a probe; then a third model."""
    asked = Compute.model_validate({"extractor": {"gpus": 1, "cpus": 1}})
    with ray_session(asked, address) as executor:
        facts: dict[str, Any] = {"slots": executor.slots}
        facts["both"] = send(executor, folder, "m", "m", "m", "n")
        spy: Any = Spy(folder, "probe")
        executor.submit(spy)
        facts["probe"] = collect(executor, folder, 1)
        executor.release(shard_of("m", folder), last=False)
        facts["free after m"] = free_gpus(3.0)
        facts["gone"] = [is_gone(one["pid"]) for one in facts["both"] if one["name"] == "m"]
        facts["third"] = send(executor, folder, "o")
        executor.release(shard_of("o", folder), last=True)
        facts["free at the end"] = free_gpus(4.0)
    return facts


def shares(address: str, folder: Path) -> list[dict[str, Any]]:
    """Two actors on the node that has one GPU."""
    asked = Compute.model_validate({"extractor": {"gpus": 0.5, "cpus": 1}})
    with ray_session(asked, address) as executor:
        [small] = [n["NodeID"] for n in ray.nodes() if n["Resources"].get("GPU") == 1.0]
        places = executor._actors._places
        assert places[small] == 2
        executor._actors.set_places({small: places[small]})
        return send(executor, folder, "m", "m")


def wait_for_nodes(address: str, count: int) -> None:
    ray.init(address, log_to_driver=False, logging_level="ERROR")
    deadline = time.monotonic() + PATIENCE
    while sum(node["Alive"] for node in ray.nodes()) < count:
        assert time.monotonic() < deadline, "a node did not come"
        time.sleep(0.1)
    ray.shutdown()


def main() -> None:
    address, folder = sys.argv[1], Path(sys.argv[2])
    wait_for_nodes(address, 3)
    print(json.dumps({"whole": whole_gpus(address, folder), "shares": shares(address, folder)}))
