import pytest
import ray
import ray.exceptions
from ray.experimental.internal_kv import _internal_kv_list

from jobs.workers import ray_workers
from jobs.workers.node import NodeReport
from sweep.errors import ClusterError
from sweep.executors.session import ray_session
from sweep.spec.schema import Compute


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


NOT_STARTED = [
    Exception(
        "The current node timed out during startup. This could happen because some of the raylet "
        "failed to startup or the GCS has become overloaded."
    ),
    TimeoutError("Timed out after 30 seconds while waiting for node to startup."),
    RuntimeError("Failed to start GCS.\nLast lines of the log:\nno such file"),
    ValueError("Attempting to cap object store memory usage at 0 bytes"),
    PermissionError(13, "Permission denied", "/root/ray/session"),
    AssertionError(),
]
"""Exceptions that Ray raises when its processes fail to start."""


@pytest.mark.parametrize("error", NOT_STARTED, ids=lambda error: type(error).__name__)
def test_whatever_a_start_of_ray_raises_is_one_sentence_on_the_cluster(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**options: object) -> None:
        raise error

    monkeypatch.setattr(ray, "init", fail)
    with (
        pytest.raises(
            ClusterError, match=r"Ray does not start on this machine: \w+.*--inline"
        ) as it,
        ray_session(compute(), None),
    ):
        pass
    assert type(error).__name__ in str(it.value) and "\n" not in str(it.value)
    assert ".." not in str(it.value)


def test_a_home_where_nothing_can_be_written_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**options: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", "/proc/.ray")

    monkeypatch.setenv("HOME", "/proc")
    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(ClusterError, match=r"/proc/\.ray.*set HOME"), ray_session(compute(), None):
        pass


def test_a_ray_that_dies_right_after_its_start_is_a_problem_of_the_cluster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def dead() -> None:
        raise ray.exceptions.RpcError("failed to connect to all addresses")

    monkeypatch.setattr(ray, "init", lambda **options: None)
    monkeypatch.setattr(ray, "nodes", dead)
    with (
        pytest.raises(ClusterError, match=r"Ray does not start .*failed to connect"),
        ray_session(compute(), None),
    ):
        pass


def test_more_cores_than_the_machine_has_are_shared_locally() -> None:
    with ray_session(compute(extractor={"cpus": 64}), None) as executor:
        assert executor.slots == 1


def test_code_is_sent_to_each_cluster_once_however_many_tasks_run_it() -> None:
    def sent() -> set[bytes]:
        return set(_internal_kv_list("RemoteFunction", namespace="fun"))

    for _ in range(2):
        with ray_session(compute(), None):
            [node] = [node["NodeID"] for node in ray.nodes()]
            ray_workers.ask_nodes([node], (), 60.0)
            first = sent()
            assert first
            for _ in range(2):
                answers = ray_workers.ask_nodes([node], (), 60.0)
                assert isinstance(answers[node], NodeReport), answers
            assert sent() == first
