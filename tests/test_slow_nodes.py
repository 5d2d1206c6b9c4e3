"""The real driver and executor on a simulated Ray: what nodes of unlike speed cost at the end."""

from pathlib import Path

import pytest

from sweep.nodes import Roster
from sweep.preflight import Node
from sweep.ray_executor import RayExecutor
from sweep.spec import Compute
from tests.benchmarks.scale import simulate
from tests.simulated_cluster import SimulatedRay

SHARD = 10.0
"""Seconds, on a node that is as others."""
NODES = 8
SHARDS = 80


def extraction_seconds(folder: Path, ray: SimulatedRay, *, hasten: bool = True) -> float:
    """Until the last shard of a model is there; one actor a node."""
    nodes = [Node(str(number), str(number), {"CPU": 1}) for number in range(NODES)]
    with pytest.MonkeyPatch.context() as patch:
        ray.install(patch)
        executor = RayExecutor(Compute(), Roster(nodes))
        if not hasten:
            patch.setattr(executor, "hasten", lambda: None)
        folder.mkdir()
        simulate(folder, executor, 1, 1, 64 * SHARDS)
    return ray.last_shard


def test_a_node_that_is_ten_times_slower_does_not_hold_the_sweep(tmp_path: Path) -> None:
    slow = {"3": 10.0}
    best = SHARD * SHARDS / (NODES - 1 + 1 / 10)  # all busy until the end: 113 s
    helped, waited = SimulatedRay(slow, SHARD, 1.0), SimulatedRay(slow, SHARD, 1.0)
    with_help = extraction_seconds(tmp_path / "helped", helped)
    without = extraction_seconds(tmp_path / "waited", waited, hasten=False)
    assert without == 200  # it began another one after its first, which took 100 s
    assert with_help <= 1.3 * best
    assert sum(waited.shards.values()) == SHARDS
    assert sum(helped.shards.values()) <= SHARDS + 2


def test_where_all_nodes_are_alike_nothing_is_done_twice(tmp_path: Path) -> None:
    ray = SimulatedRay({}, SHARD, 1.0)
    assert extraction_seconds(tmp_path / "alike", ray) == pytest.approx(SHARD * SHARDS / NODES)
    assert sum(ray.shards.values()) == SHARDS
    assert max(ray.shards.values()) - min(ray.shards.values()) <= 1
