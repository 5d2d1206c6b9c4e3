"""Ray nodes on loopback, each a process of its own: a cluster that somebody else started."""

import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

RAY = Path(sys.executable).with_name("ray")
START_SECONDS = 120


@dataclass(frozen=True)
class Head:
    """The head of a cluster."""

    address: str
    dashboard: str


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def head(folder: Path, *, cpus: int, dashboard: bool = False) -> Iterator[Head]:
    """A head in an empty folder, ended with the block; it has this process' environment."""
    port, http = free_port(), free_port()
    options = [
        "--head", f"--port={port}", f"--dashboard-port={http}",
        f"--include-dashboard={str(dashboard).lower()}",
    ]  # fmt: skip
    with _node(folder / "head", [*options, f"--num-cpus={cpus}"]) as process:
        for wanted in (port, http) if dashboard else (port,):
            _wait_for(wanted, process)
        yield Head(f"127.0.0.1:{port}", f"http://127.0.0.1:{http}")


@contextmanager
def worker(
    folder: Path,
    address: str,
    *,
    cpus: int,
    mounts: Sequence[Path] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Another node; it has empty folders of its own in place of ``mounts``."""
    options = [f"--address={address}", f"--num-cpus={cpus}"]
    with _node(folder, options, mounts, environment):
        yield


def can_mount() -> bool:
    """Whether a process here may have mounts of its own."""
    return subprocess.run(["unshare", "--mount", "true"], check=False).returncode == 0


@contextmanager
def _node(
    folder: Path,
    options: Sequence[str],
    mounts: Sequence[Path] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    folder.mkdir(parents=True)
    command = [
        str(RAY), "start", "--block", "--node-ip-address=127.0.0.1", "--disable-usage-stats",
        f"--dashboard-agent-listen-port={free_port()}", *options,
    ]  # fmt: skip
    if mounts:
        hide = "".join(f"mount -t tmpfs none {shlex.quote(str(path))}; " for path in mounts)
        command = ["unshare", "--mount", "sh", "-ec", f"{hide} exec {shlex.join(command)}"]
    path = os.pathsep.join([str(RAY.parent), os.environ["PATH"]])  # Ray Jobs run `python`
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "PATH": path, **(environment or {})},
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=90)


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers(port):
        assert process.poll() is None, f"the head ended with {process.returncode}"
        assert time.monotonic() < deadline, "the head did not start"
        time.sleep(0.2)
