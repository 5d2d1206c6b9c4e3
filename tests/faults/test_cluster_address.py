"""A Ray that somebody else started, in a folder of its own."""

import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Values

RAY = Path(sys.executable).with_name("ray")
START_SECONDS = 120


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def with_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides know the cluster's token."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))


@pytest.fixture
def head(tmp_path: Path, with_token: None) -> Iterator[str]:
    """The address of a cluster of one node on loopback, ended with the test."""
    port = free_port()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = [
        str(RAY), "start", "--head", "--block", f"--port={port}", "--node-ip-address=127.0.0.1",
        "--num-cpus=2", "--include-dashboard=false", "--disable-usage-stats",
    ]  # fmt: skip
    with (tmp_path / "head.log").open("w") as log:
        process = subprocess.Popen(command, cwd=elsewhere, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(port):
            assert process.poll() is None, (tmp_path / "head.log").read_text()
            assert time.monotonic() < deadline, "the cluster did not start"
            time.sleep(0.2)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=90)


def test_a_cluster_gives_the_same_tables_from_relative_paths(
    head: str,
    spec_values: Values,
    write_spec: Callable[[Values], Path],
    tmp_path: Path,
) -> None:
    path = write_spec(spec_values)
    tables = []
    for name, where in (("cluster", ["--address", head]), ("inline", ["--inline"])):
        # Relative paths, which are not those of the folder that the cluster was started in.
        command = [sys.executable, "-m", "sweep", "run", path.name, *where]
        command += ["--out", name, "--cache", f"{name}-cache"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        table = pd.read_csv(tmp_path / name / "tables" / "metrics.csv")
        tables.append(table.drop(columns="seconds"))
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert list((tmp_path / "cluster-cache" / "activations").glob("*/*.safetensors"))
    assert list((tmp_path / "elsewhere").iterdir()) == []
