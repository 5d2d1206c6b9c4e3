"""Circuit breaker: stops a run in which everything fails."""

from collections.abc import Callable

from sweep.errors import pattern


class CircuitBreaker:
    """Stops a run whose first jobs all fail with the same error, as the rest would fail, too.

    After one success, or one failure with another error, it never stops the run. If several models
    have work, at least two must fail: one broken model must not stop the others.

    Args:
        limit: pieces of work (a layer's probes, or a model's extraction); None: it never stops.
        n_models: models that have work.
        report: called once, with the reason, when the run is to stop.
    """

    def __init__(self, limit: int | None, n_models: int, report: Callable[[str], object]) -> None:
        self._limit = limit
        self._n_models = n_models
        self._report = report
        self._failures = 0
        self._models: set[str] = set()
        self._pattern: str | None = None
        self._off = limit is None
        self.is_open = False
        """True once no more work may begin."""

    def succeeded(self) -> None:
        """Note that some work succeeded."""
        self._off = True

    def failed(self, model: str, reason: str) -> None:
        """Note that some work of ``model`` failed permanently."""
        if self._pattern is not None and pattern(reason) != self._pattern:
            self._off = True
        self._pattern = pattern(reason)
        self._failures += 1
        self._models.add(model)
        if self._off or self._limit is None or self.is_open:
            return
        if self._failures >= self._limit and len(self._models) >= min(2, self._n_models):
            self.is_open = True
            self._report(
                f"stopped: the first {self._limit} layers or models all failed with the same error "
                f"({reason}). Fix the cause and run again, or continue regardless with "
                "--set compute.give_up_after=null"
            )
