"""Row 15: what a sweep sends through Ray, beside the activations that it makes.

Two measures of a real sweep on a Ray of its own:

- *stored*: how much was ever created in the object store, by Ray's own counter
  (``cumulative_created_bytes`` of every node's statistics), less the 8 bytes that every worker
  process puts there as it starts; Ray puts there what is larger than 100 KB, whether it is an
  argument, a result or a ``ray.put``;
- *carried*: the size of every job and every result pickled as Ray pickles them, what Ray sends
  inline included. These are paths, settings and scores: their size does not depend on the number of
  utterances, so that the ratio is the smaller the larger the corpus.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import ray
import yaml
from ray import cloudpickle
from ray._private.internal_api import node_stats

from jobs.job import Job
from sweep.executors.base import Outcome
from sweep.executors.ray import RayExecutor
from sweep.executors.session import ray_session
from sweep.running.options import RunOptions
from sweep.running.run import run_sweep
from sweep.spec.schema import Compute
from sweep.state.events import EventLog
from tests.benchmarks.result import Result, Target
from tests.benchmarks.workbench import Workbench, untrained

MEBIBYTE = 2**20
WARM_UP = 8
"""Bytes of the object with which a worker process tries the store (Ray's ``WarmupStore``)."""


@dataclass
class Traffic:
    """Bytes that went through Ray, and the number of jobs."""

    stored: int = 0
    carried: int = 0
    jobs: int = 0


@contextmanager
def _counted(
    traffic: Traffic, compute: Compute, address: str | None, *how: Any
) -> Iterator[RayExecutor]:
    """``ray_session``, with every job and result weighed and the object store read."""
    with ray_session(compute, address, *how) as executor:
        submit, wait = executor.submit, executor.wait

        def weigh_and_submit(job: Job, *, alone: bool = False) -> None:
            traffic.carried += len(cloudpickle.dumps(job))
            traffic.jobs += 1
            submit(job, alone=alone)

        def wait_and_weigh(seconds: float) -> list[Outcome]:
            outcomes = wait(seconds)
            traffic.carried += sum(len(cloudpickle.dumps(one.result)) for one in outcomes)
            return outcomes

        before = _created_bytes()
        with (
            patch.object(executor, "submit", weigh_and_submit),
            patch.object(executor, "wait", wait_and_weigh),
        ):
            yield executor
        traffic.stored = _created_bytes() - before
        _check_counter()


def run(bench: Workbench) -> list[Result]:
    """Sweep the corpus on Ray with one model, all layers, and the probes of the demo.

    Raises:
        RuntimeError: a cell failed, or Ray's counter does not count.
    """
    traffic = Traffic()
    spec = _write_spec(bench)
    options = RunOptions(where="local", out=bench.scratch / "sweep", cache=bench.scratch)
    with (
        patch("sweep.executors.registry.ray_session", partial(_counted, traffic)),
        EventLog() as events,
    ):
        result = run_sweep(spec, options, events)
    if result.status != "done":
        raise RuntimeError(f"the sweep ended as {result.status}; see the lines above")
    shards = (bench.scratch / "activations").rglob("*.safetensors")
    activations = sum(path.stat().st_size for path in shards)
    size = f"{activations / MEBIBYTE:.1f} MiB of activations"
    return [
        Result(
            row=15,
            what=f"bytes created in the object store ÷ activation bytes, {size}",
            values=(traffic.stored / activations,),
            target=Target(0.01, 0.0),
            percent=True,
        ),
        Result(
            row=15,
            what=f"  all that {traffic.jobs} jobs and their results carry, pickled ÷ the same",
            values=(traffic.carried / activations,),
            target=None,
            percent=True,
        ),
    ]


def _write_spec(bench: Workbench) -> Path:
    model = untrained("SimAM_ResNet34_ASP", in_planes=4 if bench.quick else 16)
    values: dict[str, Any] = {
        "name": "traffic",
        "corpus": bench.corpus.model_dump(mode="json"),
        "models": [model.model_dump(mode="json", exclude_none=True)],
        "layers": "all",
        "probes": [{"kind": "ridge"}, {"kind": "mlp", "epochs": 3, "seeds": 3}, {"kind": "cca"}],
        "controls": ["shuffled"],
        "baselines": ["mean"],
        "bootstrap": {"resamples": 100},
    }
    path = bench.scratch / "traffic.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def _created_bytes() -> int:
    """Created in the object stores of all nodes since they started, whatever became of it.

    `WARM_UP` is taken off every object, which makes those that are none too small by as much.
    """
    stores = [
        node_stats(
            node["NodeManagerAddress"], node["NodeManagerPort"], include_memory_info=False
        ).store_stats
        for node in ray.nodes()
        if node["Alive"]
    ]
    return sum(
        store.cumulative_created_bytes - WARM_UP * store.cumulative_created_objects
        for store in stores
    )


def _check_counter() -> None:
    """A counter that stood still would look like a perfect result."""
    before = _created_bytes()
    ray.put(bytes(MEBIBYTE))
    counted = _created_bytes() - before
    if counted < MEBIBYTE - WARM_UP:
        raise RuntimeError(
            f"put {MEBIBYTE} bytes into the object store, but Ray's counter rose by {counted}: "
            "this version of Ray counts in another way; correct _created_bytes"
        )
