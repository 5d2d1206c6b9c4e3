"""Short timings on this machine, for ``plan``: a batch of each model, a fit of each probe, and what
a layer takes beside its fits."""

import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, median

import numpy as np
import pandas as pd

from jobs.activations.store import read_layer
from jobs.extraction.extractor import Extractor
from jobs.extraction.shard import Shard
from jobs.probes import PROBES, ProbeSettings
from jobs.process import limit_threads
from jobs.protocol.folds import Fold
from sweep.commands.time_tasks import TaskSeconds, columns_of_a_fit, time_task
from sweep.errors import reason
from sweep.plan.plan import Plan
from sweep.running.remaining import ModelWork
from sweep.spec.schema import Compute
from sweep.state.ledger import Record

BUDGET_SECONDS = 15.0
"""Seconds of timing after which no further model, or probe, is timed."""
BATCH = 8
"""Utterances that are timed, after one that is not."""
SIZES = ((100, 64), (400, 512))
"""Rows and columns of timed fits; more data are expected to take longer in proportion."""
QUICK_SECONDS = 0.5
"""Seconds of a small fit after which a larger one is timed, too."""


@dataclass
class Timings:
    """Measured durations, in seconds of one process."""

    models: dict[str, float] = field(default_factory=dict)
    """Model → seconds for a second of audio."""
    loads: dict[str, float] = field(default_factory=dict)
    """Model → seconds to load it, and for a first utterance."""
    reads: dict[str, float] = field(default_factory=dict)
    """Model → seconds to read a layer from a shard."""
    task: TaskSeconds = field(default_factory=TaskSeconds)
    """Seconds that a layer takes beside its fits and its activations."""
    probes: dict[str, float] = field(default_factory=dict)
    """Probe → seconds for a cell."""
    said: list[str] = field(default_factory=list)
    """Phrases for the user about each timing."""


def time_work(
    work: Sequence[ModelWork],
    plan: Plan,
    compute: Compute,
    table: pd.DataFrame,
    seconds: Mapping[str, float],
    records: Iterable[Record],
) -> Timings:
    """Time the work that is left, on this machine.

    Args:
        work: the remaining work.
        plan: the plan.
        compute: CPUs and GPUs of a job.
        table: the utterance table, with the targets.
        seconds: duration by path of the audio.
        records: finished cells, which say how long a cell takes where there are any.
    """
    import torch

    timings = Timings()
    limit_threads(compute.extractor.cpus)
    device = "cuda" if compute.extractor.gpus and torch.cuda.is_available() else "cpu"
    end = time.monotonic() + BUDGET_SECONDS
    for one in work:
        if one.shards and time.monotonic() < end:
            try:
                _time_model(one, device, seconds, timings)
            except Exception as error:  # noqa: BLE001 - a user's model may raise anything
                timings.said.append(f"not {one.planned.name}: {reason(error)}")
    limit_threads(compute.probe.cpus)
    left = Counter(cell.probe for one in work for task in one.tasks for cell in task.cells)
    measured = _of_records(records, left)
    tasks = [task for one in work for task in one.tasks]
    if tasks:
        timings.task = time_task(plan, table, max(tasks, key=lambda task: len(task.cells)))
    end = time.monotonic() + BUDGET_SECONDS
    for probe in left:
        if probe in measured:
            timings.probes[probe] = fmean(measured[probe])
            timings.said.append(f"{len(measured[probe])} finished cells of {probe}")
        elif time.monotonic() < end:
            try:
                _time_probe(probe, plan, work, timings)
            except Exception as error:  # noqa: BLE001 - so may a user's probe, or too few rows
                timings.said.append(f"not {probe}: {reason(error)}")
    return timings


def _time_model(
    work: ModelWork, device: str, seconds: Mapping[str, float], timings: Timings
) -> None:
    """Load a model and extract a few utterances, into a folder that is removed."""
    shard = work.shards[0]
    chosen = list(shard.paths.items())[: BATCH + 1]
    model = work.planned.name
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        extractor = Extractor(work.planned.extract, device=device)
        extractor.extract(_part(shard, chosen[:1], Path(folder, "first")))
        timings.loads[model] = time.perf_counter() - start
        timed = chosen[1:] or chosen
        start = time.perf_counter()
        extractor.extract(_part(shard, timed, Path(folder, "timed")))
        took = time.perf_counter() - start
        start = time.perf_counter()
        if not shard.labels:  # with labels, sums are stored instead
            read_layer(Path(folder, "timed"), 1, work.planned.layers[0].name)
        timings.reads[model] = time.perf_counter() - start
    audio = sum(seconds[path] for _, path in timed)
    timings.models[model] = took / max(audio, 1e-3)
    timings.said.append(f"{len(timed)} utterances through {model} ({took:.2f} s on {device})")


def _part(shard: Shard, chosen: Sequence[tuple[str, str]], folder: Path) -> Shard:
    names, paths = zip(*chosen, strict=True)
    return replace(
        shard, folder=folder, index=0, utterance_ids=names, audio_paths=paths, labels=None,
        cached={},
    )  # fmt: skip


def _of_records(records: Iterable[Record], probes: Iterable[str]) -> dict[str, list[float]]:
    """Seconds of the finished cells of each of ``probes``."""
    found: dict[str, list[float]] = {probe: [] for probe in probes}
    for record in records:
        if record.status == "done" and record.probe in found:
            found[record.probe].append(record.seconds)
    return {probe: taken for probe, taken in found.items() if taken}


def _time_probe(probe: str, plan: Plan, work: Sequence[ModelWork], timings: Timings) -> None:
    """Fit a probe to random data that are as large as a layer's, or smaller."""
    tasks = (task for one in work for task in one.tasks)
    task = next(task for task in tasks if any(cell.probe == probe for cell in task.cells))
    columns = columns_of_a_fit(plan, task, probe)
    target = next(cell.target for cell in task.cells if cell.probe == probe)
    rows = max(planned.n_utterances for one in work for planned in one.planned.sets)
    rows = max(rows, sum(planned.n_utterances for planned in work[0].planned.sets))
    width = int(median(layer.width for one in work for layer in one.planned.layers))
    settings, classes = plan.probes[probe], plan.kind(target) == "classification"
    fit_seconds(settings, classes, min(rows, 20), 2, 1)  # imports what the probe needs
    took = 0.0
    for most_rows, most_columns in SIZES:
        n, d = min(rows, most_rows), min(width, most_columns)
        took = fit_seconds(settings, classes, n, d, columns)
        if took > QUICK_SECONDS:
            break
    timings.probes[probe] = took / columns * (rows / n) * (width / d)
    timings.said.append(f"a fit of {probe} to {n} × {d} random numbers ({took:.2f} s)")


def fit_seconds(settings: ProbeSettings, classes: bool, n: int, d: int, columns: int) -> float:
    """Seconds of a fit; a warning of the probe about random data means nothing."""
    random = np.random.default_rng(0)
    X = random.standard_normal((n, d)).astype(np.float32)
    Y = random.standard_normal((n, columns))
    if classes:  # every one of them in each part
        Y = np.tile(np.arange(n) % min(8, max(2, n // 8)), (columns, 1)).T.astype(np.float64)
    parts = np.split(np.arange(n), [int(0.7 * n), int(0.85 * n)])
    fit = PROBES[settings.kind].fit("classification" if classes else "regression")
    groups = np.array([f"speaker {row % 10}" for row in range(n)])
    start = time.perf_counter()
    fit(settings, X, Y, Fold(*parts), groups, list(range(columns)))
    return time.perf_counter() - start
