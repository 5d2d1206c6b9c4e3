from unittest import mock

import pytest

from jobs.probe import ProbeJob
from sweep.executors import (
    ClusterError,
    ExtractJob,
    InlineExecutor,
    RayExecutor,
    _places,
    ray_session,
)
from sweep.spec import Compute


def compute(**parts: dict[str, float]) -> Compute:
    return Compute.model_validate(parts)


def test_a_gpu_that_no_node_has_is_refused_at_once_with_the_key_to_change() -> None:
    asked = compute(extractor={"gpus": 1, "cpus": 1})
    with (
        pytest.raises(ClusterError, match=r"extractor asks for 1 CPUs and 1 GPUs.*gpus=0"),
        ray_session(asked, None),
    ):
        pass


def test_a_cluster_that_does_not_answer_is_refused_with_what_to_do() -> None:
    with (
        pytest.raises(ClusterError, match=r"no Ray cluster answers at 127\.0\.0\.1:1: .*--local"),
        ray_session(compute(), "127.0.0.1:1"),
    ):
        pass


@pytest.mark.parametrize("address", ["head", "ray://head:10001", "head:port"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with (
        pytest.raises(ClusterError, match="expected HOST:PORT"),
        ray_session(compute(), address),
    ):
        pass


def test_an_inline_executor_without_jobs_has_nothing_to_tell() -> None:
    assert InlineExecutor(compute()).wait(1) == []


def test_more_cores_than_the_machine_has_are_shared_locally() -> None:
    with ray_session(compute(extractor={"cpus": 64}), None) as executor:
        assert executor.slots == 1


class Cluster:
    """Stands for Ray where only the policy is looked at: who gets work, who is ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.started = 0
        self.ended: list[object] = []
        monkeypatch.setattr("sweep.executors.remote.extraction_actor", self.start)
        monkeypatch.setattr("sweep.executors.remote.submit_probe", lambda job, **options: object())
        monkeypatch.setattr("sweep.executors.ray.kill", self.ended.append)

    def start(self, **options: object) -> mock.Mock:
        self.started += 1
        handle = mock.Mock()
        handle.extract.remote.side_effect = lambda *call: object()
        return handle


def extract_job(model: str, index: int = 0) -> ExtractJob:
    return ExtractJob(model, mock.Mock(), mock.Mock(index=index))


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(monkeypatch)


def pool(slots: int, gpus: float = 0) -> RayExecutor:
    asked = compute(extractor={"gpus": gpus, "cpus": 1})
    return RayExecutor(asked, slots=slots, probe_window=8, hide_gpus=False)


def test_actors_are_started_up_to_the_slots_and_then_there_is_no_room(cluster: Cluster) -> None:
    executor = pool(slots=2)
    for index in range(2):
        assert executor.room(extract_job("a", index))
        executor.submit(extract_job("a", index))
    # Neither has shown that it starts: a shard given to one that never does would be lost.
    assert not executor.room(extract_job("a", 2))
    assert cluster.started == 2


def test_while_probes_wait_half_of_the_actors_on_cpus_come_to_their_end(cluster: Cluster) -> None:
    executor = pool(slots=4)
    for index in range(4):
        executor.submit(extract_job("a", index))
    executor.submit(mock.Mock(spec=ProbeJob))
    assert sum(actor.retiring for actor in executor._actors) == 2
    assert cluster.ended == []  # they hold shards
    assert not executor.room(extract_job("b"))


def test_actors_on_gpus_do_not_make_way_for_probes(cluster: Cluster) -> None:
    executor = pool(slots=4, gpus=1)
    for index in range(4):
        executor.submit(extract_job("a", index))
    executor.submit(mock.Mock(spec=ProbeJob))
    assert not any(actor.retiring for actor in executor._actors)


@pytest.mark.parametrize(("gpus", "ended"), [(0, 0), (1, 2)])
def test_an_actor_on_a_gpu_ends_with_its_model_and_one_on_a_cpu_goes_on(
    cluster: Cluster, gpus: float, ended: int
) -> None:
    executor = pool(slots=3, gpus=gpus)
    for model in ("a", "a", "b"):
        executor.submit(extract_job(model))
    executor.release("a", last=False)
    assert len(cluster.ended) == ended
    executor.release("b", last=True)
    assert len(cluster.ended) == 3


@pytest.mark.parametrize(
    ("node", "cpus", "gpus", "places"),
    [
        ({"CPU": 3}, 2, 0, 1),
        ({"CPU": 8, "GPU": 8}, 2, 1, 4),
        ({"CPU": 8, "GPU": 1}, 1, 0.1, 8),
        ({"CPU": 16, "GPU": 1}, 1, 0.1, 10),
        ({"CPU": 4}, 1, 1, 0),
    ],
)
def test_places_are_counted_node_by_node(
    node: dict[str, float], cpus: int, gpus: float, places: int
) -> None:
    assert _places(node, cpus=cpus, gpus=gpus) == places
