"""Number of attempts at each job, and the time of the next one."""

import time
from collections import Counter
from collections.abc import Callable

from sweep.state.retry_policy import Cause, may_try_again, wait_seconds


class Attempts:
    """Counts the attempts at each job, and schedules the next one.

    Jobs are identified by their keys.

    Args:
        report: called before another attempt with the key, the attempt's number, and the reason.
        clock: seconds.
    """

    def __init__(
        self,
        report: Callable[[str, int, str], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._report = report
        self._clock = clock
        self._count: Counter[str] = Counter()
        self._due: dict[str, float] = {}
        self._alone: set[str] = set()

    def again(self, key: str, cause: Cause, reason: str) -> bool:
        """Count a failed attempt; return whether there will be another."""
        if cause == "disk":
            return True
        self._count[key] += 1
        attempts = self._count[key]
        if not may_try_again(cause, attempts):
            return False
        self._due[key] = self._clock() + wait_seconds(cause, attempts)
        if cause == "memory":
            self._alone.add(key)
        self._report(key, attempts + 1, reason)
        return True

    def take_back(self, key: str) -> None:
        """Uncount the last attempt, which failed for a reason outside the job."""
        self._count[key] -= 1

    def is_due(self, key: str) -> bool:
        """Return whether the job may be tried now."""
        return key not in self._due or self._clock() >= self._due[key]

    def is_alone(self, key: str) -> bool:
        """Return whether the job ran out of memory before and should run on an exclusive node."""
        return key in self._alone
