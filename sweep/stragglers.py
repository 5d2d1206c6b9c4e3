"""Which shards are late, as slow nodes make them: the last ones would hold the whole sweep."""

from bisect import insort
from collections import defaultdict

LATE = 3.0
"""A shard is late when it has taken so many times as long as half of its model's."""
ENOUGH = 3
"""Shards that must have come back before one of the same model is called late."""


class Waits:
    """How long the shards of each model took."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)
        """Sorted: every shard that is out is compared with them, at every turn of the driver."""

    def add(self, model: str, seconds: float) -> None:
        """One came back."""
        insort(self._seconds[model], seconds)

    def is_late(self, model: str, seconds: float) -> bool:
        """Whether one that was begun ``seconds`` ago is late."""
        known = self._seconds.get(model, ())
        if len(known) < ENOUGH:
            return False
        median = (known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2
        return seconds > LATE * median

    def forget(self, model: str) -> None:
        """Its shards are all there."""
        self._seconds.pop(model, None)
