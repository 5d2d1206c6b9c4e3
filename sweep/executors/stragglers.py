"""Detection of stragglers on slow nodes, and of hanging jobs, which would delay the whole sweep."""

from bisect import insort
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

LATE = 3.0
"""Multiple of the median duration of its kind from which a job is late."""
ENOUGH = 3
"""Number of jobs of a kind that must have returned before another one can count as late."""
STUCK = 10.0
"""The user is warned of a job that has taken this multiple of the median of its kind ..."""
STUCK_SECONDS = 600.0
"""... and at least this many seconds; ..."""
UNKNOWN_SECONDS = 1800.0
"""... and of a job that has taken this many seconds if the durations of its kind are unknown."""

SEARCH_SECONDS = 30.0
"""Seconds between two searches for jobs that may hang."""
TIMEOUT_HINT = (
    "it hangs, or waits for a place: --set compute.timeout=MINUTES ends a job that takes longer"
)


class Waits:
    """Durations of jobs by kind (the shards of a model, the layers of a model), and the nodes that
    return tasks in time."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)
        """Sorted, as all jobs in flight are compared with them at every turn of the driver."""
        self._in_time: dict[str, float] = {}
        """Time at which each node last returned a task that was not late."""

    def note(self, node: str, kind: str, seconds: float | None, now: float) -> None:
        """Note that ``node`` returned a task after ``seconds``; None: its beginning is unknown."""
        if not (seconds and self.is_late(kind, seconds)):
            self._in_time[node] = now
        if seconds is not None:
            self.add(kind, seconds)

    def nodes_in_time(self, nodes: Iterable[str], since: float) -> frozenset[str]:
        """Select the ``nodes`` that returned a task in time after ``since``."""
        return frozenset(node for node in nodes if self._in_time.get(node, since) > since)

    def add(self, kind: str, seconds: float) -> None:
        """Add the duration of a job that returned."""
        insort(self._seconds[kind], seconds)

    def median(self, kind: str) -> float | None:
        """Median duration of the kind in seconds; None: too few returned."""
        known = self._seconds.get(kind, ())
        if len(known) < ENOUGH:
            return None
        return (known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2

    def is_late(self, kind: str, seconds: float) -> bool:
        """Return whether a job that began ``seconds`` ago is late."""
        median = self.median(kind)
        return median is not None and seconds > LATE * median

    def is_stuck(self, kind: str, seconds: float) -> bool:
        """Return whether a job that began ``seconds`` ago is so late that it may hang."""
        median = self.median(kind)
        most = UNKNOWN_SECONDS if median is None else max(STUCK_SECONDS, STUCK * median)
        return seconds > most

    def describe(self, kind: str, seconds: float) -> str:
        """Describe a job that hangs, or seems to."""
        median = self.median(kind)
        others = "" if median is None else f", where half of the {kind} took {median:.3g} s"
        return f"has not come back for {seconds / 60:.0f} minutes{others}"

    def forget(self, kind: str) -> None:
        """Forget a kind of which no job is left."""
        self._seconds.pop(kind, None)


class Line:
    """Tasks in the order of their submission, of which the first are running.

    Ray does not say when a task began. It starts them in this order, each as soon as there is a
    place.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._places = 0
        self._queue: OrderedDict[Any, None] = OrderedDict()
        self._begun: dict[Any, float] = {}

    def __len__(self) -> int:
        return len(self._queue) + len(self._begun)

    @property
    def has_place(self) -> bool:
        """Return whether another task would begin at once."""
        return len(self) < self._places

    def set_places(self, places: int) -> None:
        """Set the number of tasks that can run at a time."""
        self._places = places
        self._begin()

    def join(self, task: Any) -> None:
        """Add a submitted task."""
        self._queue[task] = None
        self._begin()

    def leave(self, task: Any) -> float | None:
        """Remove a task; return the seconds that it ran, None if it never began."""
        begun = self._begun.pop(task, None)
        self._queue.pop(task, None)
        self._begin()
        return None if begun is None else self._clock() - begun

    def begun(self, task: Any) -> float | None:
        """Return the time at which a task began; None: it is waiting."""
        return self._begun.get(task)

    def _begin(self) -> None:
        while self._queue and len(self._begun) < self._places:
            self._begun[self._queue.popitem(last=False)[0]] = self._clock()


class HangWarnings:
    """Warns once about each job that seems to hang, as without a time limit it would go unnoticed.

    Args:
        waits: durations of the jobs that returned.
        warn: called with a message for the user.
        clock: seconds.
    """

    def __init__(
        self, waits: Waits, warn: Callable[[str], object], clock: Callable[[], float]
    ) -> None:
        self._waits, self._warn, self._clock = waits, warn, clock
        self._searched = clock()
        self._warned: set[Any] = set()

    def search(self, jobs: Callable[[], Iterable[tuple[Any, str, str, float | None]]]) -> None:
        """Search for jobs that hang, if the last search was a while ago.

        Args:
            jobs: returns the key, the title and the kind of every job in flight, and the time at
                which it began, None if it is waiting.
        """
        now = self._clock()
        if now - self._searched < SEARCH_SECONDS:
            return
        self._searched = now
        keys, messages = set(), []
        for key, title, kind, begun in jobs():
            keys.add(key)
            if key in self._warned or begun is None or not self._waits.is_stuck(kind, now - begun):
                continue
            self._warned.add(key)
            messages.append(f"{title} {self._waits.describe(kind, now - begun)}")
        self._warned &= keys
        if messages:
            others = f" (and {len(messages) - 1} others)" if len(messages) > 1 else ""
            self._warn(f"{messages[0]}{others}; {TIMEOUT_HINT}")
