import json
import secrets
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import jobs
from jobs.storage.location import parse_location
from jobs.workers.node import NodeReport, describe_node
from sweep.errors import ClusterError
from sweep.executors import preflight
from sweep.executors.preflight import Demand, Node, Storage, disk_problems, node_problems
from sweep.spec.schema import Compute
from tests.support import ray_nodes

HERE = NodeReport(python="3.11.7", ray="2.60.0", code="abc", token_auth=True, cuda=False)


def compute(**parts: dict[str, float]) -> Compute:
    return Compute.model_validate(parts)


@pytest.mark.parametrize(
    ("resources", "cpus", "gpus", "memory", "expected"),
    [
        ({"CPU": 3}, 2, 0, 0, 1),
        ({"CPU": 8, "GPU": 8}, 2, 1, 0, 4),
        ({"CPU": 8, "GPU": 1}, 1, 0.1, 0, 8),
        ({"CPU": 16, "GPU": 1}, 1, 0.1, 0, 10),
        ({"CPU": 4}, 1, 1, 0, 0),
        ({"CPU": 16, "GPU": 3}, 1, 0.4, 0, 6),
        ({"CPU": 16, "GPU": 5}, 1, 2, 0, 2),
        ({"CPU": 8, "memory": 7e9}, 1, 0, 2_000_000_000, 3),
        ({"CPU": 8}, 1, 0, 1, 0),
    ],
)
def test_places_are_counted_node_by_node(
    resources: dict[str, float], cpus: int, gpus: float, memory: int, expected: int
) -> None:
    assert Demand("", cpus, gpus, memory).places(resources) == expected


def test_memory_that_no_node_with_all_else_has_is_refused_with_what_there_is() -> None:
    nodes = [
        Node("a", "big", {"CPU": 2, "memory": 64 * 2**30}),
        Node("b", "gpus", {"CPU": 8, "GPU": 4, "memory": 8 * 2**30}),
    ]
    asked = compute(
        extractor={"gpus": 1, "cpus": 1, "memory": 12}, probe={"cpus": 1, "memory": 80.5}
    )
    extractor, probe = preflight.resource_problems(nodes, asked)
    assert extractor.startswith(
        "compute.extractor.memory asks for 12.0 GiB, but for jobs there is: gpus 8.0 GiB. Lower it"
    )
    assert "compute.probe.memory asks for 80.5 GiB" in probe
    assert "big 64.0 GiB; gpus 8.0 GiB" in probe


