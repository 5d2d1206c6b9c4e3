"""The real driver and executor on a simulated Ray: work that is done twice is recorded once."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from sweep.executors.nodes import NodePool
from sweep.executors.preflight import Node
from sweep.executors.ray import RayExecutor
from sweep.spec.schema import Compute
from sweep.state.events import read_events
from sweep.state.ledger import stream_records
from sweep.state.run_folder import RunFolder
from tests.benchmarks.scale import simulate
from tests.support.simulated_cluster import SimulatedRay

NODES = 4
LAYERS = SHARDS = 12
SLOW = {"3": 10.0}
"""Node → how many times as long as others it takes."""


class AllAtOnce(SimulatedRay):
    """A driver that was suspended since somebody was helped: all comes back together, and a late
    copy is not ended in time."""

    def wait(self, refs: Sequence[object], seconds: float) -> list[object]:
        work = Counter(self._ends[ref][1].title for ref in refs)
        if max(work.values()) == 1:
            return super().wait(refs, seconds)
        self.now = max(self.now, *(self._ends[ref][0] for ref in refs))
        return list(refs)

    def cancel(self, ref: object) -> None:
        self.cancelled.append(ref)


def swept(folder: Path, ray: SimulatedRay, *, layers: int, shards: int) -> RunFolder:
    """A sweep of one model on nodes that have one place each."""
    nodes = [Node(str(number), str(number), {"CPU": 1}) for number in range(NODES)]
    with pytest.MonkeyPatch.context() as patch:
        ray.install(patch)
        simulate(folder, RayExecutor(Compute(), NodePool(nodes, lambda: nodes)), 1, layers,
                 64 * shards)  # fmt: skip
    return RunFolder(folder)


def recorded(run: RunFolder) -> Counter[str]:
    """Cell id → lines of it in the ledger."""
    return Counter(record.cell_id for record in stream_records(run.ledger, print))


@pytest.mark.parametrize("kind", [SimulatedRay, AllAtOnce])
def test_a_layer_that_is_probed_twice_is_recorded_once(
    tmp_path: Path, kind: type[SimulatedRay]
) -> None:
    ray = kind(SLOW, 1.0, 10.0)
    run = swept(tmp_path, ray, layers=LAYERS, shards=1)
    assert sum(ray.probes.values()) > LAYERS
    lines = recorded(run)
    assert set(lines.values()) == {1}
    told = [event for event in read_events(run.events) if event["kind"] == "cells_done"]
    assert sum(event["cells"] for event in told) == len(lines)
    assert len(told) == LAYERS


@pytest.mark.parametrize("kind", [SimulatedRay, AllAtOnce])
def test_a_shard_that_is_extracted_twice_is_told_of_once(
    tmp_path: Path, kind: type[SimulatedRay]
) -> None:
    ray = kind(SLOW, 10.0, 1.0)
    run = swept(tmp_path, ray, layers=1, shards=SHARDS)
    assert sum(ray.shards.values()) > SHARDS
    told = [event["shard"] for event in read_events(run.events) if event["kind"] == "shard_done"]
    assert sorted(told) == list(range(SHARDS))
    assert set(recorded(run).values()) == {1}
