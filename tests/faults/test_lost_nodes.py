"""Nodes of a cluster that are gone from one moment to the next, as machines are that lose power."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from sweep.errors import ClusterError
from sweep.executors.inline import InlineExecutor
from tests.faults.conftest import MakeSweep
from tests.faults.sweeps import EXTRACTING, Sweep, session, wait_for, with_signal
from tests.support import ray_nodes

CLAIMED = """
from dataclasses import replace
from jobs.workers import ray_workers as remote
from jobs.workers.node import NodeReport
answer_of = remote.answer_of
def claim(ref, seconds):
    report = answer_of(ref, seconds)
    return replace(report, cuda=True) if isinstance(report, NodeReport) else report
remote.answer_of = claim
remote.DEVICE_OF_GPUS = "cpu"
"""
"""The nodes' GPUs are a claim: what they are given computes on CPUs."""
IMPATIENT = "from sweep.executors import nodes\nnodes.LONELY_SECONDS = 3.0"
ON_GPUS = ("--set", "compute.extractor.gpus=1")

Popen = subprocess.Popen


@contextmanager
def node(folder: Path, address: str, **resources: int) -> Iterator["Popen[bytes]"]:
    """A node with ``cpus`` and ``gpus``."""
    options = [f"--num-{name}={count}" for name, count in resources.items()]
    with ray_nodes._node(folder, [f"--address={address}", *options]) as process:
        wait_for(lambda: "Ray runtime started" in (folder / "log").read_text())
        yield process


def lose(process: "Popen[bytes]") -> None:
    """All that runs on a node ends at once."""
    for member in session(process.pid):
        with_signal(member.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture
def head(tmp_path: Path, token: None) -> Iterator[str]:
    """The address of a cluster, its one node with one CPU and no GPU."""
    with ray_nodes.head(tmp_path / "cluster", cpus=1) as started:
        yield started.address


def warnings(sweep: Sweep) -> str:
    return " | ".join(event["message"] for event in sweep.events("warning"))


def test_a_node_that_is_lost_at_work_is_done_without(
    make_sweep: MakeSweep, undisturbed: Sweep, head: str, tmp_path: Path
) -> None:
    sweep = make_sweep("sweep")
    with node(tmp_path / "node", head, cpus=1) as lost, sweep.driver("--address", head) as driver:
        wait_for(lambda: [p for p in session(lost.pid) if p.command.startswith(EXTRACTING)], driver)
        lose(lost)
        _, said = driver.communicate(timeout=600)
        assert driver.returncode == 0, said
    assert sweep.events("retry")  # Ray knows of the death later, here perhaps after the end
    assert sweep.events("failure") == []
    assert sweep.tables() == undisturbed.tables()


@pytest.mark.slow
def test_a_node_that_died_before_ray_knows_of_it_is_no_reason_to_refuse(
    make_sweep: MakeSweep, undisturbed: Sweep, head: str, tmp_path: Path
) -> None:
    sweep = make_sweep("sweep")
    with node(tmp_path / "node", head, cpus=1) as lost:
        lose(lost)
        with sweep.driver("--address", head) as driver:
            _, said = driver.communicate(timeout=600)
            assert driver.returncode == 0, said
    assert sweep.tables() == undisturbed.tables()


@pytest.mark.slow
def test_when_the_only_node_with_a_gpu_is_lost_the_run_waits_and_goes_on_with_another_one(
    make_sweep: MakeSweep, undisturbed: Sweep, head: str, tmp_path: Path
) -> None:
    sweep = make_sweep("sweep")
    with (
        node(tmp_path / "one", head, cpus=1, gpus=1) as lost,
        sweep.driver("--address", head, *ON_GPUS, before=CLAIMED) as driver,
    ):
        wait_for(sweep.shards, driver)
        lose(lost)
        wait_for(lambda: "no node is left that can go on" in warnings(sweep), driver)
        with node(tmp_path / "two", head, cpus=1, gpus=1):
            _, said = driver.communicate(timeout=600)
            assert driver.returncode == 0, said
    assert "joined and gets work" in warnings(sweep)
    assert sweep.events("failure") == []
    assert sweep.tables() == undisturbed.tables()


def test_a_run_that_ends_for_want_of_nodes_tells_its_end_to_those_that_follow_it(
    make_sweep: MakeSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(executor: InlineExecutor, seconds: float) -> NoReturn:
        raise ClusterError("no node had room")

    monkeypatch.setattr(InlineExecutor, "wait", nobody)
    sweep = make_sweep("sweep")
    with pytest.raises(ClusterError):
        sweep.here()
    [end] = sweep.events("run_finished")
    assert (end["status"], end["done"]) == ("failed", 0)


@pytest.mark.slow
def test_when_no_node_with_a_gpu_comes_the_run_ends_and_says_why(
    make_sweep: MakeSweep, undisturbed: Sweep, head: str, tmp_path: Path
) -> None:
    sweep = make_sweep("sweep")
    with (
        node(tmp_path / "one", head, cpus=1, gpus=1) as lost,
        sweep.driver("--address", head, *ON_GPUS, before=CLAIMED + IMPATIENT) as driver,
    ):
        wait_for(sweep.shards, driver)
        lose(lost)
        _, said = driver.communicate(timeout=600)
    assert driver.returncode == 3, said
    assert "no node had room for what is left to do" in said
    assert "compute.extractor asks for 1 CPUs and 1 GPUs on one node" in said
    assert "Traceback" not in said
    assert [event["status"] for event in sweep.events("run_finished")] == ["failed"]
    kept = sweep.shards()
    assert kept
    with (
        node(tmp_path / "two", head, cpus=1, gpus=1),
        sweep.driver("--address", head, *ON_GPUS, before=CLAIMED) as again,
    ):
        _, said = again.communicate(timeout=600)
        assert again.returncode == 0, said
    assert {name: sweep.shards()[name] for name in kept} == kept
    assert sweep.tables() == undisturbed.tables()
