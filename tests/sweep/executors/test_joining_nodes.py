"""Nodes that join a sweep in the middle: one is used, another, with code of its own, is not."""

import json
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import jobs
from tests.conftest import Values
from tests.faults.sweeps import Sweep, wait_for
from tests.support import ray_nodes

NETWORK = '''
import json, os, time
from pathlib import Path

import ray
import torch

PATIENCE = 600.0


def build(folder):
    """Linear; on a cluster it leaves word of where it is, and computes once there are two nodes."""
    torch.manual_seed(0)
    network = Network(Path(folder))
    if ray.is_initialized():
        found = {
            "node": ray.get_runtime_context().get_node_id(),
            "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
        }
        Path(folder, f"{os.getpid()}.json").write_text(json.dumps(found))
    return network


class Network(torch.nn.Module):
    def __init__(self, folder):
        super().__init__()
        self.folder = folder
        self.stem = torch.nn.Linear(80, 4)

    def forward(self, x):
        deadline = time.monotonic() + PATIENCE
        while ray.is_initialized() and len(list(self.folder.glob("*.json"))) < 2:
            assert time.monotonic() < deadline, "nobody joined"
            time.sleep(0.05)
        return self.stem(x)
'''
CLAIMED = """
import sys
from dataclasses import replace

import sweep.executors.nodes
from jobs.workers import ray_workers as remote
from jobs.workers.node import NodeReport
from sweep.commands.app import main

answer_of = remote.answer_of


def claim(ref, seconds):
    report = answer_of(ref, seconds)
    return replace(report, cuda=True) if isinstance(report, NodeReport) else report


remote.answer_of = claim
remote.DEVICE_OF_GPUS = "cpu"
sweep.executors.nodes.LOOK_SECONDS = 0.5
main()
"""
"""The command line, on a cluster whose GPUs are a claim: what they are given computes on CPUs."""


@pytest.fixture
def values(spec_values: Values, tmp_path: Path) -> Values:
    """One small model of three shards, and quick probes."""
    (tmp_path / "meeting_network.py").write_text(NETWORK)
    model = {
        "name": "a", "kind": "python", "factory": "meeting_network:build", "input": "fbank",
        "folder": str(tmp_path), "args": {"folder": str(tmp_path / "seen")}, "taps": ["stem"],
        "time_axis": 1,
    }  # fmt: skip
    (tmp_path / "seen").mkdir()
    return spec_values | {
        "models": [model], "layers": "all", "probes": [{"kind": "ridge"}],
        "compute": {"extractor": {"gpus": 1}},
    }  # fmt: skip


@contextmanager
def driven(sweep: Sweep, address: str) -> Iterator["subprocess.Popen[str]"]:
    command = [
        sys.executable, "-c", CLAIMED, "run", str(sweep.spec), "--address", address,
        "--display", "none", "--out", str(sweep.folder.root), "--cache", str(sweep.cache),
    ]  # fmt: skip
    with subprocess.Popen(
        command, cwd=sweep.spec.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def messages(sweep: Sweep) -> list[str]:
    return [event["message"] for event in sweep.events("warning")]


@pytest.mark.slow
def test_a_node_that_joins_is_used_and_one_with_other_code_is_not(
    values: Values, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    sweep = Sweep.make(values, cache, tmp_path / "joined")
    alone = Sweep.make(values, cache, tmp_path / "alone")
    other = tmp_path / "other"
    ignored = shutil.ignore_patterns("__pycache__", "checkpoints")
    shutil.copytree(Path(jobs.__file__).parent, other / "jobs", ignore=ignored)
    (other / "jobs" / "more.py").write_text('"""Other code."""\n')
    with ray_nodes.head(tmp_path, cpus=1, gpus=1) as head, driven(sweep, head.address) as driver:
        seen = tmp_path / "seen"
        wait_for(lambda: list(seen.glob("*.json")), driver)
        with (
            ray_nodes.worker(
                tmp_path / "strange", head.address, cpus=1, gpus=1,
                environment={"PYTHONPATH": str(other)},
            ),
        ):  # fmt: skip
            wait_for(lambda: any("NO WORK" in text for text in messages(sweep)), driver)
            with ray_nodes.worker(tmp_path / "second", head.address, cpus=1, gpus=1):
                _, said = driver.communicate(timeout=600)
    assert driver.returncode == 0, said
    told = messages(sweep)
    assert sum("joined and gets NO WORK: has other code of this project" in t for t in told) == 1
    assert sum("joined and gets work" in text for text in told) == 1
    places: list[dict[str, Any]] = [json.loads(path.read_text()) for path in seen.glob("*.json")]
    assert len({place["node"] for place in places}) == 2
    assert {place["visible"] for place in places} == {"0"}
    assert not sweep.events("retry")
    assert not sweep.events("failure")
    assert alone.here(overrides=("compute.extractor.gpus=0",)).status == "done"
    assert sweep.tables() == alone.tables()
    assert not list(sweep.folder.root.glob(".preflight*"))
