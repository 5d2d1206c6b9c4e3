"""Which work is late, as slow nodes and hanging jobs make it: it would hold the whole sweep."""

from bisect import insort
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

LATE = 3.0
"""Work is late when it has taken so many times as long as half of its kind."""
ENOUGH = 3
"""Pieces of work that must have come back before another one of the kind is called late."""
STUCK = 10.0
"""A user is told of work that has taken so many times as long as half of its kind ..."""
STUCK_SECONDS = 600.0
"""... and that long at least; ..."""
UNKNOWN_SECONDS = 1800.0
"""... and of work that has taken that long where nothing is known of its kind."""


class Waits:
    """How long the work of each kind took: the shards of a model, the layers of a model."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)
        """Sorted: all that is out is compared with them, at every turn of the driver."""

    def add(self, kind: str, seconds: float) -> None:
        """One came back."""
        insort(self._seconds[kind], seconds)

    def median(self, kind: str) -> float | None:
        """Seconds that half of the kind took; None: too few came back."""
        known = self._seconds.get(kind, ())
        if len(known) < ENOUGH:
            return None
        return (known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2

    def is_late(self, kind: str, seconds: float) -> bool:
        """Whether one that was begun ``seconds`` ago is late."""
        median = self.median(kind)
        return median is not None and seconds > LATE * median

    def is_stuck(self, kind: str, seconds: float) -> bool:
        """Whether one that was begun ``seconds`` ago is so late that it may never come back."""
        median = self.median(kind)
        most = UNKNOWN_SECONDS if median is None else max(STUCK_SECONDS, STUCK * median)
        return seconds > most

    def describe(self, kind: str, seconds: float) -> str:
        """What is known of one that is stuck, or seems to be."""
        median = self.median(kind)
        others = "" if median is None else f", where half of the {kind} took {median:.3g} s"
        return f"has not come back for {seconds / 60:.0f} minutes{others}"

    def forget(self, kind: str) -> None:
        """Nothing of it is left to do."""
        self._seconds.pop(kind, None)


class Line:
    """Tasks in the order that they were sent in, of which the first are at work.

    Ray does not say when a task began. It begins them in this order, as soon as one has a place.

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
        """Whether one more would begin at once."""
        return len(self) < self._places

    def set_places(self, places: int) -> None:
        """So many can be at work at a time."""
        self._places = places
        self._begin()

    def join(self, task: Any) -> None:
        """It was sent."""
        self._queue[task] = None
        self._begin()

    def leave(self, task: Any) -> float | None:
        """It is out no more; the seconds that it was at work, None if it never was."""
        begun = self._begun.pop(task, None)
        self._queue.pop(task, None)
        self._begin()
        return None if begun is None else self._clock() - begun

    def begun(self, task: Any) -> float | None:
        """When, on the clock; None: it waits."""
        return self._begun.get(task)

    def _begin(self) -> None:
        while self._queue and len(self._begun) < self._places:
            self._begun[self._queue.popitem(last=False)[0]] = self._clock()
