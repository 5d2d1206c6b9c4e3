"""Cost of the remaining work of each model, and how it is shown."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from rich.console import Console

from sweep.commands.fitted_table import fitted
from sweep.commands.time_work import Timings
from sweep.report.tables.markup import MISSING, Cell, Table
from sweep.spec.schema import Compute
from sweep.wording import listed

MOST_TIMED = 6
"""Number of timings that are named; the rest are counted."""


@dataclass(frozen=True)
class ModelCost:
    """Remaining work for a model."""

    model: str
    layers: int
    forward_passes: int
    audio_seconds: float
    """Seconds of audio that the passes read."""
    pflop: float | None
    """Operations of the passes in units of 1e15; None if they could not be counted."""
    gpu_hours: float | None
    disk_bytes: int
    cells: int
    stale: int = 0
    """Cells among these that were done, and are no longer what is planned."""
    failed: int = 0
    """Cells among these that failed."""
    extraction_minutes: float | None = None
    """Minutes of extraction on this machine; None if it was not timed."""
    probe_minutes: float | None = None
    """Minutes of probes on this machine, with what their layers take beside fits."""

    @property
    def new(self) -> int:
        """Cells that never ran."""
        return max(self.cells - self.stale - self.failed, 0)

    @property
    def minutes(self) -> float | None:
        """Minutes on this machine; None if a part was not timed."""
        parts = (self.extraction_minutes, self.probe_minutes)
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None


def with_minutes(
    cost: ModelCost,
    cells: Mapping[str, int],
    tasks: int,
    shards: int,
    timings: Timings,
    compute: Compute,
) -> ModelCost:
    """Add the minutes on this machine.

    Args:
        cost: the cost so far.
        cells: number of cells that are left, by probe.
        tasks: number of layers that are left.
        shards: number of shards that each of them reads.
        timings: measured durations.
        compute: CPUs of a job, which decide how many run at a time.
    """
    extraction: float | None = 0.0
    if cost.forward_passes:
        rate = timings.models.get(cost.model)
        workers = 1 if compute.extractor.gpus else jobs_at_a_time(compute.extractor.cpus)
        if rate is None:
            extraction = None
        else:  # every worker loads the model, at the same time
            loading = timings.loads.get(cost.model, 0.0)
            extraction = (loading + rate * cost.audio_seconds / workers) / 60
    known = all(probe in timings.probes for probe in cells)
    seconds = sum(timings.probes.get(probe, 0.0) * count for probe, count in cells.items())
    # Of a model that is in the cache already, no shard was read: others say how long it takes.
    reading = timings.reads.get(cost.model, fmean(timings.reads.values() or (0.0,)))
    seconds += tasks * (timings.task.layer + shards * reading)
    seconds += sum(cells.values()) * timings.task.cell
    probes = seconds / jobs_at_a_time(compute.probe.cpus) / 60 if known else None
    return replace(cost, extraction_minutes=extraction, probe_minutes=probes)


def jobs_at_a_time(cpus: int) -> int:
    """Return how many jobs of ``cpus`` CPUs this machine runs at a time."""
    return max(len(os.sched_getaffinity(0)) // max(cpus, 1), 1)


def minutes_of(costs: Sequence[ModelCost]) -> float | None:
    """Return the minutes of all models on this machine; None if one is not known."""
    known = [cost.minutes for cost in costs if cost.minutes is not None]
    return round(sum(known), 2) if len(known) == len(costs) else None


def minutes_lines(costs: Sequence[ModelCost], said: Sequence[str]) -> Iterator[str]:
    """Say how long the work takes on this machine, and what that is known from."""
    extraction = [c.extraction_minutes for c in costs if c.extraction_minutes is not None]
    probes = [c.probe_minutes for c in costs if c.probe_minutes is not None]
    if not said or not (extraction or probes):
        return
    complete = minutes_of(costs) is not None
    about = "about" if complete else "more than"
    total = sum(extraction) + sum(probes)
    parts = f"extraction {minutes_text(sum(extraction))}, probes {minutes_text(sum(probes))}"
    yield f"on this machine: {about} {minutes_text(total)} ({parts})"
    yield (
        "this covers loading models, forward passes, fits, and reading, scoring and writing of "
        "layers; not checks of the corpus, Ray's start, optional analyses and the report"
    )
    more = [f"{len(said) - MOST_TIMED} more"] if len(said) > MOST_TIMED else []
    yield f"timed: {listed([*said[:MOST_TIMED], *more])}"


def minutes_text(minutes: float) -> str:
    """Format minutes: ``20 s``, ``12 min`` or ``3.5 h``."""
    if minutes < 1:
        return f"{max(minutes * 60, 0):.0f} s"
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def print_costs(name: str, costs: Sequence[ModelCost]) -> None:
    """Print a row for each model, in a table that fits the terminal."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)
    console.print(f"{name}: what would run", style="bold", markup=False)
    for part in fitted(costs_table(costs), console.width):
        console.print(part)
    console.print()


def costs_table(costs: Sequence[ModelCost]) -> Table:
    """Build the table: layers, cells and passes that are left, and what they take."""
    header = (
        "Model",
        "Layers",
        "New cells",
        "Stale",
        "Failed",
        "Passes",
        "Here",
        "GPU hours",
        "Disk",
    )
    rows = tuple(
        tuple(
            map(
                Cell,
                (
                    cost.model, str(cost.layers), str(cost.new), str(cost.stale), str(cost.failed),
                    str(cost.forward_passes),
                    MISSING if cost.minutes is None else minutes_text(cost.minutes),
                    MISSING if cost.gpu_hours is None else f"{cost.gpu_hours:.2g}",
                    f"{cost.disk_bytes / 2**30:.2g} GiB",
                ),
            )
        )
        for cost in costs
    )  # fmt: skip
    return Table(header, (False, *[True] * (len(header) - 1)), rows)
