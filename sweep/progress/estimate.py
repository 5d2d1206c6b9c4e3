"""Time left of a run, from the measured durations of its shards, layers and other jobs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sweep.progress.models import ModelProgress, Units
from sweep.progress.state import STAGES, Progress


@dataclass(frozen=True)
class TimeLeft:
    """Estimated seconds until everything but the report is done."""

    seconds: float
    complete: bool
    """False if some of the work has never been measured, so that it takes longer."""


def time_left(progress: Progress, now: datetime) -> TimeLeft | None:
    """Estimate the time left; None if nothing is left, or nothing has been measured.

    A unit that is left is expected to take as long as those of the same model did, else as those of
    all models, and as many to run at a time as did so far.
    """
    left = list(_left(progress))
    known = [seconds for seconds in left if seconds is not None]
    began = [s.started for s in progress.stages.values() if s.started and s.name not in _ALONE]
    busy = sum(_measured(progress))
    if not left or not known or not began or busy <= 0:
        return None
    wall = max((now - min(began)).total_seconds(), 1e-3)
    at_a_time = busy / wall
    return TimeLeft(sum(known) / at_a_time, len(known) == len(left))


_ALONE = (STAGES[0], STAGES[-1])
_KINDS: tuple[Callable[[ModelProgress], Units], ...] = (
    lambda model: model.extraction,
    lambda model: model.probing,
)


def _left(progress: Progress) -> Iterator[float | None]:
    """Seconds of processes that remain: a number for each model and stage with work left, None
    where a stage has not been measured."""
    for of in _KINDS:
        everything = [of(model) for model in progress.models.values()]
        overall = _mean(everything)
        for model in progress.models.values():
            units = of(model)
            if units.left and not model.extraction_failed:
                mean = _mean([units]) or overall
                yield None if mean is None else units.left * mean
    for name, stage in progress.stages.items():
        if name in STAGES or stage.done >= stage.total:
            continue
        seconds = progress.analysis_seconds.get(name, 0.0)
        mean = seconds / stage.finished if stage.finished else None
        yield None if mean is None else (stage.total - stage.done) * mean


def _measured(progress: Progress) -> Iterator[float]:
    for model in progress.models.values():
        yield from (of(model).seconds for of in _KINDS)
    yield from progress.analysis_seconds.values()


def _mean(units: list[Units]) -> float | None:
    """Seconds of a unit; None before the first."""
    count = sum(one.measured for one in units)
    return sum(one.seconds for one in units) / count if count else None
