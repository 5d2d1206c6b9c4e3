"""What becomes of work that did not succeed: tried again, how often, and after how long.

============ ===================================================== =================================
cause        what it means                                         what is done
============ ===================================================== =================================
died         its process, its actor or its node is gone            tried again elsewhere
timeout      it died when ``compute.timeout`` was over             the same
memory       its machine, or the process, ran out of memory        tried again beside less work
io           a disk or an object store answered with an error      tried again after some waiting
disk         a disk is full                                        the run waits; no attempt counts
corrupt      an activation shard is damaged                        extracted again
code         anything else: the same would happen again            fails at once
============ ===================================================== =================================
"""

import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from sweep.state.retry_policy import Cause, may_try_again, wait_seconds

_VALUES = re.compile(r"'[^']*'|\"[^\"]*\"|[-+]?\d(?:[eE][-+](?=\d)|[\w.])*")


def pattern(reason: str) -> str:
    """What reasons that tell of one mistake have in common: no quoted names, and no numbers."""
    return _VALUES.sub("…", reason)


class Attempts:
    """Counts how often work was tried, and knows when it may be tried again.

    Args:
        tell: told of another attempt: what, the number of the attempt, why.
        clock: seconds.
    """

    def __init__(
        self, tell: Callable[[str, int, str], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell = tell
        self._clock = clock
        self._count: Counter[str] = Counter()
        self._due: dict[str, float] = {}
        self._alone: set[str] = set()

    def again(self, where: str, cause: Cause, reason: str) -> bool:
        """An attempt failed; whether there is to be another."""
        if cause == "disk":
            return True
        self._count[where] += 1
        attempts = self._count[where]
        if not may_try_again(cause, attempts):
            return False
        self._due[where] = self._clock() + wait_seconds(cause, attempts)
        if cause == "memory":
            self._alone.add(where)
        self._tell(where, attempts + 1, reason)
        return True

    def take_back(self, where: str) -> None:
        """What failed last was not to blame: it does not count."""
        self._count[where] -= 1

    def is_due(self, where: str) -> bool:
        """Whether it may be tried now."""
        return where not in self._due or self._clock() >= self._due[where]

    def is_alone(self, where: str) -> bool:
        """Whether it ran out of memory before, and had better have a machine to itself."""
        return where in self._alone


@dataclass
class CircuitBreaker:
    """Stops a run whose first work fails all alike: the rest would, too.

    One success, or one failure that is unlike, and it never stops the run any more. Where there are
    several models, those that failed must be of two at least: one may be broken, and the others
    well.

    Attributes:
        limit: pieces of work (a layer's probes, or a model's extraction); None: never stops.
        n_models: that have work.
    """

    limit: int | None
    n_models: int
    _failures: int = 0
    _models: set[str] = field(default_factory=set)
    _pattern: str | None = None
    _off: bool = False

    def succeeded(self) -> None:
        """Some work is done."""
        self._off = True

    def failed(self, model: str, reason: str) -> bool:
        """Some work of ``model`` failed for good; whether to stop now."""
        if self._pattern is not None and pattern(reason) != self._pattern:
            self._off = True
        self._pattern = pattern(reason)
        self._failures += 1
        self._models.add(model)
        if self._off or self.limit is None:
            return False
        return self._failures >= self.limit and len(self._models) >= min(2, self.n_models)
