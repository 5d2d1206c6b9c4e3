"""Ray sessions: connect to a local Ray or a cluster, and check that its nodes are fit."""

import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Thread
from types import FrameType
from typing import Any

import ray
import ray.exceptions
from ray.job_config import JobConfig

from jobs.workers import ray_workers
from jobs.workers.node import NodeReport, describe_node
from sweep.errors import ClusterError, reason
from sweep.executors import preflight
from sweep.executors.head_monitor import Head
from sweep.executors.nodes import NodePool
from sweep.executors.preflight import Node, Storage
from sweep.executors.ray import RayExecutor
from sweep.executors.temporary_folder import temporary_folder
from sweep.signals import Terminated, exit_at_once
from sweep.spec.schema import Compute

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
FAREWELL_SECONDS = 20.0
"""Seconds that leaving a cluster may take, as its head may not respond."""


class _AskedNode:
    """A node that joined and is checked as all nodes were at the start."""

    def __init__(self, node: Node, storage: Storage | None, compute: Compute) -> None:
        self._node = node
        self._compute = compute
        self._until = time.monotonic() + preflight.NODE_SECONDS
        self._stack = ExitStack()
        self._met = self._stack.enter_context(preflight.meeting_places(storage)) if storage else ()
        self._ref = ray_workers.ask_node(node.id, self._met)
        self._thread = ThreadPoolExecutor(1)
        self._looking: Future[list[str]] | None = None

    def troubles(self) -> list[str] | None:
        """See ``sweep.executors.nodes.NodeQuery``."""
        in_time = time.monotonic() < self._until
        if self._looking is None:
            if not ray_workers.has_answered(self._ref) and in_time:
                return None
            # Shared storage may take seconds to show what the node wrote; the driver does not wait.
            answer = ray_workers.answer_of(self._ref, preflight.NODE_SECONDS)
            self._looking = self._thread.submit(self._look, answer)
        if not self._looking.done():
            return None
        try:
            return self._looking.result()
        except OSError as error:  # of an object store
            self._looking = None
            return None if in_time else [f"cannot be asked: {error}"]

    def _look(self, answer: NodeReport | str) -> list[str]:
        met, here = self._met, describe_node()
        return list(preflight.node_troubles(here, self._node, answer, met, self._compute))

    def close(self) -> None:
        """See ``sweep.executors.nodes.NodeQuery``."""
        self._thread.shutdown(wait=False)
        try:
            self._stack.close()
        except OSError as error:
            log.warning("%s: what it was asked with is left over: %s", self._node.name, error)


NO_ANSWER = (
    "no Ray cluster answers at {address}: {error}. Start one with `ray start --head` and pass its "
    "address, or run on this machine with --local. Where the cluster asks for a token, as Ray's do "
    "once there is one, set RAY_AUTH_MODE=token here too (and RAY_AUTH_TOKEN, if ~/.ray/auth_token "
    "is another one)"
)
_OTHER_VERSION = (
    "the cluster at {address} has another version of Ray or Python than this machine; install the "
    "same ones on all machines. Ray says: {error}"
)


_NOT_STARTED = (
    "Ray does not start on this machine: {error}. Its logs are in {folder}/session_latest/logs; "
    "RAY_TMPDIR names another folder, and --inline runs without Ray"
)
_IN_HOME = "; it keeps a token there: set HOME to a folder that you may write to"


@contextmanager
def ray_session(
    compute: Compute,
    address: str | None,
    storage: Storage | None = None,
    warn: Callable[[str], object] = log.warning,
) -> Iterator[RayExecutor]:
    """Connect to Ray for the length of the block.

    Args:
        compute: resources that the jobs ask for.
        address: address of a running cluster; None starts a local Ray.
        storage: locations that the jobs will write to; checked before the block begins.
        warn: called with a message about the cluster for the user.

    Raises:
        ClusterError: the cluster cannot be reached, no node meets a job's demands, or nodes differ
            from this machine where they must agree.
    """
    _connect(compute, address)
    gram_memory = 0 if storage is None else storage.gram_memory
    head: Head | None = None
    try:
        try:
            fit = _fit_nodes(compute, address, storage, warn)
        except ConnectionError as error:  # it died after its start
            raise ClusterError(_why_not(address, error)) from error
        roster = NodePool(fit)
        if address is not None:
            head = Head(ray.get_runtime_context().gcs_address, _nodes)
            roster = NodePool(
                fit,
                head.nodes,
                lambda node: _AskedNode(node, storage, compute),
                lambda node: bool(preflight.workers([node], compute, gram_memory)),
                warn,
                answers=lambda: head.answers,
            )
        try:
            yield RayExecutor(compute, roster, gram_memory, warn)
        finally:
            roster.close()
    finally:
        _leave(head)


def _leave(head: Head | None) -> None:
    """Leave the cluster, without waiting for a head that does not respond."""
    if head is None:  # a local Ray
        ray.shutdown()
        return
    head.close()
    leaving = Thread(target=ray.shutdown, daemon=True)
    leaving.start()
    leaving.join(timeout=FAREWELL_SECONDS)
    if leaving.is_alive():
        exit_at_once()


