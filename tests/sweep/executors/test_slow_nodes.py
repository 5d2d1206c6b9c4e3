"""The real driver and executor on a simulated Ray: what nodes of unlike speed cost at the end."""

from pathlib import Path

import pytest

from sweep.executors.nodes import NodePool
from sweep.executors.preflight import Node
from sweep.executors.ray import RayExecutor
from sweep.spec.schema import Compute
from tests.benchmarks.scale import simulate
from tests.support.simulated_cluster import SimulatedRay

SHARD = LAYER = 10.0
"""Seconds, on a node that is as others."""
NODES = 8
SHARDS = LAYERS = 80


def swept(folder: Path, ray: SimulatedRay, *, layers: int = 1, shards: int = 1,
          hasten: bool = True) -> SimulatedRay:  # fmt: skip
    """A sweep of one model on nodes that have one place each."""
    nodes = [Node(str(number), str(number), {"CPU": 1}) for number in range(NODES)]
    with pytest.MonkeyPatch.context() as patch:
        ray.install(patch)
        executor = RayExecutor(Compute(), NodePool(nodes, lambda: nodes))
        if not hasten:
            patch.setattr(executor, "help_stragglers", lambda: None)
        folder.mkdir()
        simulate(folder, executor, 1, layers, 64 * shards)
    return ray


def test_a_node_that_is_ten_times_slower_does_not_hold_the_sweep(tmp_path: Path) -> None:
    slow = {"3": 10.0}
    best = SHARD * SHARDS / (NODES - 1 + 1 / 10)  # all busy until the end: 113 s
    helped = swept(tmp_path / "helped", SimulatedRay(slow, SHARD, 1.0), shards=SHARDS)
    ray = SimulatedRay(slow, SHARD, 1.0)
    waited = swept(tmp_path / "waited", ray, shards=SHARDS, hasten=False)
    assert waited.last_shard == 200  # it began another one after its first, which took 100 s
    assert helped.last_shard <= 1.3 * best
    assert sum(waited.shards.values()) == SHARDS
    assert sum(helped.shards.values()) <= SHARDS + 2


def test_where_all_nodes_are_alike_nothing_is_done_twice(tmp_path: Path) -> None:
    ray = swept(tmp_path / "shards", SimulatedRay({}, SHARD, 1.0), shards=SHARDS)
    assert ray.last_shard == pytest.approx(SHARD * SHARDS / NODES)
    assert sum(ray.shards.values()) == SHARDS
    assert max(ray.shards.values()) - min(ray.shards.values()) <= 1
    ray = swept(tmp_path / "layers", SimulatedRay({}, 1.0, LAYER), layers=LAYERS)
    assert ray.last_probe == pytest.approx(1.0 + LAYER * LAYERS / NODES)
    assert sum(ray.probes.values()) == LAYERS


def test_a_node_that_is_slow_with_a_layer_does_not_hold_the_sweep(tmp_path: Path) -> None:
    slow = {"3": 10.0}
    best = LAYER * LAYERS / (NODES - 1 + 1 / 10)
    helped = swept(tmp_path / "helped", SimulatedRay(slow, 1.0, LAYER), layers=LAYERS)
    ray = SimulatedRay(slow, 1.0, LAYER)
    waited = swept(tmp_path / "waited", ray, layers=LAYERS, hasten=False)
    assert waited.last_probe == 1.0 + 200
    assert helped.last_probe <= 1.0 + 1.3 * best
    assert sum(waited.probes.values()) == LAYERS
    assert sum(helped.probes.values()) == LAYERS + len(helped.cancelled)
    assert 1 <= len(helped.cancelled) <= 2
