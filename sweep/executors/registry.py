"""Executors by name. To add one, write its file and add a row."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from sweep.executors.base import Executor
from sweep.executors.inline import InlineExecutor
from sweep.executors.preflight import Storage, check, disk_problems, inline_problems
from sweep.executors.session import check_answers, ray_session
from sweep.spec.schema import Compute


@dataclass(frozen=True)
class ExecutorArguments:
    """Arguments for opening an executor."""

    compute: Compute
    """Resources that a job holds."""
    address: str | None
    """Address of a cluster, if given."""
    storage: Storage
    """Locations that jobs will write to."""
    warn: Callable[[str], object]
    """Called with a message for the user."""


@dataclass(frozen=True)
class ExecutorKind:
    """Functions that open an executor, and check its address before anything is prepared."""

    open: Callable[[ExecutorArguments], AbstractContextManager[Executor]]
    """Raises ``ClusterError`` if jobs cannot run there."""
    check_address: Callable[[str | None], None] = lambda address: None
    """Raises ``ClusterError`` if nothing answers at the address."""
    opening: str = ""
    """Message for the user while it opens; empty if it opens at once."""


def _inline(arguments: ExecutorArguments) -> AbstractContextManager[Executor]:
    check(
        [*disk_problems(arguments.storage), *inline_problems(arguments.compute, arguments.storage)]
    )
    return nullcontext(InlineExecutor(arguments.compute))


def _local(arguments: ExecutorArguments) -> AbstractContextManager[Executor]:
    return ray_session(arguments.compute, None, arguments.storage, arguments.warn)


def _cluster(arguments: ExecutorArguments) -> AbstractContextManager[Executor]:
    return ray_session(arguments.compute, arguments.address, arguments.storage, arguments.warn)


EXECUTORS = {
    "local": ExecutorKind(_local, opening="starting Ray on this machine"),
    "inline": ExecutorKind(_inline),
    "cluster": ExecutorKind(
        _cluster,
        lambda address: check_answers(address or "auto"),
        opening="connecting to the cluster at {address} and checking its nodes",
    ),
}
