"""Jobs: units of work that any process can run, and the process that runs them."""

from collections.abc import Callable
from threading import Lock
from typing import Any, Literal, Protocol, TypeVar, cast

T = TypeVar("T")

Resources = Literal["extractor", "probe"]
"""The entry of a spec's ``compute`` that says which CPUs, GPUs and memory a job holds."""


class Worker:
    """A process that runs jobs. It keeps one value between them, such as a loaded model.

    Args:
        device: a torch device, such as ``cpu`` or ``cuda``.
    """

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self._kept: tuple[object, object] | None = None
        self._lock = Lock()

    def keep(self, key: object, make: Callable[[], T]) -> T:
        """The value kept under ``key``, made now unless it is the one that was kept last.

        The previous value is dropped before ``make`` is called: both may not fit into memory.
        Several threads may ask at a time; one of them makes the value and the others wait.
        """
        with self._lock:
            if self._kept is None or self._kept[0] != key:
                self._kept = None
                self._kept = (key, make())
            return cast(T, self._kept[1])

    def drop(self) -> None:
        """Drop the kept value."""
        with self._lock:
            self._kept = None


class Job(Protocol):
    """A unit of work. It is pickled, so everything it needs is in it or in the files it names."""

    @property
    def key(self) -> str:
        """Identity within a run, readable by people: attempts are counted by it."""

    @property
    def kind(self) -> str:
        """Jobs of one kind take about equally long."""

    @property
    def title(self) -> str:
        """Short human-readable name."""

    @property
    def resources(self) -> Resources:
        """What it holds while it runs."""

    @property
    def affinity(self) -> str | None:
        """Jobs of one affinity share a value that their worker keeps; None: nothing is kept."""

    def run(self, worker: Worker) -> Any:
        """Do the work. Whatever it raises is recorded by the driver, which decides on a retry."""
