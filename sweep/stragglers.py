"""Which shards are late, as slow nodes make them: the last ones would hold the whole sweep."""

from collections import defaultdict
from statistics import median

LATE = 3.0
"""A shard is late when it has taken so many times as long as half of its model's."""
ENOUGH = 3
"""Shards that must have come back before one of the same model is called late."""


class Waits:
    """How long the shards of each model took."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)

    def add(self, model: str, seconds: float) -> None:
        """One came back."""
        self._seconds[model].append(seconds)

    def is_late(self, model: str, seconds: float) -> bool:
        """Whether one that was begun ``seconds`` ago is late."""
        known = self._seconds.get(model, ())
        return len(known) >= ENOUGH and seconds > LATE * median(known)

    def forget(self, model: str) -> None:
        """Its shards are all there."""
        self._seconds.pop(model, None)