def _fit_nodes(
    compute: Compute,
    address: str | None,
    storage: Storage | None,
    warn: Callable[[str], object],
) -> list[Node]:
    """Find the nodes that can receive work.

    Raises:
        ClusterError: there is none, or one differs from this machine where it must agree.
    """
    nodes = _nodes()
    gram_memory = 0 if storage is None else storage.gram_memory
    problems = list(preflight.resource_problems(nodes, compute, gram_memory))
    if storage is not None:
        problems += preflight.disk_problems(storage)
    fit = preflight.workers(nodes, compute, gram_memory)
    if address is None:
        local = {node.id: describe_node() for node in fit}
        problems += preflight.node_problems(describe_node(), fit, local, (), compute)
    elif storage is not None:
        problems += _shared_problems(fit, storage, compute, warn)
    preflight.check(problems)
    return fit


def _connect(compute: Compute, address: str | None) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options: dict[str, Any] = {
        "log_to_driver": False, "logging_level": "ERROR", "job_config": _job_config(),
    }  # fmt: skip
    if address is None:
        needed = max(compute.extractor.cpus, compute.probe.cpus)
        cpus = max(len(os.sched_getaffinity(0)), needed)
        options |= {"address": "local", "num_cpus": cpus, "include_dashboard": False}
        options["_temp_dir"] = temporary_folder()
    else:
        check_answers(address)
        options |= {"address": address}
    on_sigterm = signal.getsignal(signal.SIGTERM)
    with _interrupts() as interrupted:
        try:
            ray.init(**options)
        except SystemExit:  # by Ray's handler of SIGTERM, which it installs first
            raise Terminated from None
        except Exception as error:  # Ray raises OSError, RuntimeError, and Exception itself
            ray.shutdown()
            if interrupted:  # Ray may swallow Ctrl-C, and then find that a process is not there
                raise KeyboardInterrupt from error
            raise ClusterError(_why_not(address, error)) from error
        finally:
            signal.signal(signal.SIGTERM, on_sigterm)


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """List the SIGINTs that arrive in the block; they are handled as before."""
    handler, arrived = signal.getsignal(signal.SIGINT), list[int]()
    if not callable(handler):  # ignored, as in a shell's background job
        yield arrived
        return

    def note(number: int, frame: FrameType | None) -> None:
        arrived.append(number)
        handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield arrived
    finally:
        signal.signal(signal.SIGINT, handler)


def _why_not(address: str | None, error: Exception) -> str:
    why = reason(error).rstrip(".")  # a sentence follows
    if address is None:
        home = os.path.expanduser("~/.ray")  # noqa: PTH111 - Path's raises where there is no home
        why += _IN_HOME if str(getattr(error, "filename", "")).startswith(home) else ""
        return _NOT_STARTED.format(error=why, folder=temporary_folder())
    form = _OTHER_VERSION if "ersion mismatch" in str(error) else NO_ANSWER
    return form.format(address=address, error=why)


def _job_config() -> Any:
    """Configure a job whose workers search for modules like any Python process on their node.

    Ray puts the driver's working directory first on their ``sys.path``, unless the job ships one: a
    user's folder ``jobs`` there would be imported in place of this project's.
    """
    config = JobConfig()
    config._runtime_env_has_working_dir = lambda: True
    return config


def check_answers(address: str) -> None:
    """Check that something listens at the address, as Ray itself would retry for minutes.

    Raises:
        ClusterError: nothing listens, or the address is invalid.
    """
    if address == "auto":
        return
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or "/" in host:
        raise ClusterError(f"{address} is no address: expected HOST:PORT (as in head:6379) or auto")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise ClusterError(NO_ANSWER.format(address=address, error=error)) from None


def _nodes() -> list[Node]:
    try:
        found = ray.nodes()
    except ray.exceptions.RayError as error:
        raise ConnectionError(str(error)) from error
    return [
        Node(
            id=node["NodeID"],
            name=f"{node['NodeManagerHostname']} (node {node['NodeID'][:8]})",
            resources=node["Resources"],
        )
        for node in found
        if node["Alive"]
    ]


def _shared_problems(
    nodes: Sequence[Node], storage: Storage, compute: Compute, warn: Callable[[str], object]
) -> list[str]:
    """Check all nodes at once, from their reports; return their problems."""
    with preflight.meeting_places(storage) as met:
        ids = [node.id for node in nodes]
        answers = ray_workers.ask_nodes(ids, met, preflight.NODE_SECONDS)
        if preflight.is_open(answers):
            warn(preflight.OPEN_CLUSTER)
        # Ray notices a dead node some seconds late; a dead node does not answer and is not waited
        # for.
        there = {node.id for node in _nodes()}
        left = [node for node in nodes if node.id in there]
        return list(preflight.node_problems(describe_node(), left, answers, met, compute))
