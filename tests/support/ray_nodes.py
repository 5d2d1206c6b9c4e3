"""Ray nodes on loopback, each a process of its own: a cluster that somebody else started."""

import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

RAY = Path(sys.executable).with_name("ray")
START_SECONDS = 600


@dataclass(frozen=True)
class Head:
    """The head of a cluster."""

    address: str
    dashboard: str
    pid: int
    """Of the process that leads its session: `ray start`."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def head(folder: Path, *, cpus: int, gpus: int = 0, dashboard: bool = False) -> Iterator[Head]:
    """A head in an empty folder, ended with the block; it has this process' environment."""
    port, http = free_port(), free_port()
    options = [
        "--head", f"--port={port}", f"--dashboard-port={http}",
        f"--include-dashboard={str(dashboard).lower()}",
    ]  # fmt: skip
    options += [f"--num-cpus={cpus}", f"--num-gpus={gpus}"]
    # Ray Jobs go to the cluster that was begun last in the same folder; sockets want a short path.
    with (
        TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as session,
        _node(folder / "head", [*options, f"--temp-dir={session}"]) as process,
    ):
        for wanted in (port, http) if dashboard else (port,):
            _wait_for(partial(answers, wanted), process)
        yield Head(f"127.0.0.1:{port}", f"http://127.0.0.1:{http}", process.pid)


@contextmanager
def worker(
    folder: Path,
    address: str,
    *,
    cpus: int,
    gpus: int = 0,
    mounts: Sequence[Path] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[int]:
    """Another node, by the process that leads its session.

    It has empty folders of its own in place of ``mounts``. Its GPUs are a claim: Ray gives them
    away, and nothing can compute on them.
    """
    options = [f"--address={address}", f"--num-cpus={cpus}", f"--num-gpus={gpus}"]
    with _node(folder, options, mounts, environment) as process:
        # One after the other: two that start at once may choose one socket.
        _wait_for(lambda: b"Ray runtime started" in (folder / "log").read_bytes(), process)
        yield process.pid


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
        process.wait(timeout=600)


def _wait_for(what: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while not what():
        assert process.poll() is None, f"the node ended with {process.returncode}"
        assert time.monotonic() < deadline, "the node did not start"
        time.sleep(0.2)