def test_an_extractor_has_the_memory_that_its_statistics_take_or_more() -> None:
    asked = compute(extractor={"memory": 2})
    assert preflight.extraction(asked, 2**30).memory == 2**31
    more = preflight.extraction(asked, 2**32)
    assert (more.memory, more.summed) == (2**32, True)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"extractor": {"gpus": 1.5}}, "a share of one GPU or a whole number, found 1.5"),
        ({"extractor": {"gpus": 0.001}}, "expected 0 or at least 0.01, found 0.001"),
        ({"extractor": {"gpus": float("inf")}}, "finite number"),
        ({"extractor": {"memory": 0}}, "greater than 0"),
        ({"probe": {"memory": float("inf")}}, "finite number"),
    ],
    ids=str,
)
def test_what_ray_could_not_give_is_refused_in_the_spec(
    asked: dict[str, dict[str, float]], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        Compute.model_validate(asked)


def test_a_process_without_the_gpu_or_the_memory_that_is_asked_for_is_told_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    storage = Storage(tmp_path, tmp_path, 0)
    monkeypatch.setattr("sweep.executors.preflight.torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("sweep.executors.preflight._available_memory", lambda: 2.0**31)
    memory, gpu = preflight.inline_problems(
        compute(extractor={"gpus": 1, "memory": 3}, probe={"memory": 1}), storage
    )
    assert "extractor.memory asks for 3.0 GiB, but for jobs there is: this machine 2.0" in memory
    assert "torch sees none on this machine" in gpu
    assert list(preflight.inline_problems(compute(extractor={"memory": 1}), storage)) == []


def test_a_node_with_gpus_whose_torch_cannot_use_them_is_refused() -> None:
    nodes = [Node("a", "a", {"CPU": 1, "GPU": 2}), Node("b", "b", {"CPU": 1})]
    asked = compute(extractor={"gpus": 1})
    answers = {"a": HERE, "b": HERE}
    [problem] = node_problems(HERE, nodes, answers, (), asked)
    assert problem.startswith("a: has GPUs, but its torch is built without CUDA")
    assert list(node_problems(HERE, nodes, answers, (), compute())) == []
    answers["a"] = replace(HERE, cuda=True)
    assert list(node_problems(HERE, nodes, answers, (), asked)) == []


def test_what_all_nodes_have_together_but_none_alone_is_refused() -> None:
    nodes = [Node(name, name, {"CPU": 4, "GPU": 1}) for name in "ab"]
    asked = compute(extractor={"gpus": 2, "cpus": 1}, probe={"cpus": 8})
    extractor, probe = preflight.resource_problems(nodes, asked)
    assert "compute.extractor asks for 1 CPUs and 2 GPUs on one node" in extractor
    assert "the nodes have: 4 CPUs, 1 GPUs; 4 CPUs, 1 GPUs" in extractor
    assert "--set compute.probe.cpus=1" in probe


def test_a_head_without_cpus_is_not_asked() -> None:
    nodes = [Node("h", "h", {}), Node("w", "w", {"CPU": 1})]
    assert [node.id for node in preflight.workers(nodes, compute())] == ["w"]


def test_a_cache_without_room_for_the_activations_is_refused(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    cache = tmp_path / "not" / "there"
    assert list(disk_problems(Storage(tmp_path, cache, free // 2))) == []
    [problem] = disk_problems(Storage(tmp_path, cache, 2 * free))
    assert "--set dtype=float16" in problem
    [tight] = disk_problems(Storage(tmp_path, cache, free - preflight.SPARE_BYTES // 2))
    assert "1.0 GiB must be left" in tight


def test_a_full_disk_does_not_hold_a_run_that_has_nothing_to_extract(tmp_path: Path) -> None:
    assert list(disk_problems(Storage(tmp_path, tmp_path, 0))) == []


def test_every_difference_is_told_once_with_the_nodes_that_have_it() -> None:
    nodes = [Node(name, f"node-{name}", {"CPU": 1}) for name in "abc"]
    answers = {
        "a": replace(HERE, ray="2.59.0", code="xyz"),
        "b": replace(HERE, ray="2.59.0"),
        "c": "does not answer within 30 s",
    }
    assert list(node_problems(HERE, nodes, answers, (), compute())) == [
        "node-a, node-b: has Ray 2.59.0, the driver 2.60.0; install the same on all nodes",
        "node-a: has other code of this project than the driver (digest xyz, not abc); install "
        "the same version on all nodes",
        "node-c: does not answer within 30 s",
    ]


def test_what_a_node_writes_must_be_seen_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.workers.node.SEEN_SECONDS", 0.2)
    with preflight.meeting_places(Storage(tmp_path / "run", tmp_path / "cache", 0)) as met:
        report = describe_node(met, "n")
        assert report.missing == (None, None)
        (met[1] / "n").unlink()  # it went to a disk of the node's own
        (met[1] / "driver").unlink()
        assert describe_node(met, "m").missing == (
            None,
            "does not see what the driver writes there",
        )
        [problem] = node_problems(report, [Node("n", "node", {})], {"n": report}, met, compute())
    assert problem.startswith(f"node: does not share {tmp_path / 'cache'}: the driver does not see")
    assert [list(folder.iterdir()) for folder in tmp_path.iterdir()] == [[], []]


def test_an_object_store_is_asked_as_a_folder_is_and_never_full(tmp_path: Path) -> None:
    cache = parse_location(f"file://{tmp_path}/bucket")
    storage = Storage(tmp_path / "run", cache, 2**60)
    assert list(disk_problems(storage)) == []
    with preflight.meeting_places(storage) as met:
        report = describe_node(met, "n")
        assert report.missing == (None, None)
        told = node_problems(report, [Node("n", "node", {})], {"n": report}, met, compute())
        assert list(told) == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_folder_that_the_driver_cannot_write_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    storage = Storage(tmp_path / "run", tmp_path / "file" / "cache", 0)
    with (
        pytest.raises(ClusterError, match=r"cannot write to .*/file/cache: Not a directory"),
        preflight.meeting_places(storage),
    ):
        pass


CONNECT = """
import json, sys, time
from pathlib import Path
import ray
from sweep.executors.session import ray_session
from sweep.executors.preflight import ClusterError, Storage
from sweep.spec.schema import Compute

address, nodes, gpus, run, cache = sys.argv[1:]
compute = Compute.model_validate({"extractor": {"gpus": int(gpus)}})
if int(nodes) > 1:
    with ray_session(Compute(), address):
        while sum(node["Alive"] for node in ray.nodes()) < int(nodes):
            time.sleep(0.1)
told, slots, refused = [], 0, ""
try:
    with ray_session(compute, address, Storage(Path(run), Path(cache), 0), told.append) as executor:
        slots = executor.slots
except ClusterError as error:
    refused = str(error)
print(json.dumps({"told": told, "slots": slots, "refused": refused}))
"""
"""In a process of its own: Ray looks for its token once in a process."""


def connect(address: str, storage: Storage, *, nodes: int = 1, gpus: int = 0) -> dict[str, Any]:
    command = [
        sys.executable, "-c", CONNECT, address, str(nodes), str(gpus),
        str(storage.run), str(storage.cache),
    ]  # fmt: skip
    # Not from here: Ray lets workers look for modules in their driver's working directory.
    done = subprocess.run(
        command, cwd=storage.run.parent, capture_output=True, text=True, timeout=600, check=True
    )
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    for name in ("run", "cache"):
        (tmp_path / name).mkdir()
    return Storage(tmp_path / "run", tmp_path / "cache", 0)


@pytest.mark.skipif(not ray_nodes.can_mount(), reason="no mounts of one's own without privileges")
def test_nodes_that_share_are_used_and_one_with_a_disk_and_code_of_its_own_is_refused(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    other = tmp_path / "other"
    ignored = shutil.ignore_patterns("__pycache__", "checkpoints")
    shutil.copytree(Path(jobs.__file__).parent, other / "jobs", ignore=ignored)
    with (other / "jobs" / "files.py").open("a") as file:
        file.write("# other\n")
    with ray_nodes.head(tmp_path, cpus=1) as head:
        alone = connect(head.address, storage)
        with ray_nodes.worker(
            tmp_path / "worker", head.address, cpus=1,
            mounts=[storage.cache], environment={"PYTHONPATH": str(other)},
        ):  # fmt: skip
            both = connect(head.address, storage, nodes=2, gpus=1)
    assert alone == {"told": [], "slots": 1, "refused": ""}
    gpus, code, cache = both["refused"].splitlines()
    assert "asks for 1 CPUs and 1 GPUs on one node" in gpus
    assert ": has other code of this project than the driver" in code
    assert f"does not share {storage.cache}: does not see what the driver writes there" in cache
    assert "--out and --cache" in cache
    assert list(storage.run.iterdir()) == list(storage.cache.iterdir()) == []


def test_an_open_cluster_is_told_of(
    tmp_path: Path, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with ray_nodes.head(tmp_path, cpus=1) as head:
        said = connect(head.address, storage)
    assert said == {"told": [preflight.OPEN_CLUSTER], "slots": 1, "refused": ""}
