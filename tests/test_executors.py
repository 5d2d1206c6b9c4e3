from unittest import mock

import pytest
import ray.exceptions

from jobs.probe import ProbeJob
from sweep.executors import (
    ExtractJob,
    InlineExecutor,
    RayExecutor,
    ray_session,
)
from sweep.preflight import ClusterError, Node
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
        self.reserved: list[object] = []
        monkeypatch.setattr("sweep.executors.remote.extraction_actor", self.start)
        monkeypatch.setattr("sweep.executors.remote.submit_task", self.take)
        monkeypatch.setattr("sweep.executors.ray.kill", self.ended.append)

    def take(self, job: object, **options: object) -> object:
        self.reserved.append(options["reserved"])
        return object()

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


def died(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, executor: RayExecutor, error: Exception
) -> list[str | None]:
    """Why the work in flight died, when Ray says ``error`` of all of it."""
    monkeypatch.setattr("sweep.executors.ray.wait", lambda refs, **options: (refs, []))
    monkeypatch.setattr("sweep.executors.ray.get", mock.Mock(side_effect=error))
    return [outcome.died for outcome in executor.wait(0)]


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ray.exceptions.WorkerCrashedError(), "died"),
        (ray.exceptions.ActorDiedError(), "died"),
        (ray.exceptions.OutOfMemoryError("killed"), "memory"),
        (ray.exceptions.OutOfDiskError("full"), "disk"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_death_has_its_cause(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, error: Exception, cause: str
) -> None:
    executor = pool(slots=2)
    executor.submit(mock.Mock(spec=ProbeJob))
    assert died(cluster, monkeypatch, executor, error) == [cause]


def test_a_process_that_ended_when_its_time_was_over_took_too_long(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = RayExecutor(Compute(timeout=1e-9), slots=1, probe_window=1, hide_gpus=False)
    executor.submit(mock.Mock(spec=ProbeJob))
    error = ray.exceptions.WorkerCrashedError()
    assert died(cluster, monkeypatch, executor, error) == ["timeout"]


def test_after_a_shard_that_ran_out_of_memory_half_as_many_actors_go_on(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = pool(slots=4)
    for index in range(4):
        executor.submit(extract_job("a", index))
    first = next(iter(executor._pending))
    monkeypatch.setattr("sweep.executors.ray.wait", lambda refs, **options: ([first], []))
    killed = ray.exceptions.OutOfMemoryError("killed")
    monkeypatch.setattr("sweep.executors.ray.get", mock.Mock(side_effect=killed))
    [outcome] = executor.wait(0)
    assert outcome.died == "memory"
    assert executor.slots == 2
    assert len(executor._active()) <= 2


def test_a_probe_that_ran_out_of_memory_gets_a_machine_to_itself(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [{"CPU": 16.0}, {"CPU": 8.0}, {"CPU": 0.0}]  # the last one is a head
    monkeypatch.setattr(
        "sweep.executors._nodes", lambda: [Node("", "", resources) for resources in nodes]
    )
    executor = pool(slots=2)
    executor.submit(mock.Mock(spec=ProbeJob))
    executor.submit(mock.Mock(spec=ProbeJob), alone=True)
    assert cluster.reserved == [1, 8]
