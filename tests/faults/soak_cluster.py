"""The cluster of the soak, and what is to be known of processes."""

import os
import signal
from contextlib import ExitStack
from pathlib import Path

from tests.faults.sweeps import Process, session, with_signal
from tests.support import ray_nodes


class Cluster:
    """A head and a worker on loopback, for many rounds; every node is a session of its own."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._started = 0
        self._stack = ExitStack()
        self._worker = ExitStack()

    def __enter__(self) -> "Cluster":
        before = _children()
        self._head = self._stack.enter_context(ray_nodes.head(self._home / "head", cpus=1))
        [self._head_leader] = _children() - before
        self._join()
        return self

    def __exit__(self, *exception: object) -> None:
        self._worker.close()
        self._stack.close()

    @property
    def address(self) -> str:
        """Of the head."""
        return self._head.address

    def leaders(self) -> list[int]:
        """Of the nodes' sessions."""
        return [self._head_leader, self._worker_leader]

    def _join(self) -> None:
        self._started += 1
        before = _children()
        folder = self._home / f"node-{self._started}"
        self._worker.enter_context(ray_nodes.worker(folder, self.address, cpus=1))
        [self._worker_leader] = _children() - before

    def lose_node(self) -> None:
        """SIGKILL the worker node's raylet, and start another node."""
        kill_raylet(self._worker_leader)
        self._worker.close()
        self._join()

    def mib(self) -> int:
        """Memory of the head's own processes."""
        own = [p for p in session(self._head_leader) if _program(p) in ("raylet", "gcs_server")]
        return sum(mib_of(process.pid, "VmRSS") for process in own)


def _children() -> set[int]:
    """This process' own children that are alive."""
    return set(map(int, _child_file().read_text().split()))


def _child_file() -> Path:
    return Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")


def _program(process: Process) -> str:
    return Path(process.command.partition(" ")[0]).name


def kill_raylet(leader: int) -> None:
    """SIGKILL the raylet of a session."""
    for process in session(leader):
        if _program(process) == "raylet":
            with_signal(process.pid, signal.SIGKILL)


def mib_of(pid: int, field: str) -> int:
    """A figure of proc(5)'s status; 0 when the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return int(found[0]) // 1024 if found else 0
