import pytest
import ray
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
