"""CPU time of alternatives, run in turn."""

import statistics
import time
from collections.abc import Callable, Mapping

Seconds = dict[str, list[float]]
"""Of each variant, repetition by repetition."""


def interleaved(variants: Mapping[str, Callable[[], object]], repetitions: int) -> Seconds:
    """Time every variant ``repetitions`` times, after running each once unmeasured.

    What is timed is the CPU time of this process, all its threads together: other processes do not
    count. What slows all work down (clock, shared caches) hits variants that run in turn alike;
    the order rotates, so that none always follows the same one.
    """
    names = list(variants)
    for name in names:
        variants[name]()
    seconds: Seconds = {name: [] for name in names}
    for repetition in range(repetitions):
        first = repetition % len(names)
        for name in names[first:] + names[:first]:
            start = time.process_time()
            variants[name]()
            seconds[name].append(time.process_time() - start)
    return seconds


def ratios(seconds: Seconds, variant: str, to: str) -> tuple[float, ...]:
    """``variant`` ÷ ``to``, each repetition by itself: neighbours in time are compared."""
    return tuple(a / b for a, b in zip(seconds[variant], seconds[to], strict=True))


def median(values: tuple[float, ...]) -> float:
    """The middle value, or the mean of the two middle ones."""
    return statistics.median(values)
