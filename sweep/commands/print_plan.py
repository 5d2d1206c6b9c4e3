"""Output of ``sweep plan``: the remaining work and its cost."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from jobs.audio.frames import FRAME_SHIFT, SAMPLE_RATE
from jobs.models import forward_flops
from jobs.storage.location import Location
from sweep.analyses import ANALYSES, extraction_table
from sweep.analyses.base import RunContext
from sweep.commands.cost_estimate import cost_lines
from sweep.commands.plan_costs import (
    ModelCost,
    minutes_lines,
    minutes_of,
    print_costs,
    with_minutes,
)
from sweep.commands.prepare_spec import column_lines, corpus_line, prepare_spec
from sweep.errors import reason
from sweep.plan.plan import PlannedModel
from sweep.plan.stale import stale_by_model
from sweep.prepare.prepare import Prepared
from sweep.progress.wording import printable
from sweep.running.remaining import ModelWork, remaining_work
from sweep.state.ledger import Finished, Record, finished, stream_records
from sweep.state.mirror import fetch_records
from sweep.state.run_folder import local_cache, run_folder
from sweep.wording import counted

SUSTAINED_FLOPS = 10e12
"""Operations per second assumed for GPU hours: half of an A100's 19.5e12 in float32 (its data
sheet)."""


def print_plan(
    path: Path,
    overrides: Sequence[str],
    out: Location | None,
    cache: Location,
    *,
    as_json: bool = False,
    timing: bool = True,
) -> None:
    """Print what `sweep run` would do; with ``timing``, in how many minutes on this machine."""
    prepared = prepare_spec(path, overrides, local_cache(cache))
    folder = fetch_records(run_folder(out or Path("results") / prepared.spec.name))
    damaged: list[str] = []
    records = finished(stream_records(folder.ledger, on_damage=damaged.append))
    for line in damaged:
        print(printable(f"{folder.ledger.name}: {line}; its cells run again"), file=sys.stderr)
    run = RunContext(prepared.spec, prepared.plan, prepared.table, folder, cache)
    queues = {one.name: queue for one in ANALYSES if (queue := one.queue(run)) is not None}
    work = remaining_work(
        prepared.plan, extraction_table(prepared.plan, prepared.table), cache, records,
        wanted=lambda task, cell: True, on_corrupt=lambda error: None,
        compared={model for queue in queues.values() for model in queue.models}, keep_index=False,
    )  # fmt: skip

    def recorded() -> Iterator[Record]:
        return stream_records(folder.ledger, on_damage=lambda line: None)

    stale = stale_by_model(prepared.plan, recorded())
    costs = _costs(prepared, {left.planned.name: left for left in work}, stale, records)
    said: Sequence[str] = ()
    if timing and work:
        costs, said = _timed(prepared, costs, work, recorded())
    reasons = sum(stale.values(), Counter[str]())
    if as_json:
        print(json.dumps(_values(prepared, costs, reasons), indent=1))
        return
    print_costs(prepared.plan.name, costs)
    for line in (*minutes_lines(costs, said), *_count_lines(prepared, costs, stale)):
        print(printable(line))
    for analysis in ANALYSES:
        jobs_left = queues[analysis.name].waiting if analysis.name in queues else 0
        for line in analysis.cost(run, records, jobs_left):
            print(printable(line))
    for line in cost_lines(prepared.spec, prepared.table, prepared.plan):
        print(printable(line))
    print(corpus_line(prepared))
    for line in column_lines(prepared.columns):
        print(printable(line))


def _count_lines(
    prepared: Prepared, costs: Sequence[ModelCost], stale: Mapping[str, Counter[str]]
) -> Iterator[str]:
    yield f"GPU hours: at {SUSTAINED_FLOPS / 1e12:g} TFLOP/s, half of an A100's peak in float32"
    for model, reasons in stale.items():
        for why, count in reasons.items():
            yield f"stale: {model}: {counted(count, 'cell')}, {why}"
    cells = sum(cost.cells for cost in costs)
    n_stale = sum(count for reasons in stale.values() for count in reasons.values())
    yield f"cells: {prepared.plan.n_cells - cells} done, {n_stale} stale, {cells} to do"


def _values(
    prepared: Prepared, costs: Sequence[ModelCost], stale: Mapping[str, int]
) -> dict[str, object]:
    """Return the plan as plain values."""
    table, to_do = prepared.table, sum(cost.cells for cost in costs)
    return {
        "name": prepared.plan.name,
        "models": [asdict(cost) for cost in costs],
        "cells": {"done": prepared.plan.n_cells - to_do, "to_do": to_do},
        "stale": dict(stale),
        "minutes": minutes_of(costs),
        "corpus": {
            "utterances": len(table),
            "speakers": table["speaker_id"].nunique(),
            "seconds": round(float(table["seconds"].sum()), 3),
            "skipped": len(prepared.skipped),
        },
        "columns": dict(prepared.columns),
    }


def _seconds_by_path(prepared: Prepared) -> "pd.Series[float]":
    """Seconds that a network reads of every audio file."""
    heard = extraction_table(prepared.plan, prepared.table)
    # By path, which includes the tempo; a file used twice has the same duration both times.
    seconds = heard.drop_duplicates("audio_path").set_index("audio_path")["seconds"]
    features = prepared.spec.features
    if features.max_frames is not None and features.crop != "windows":
        seconds = seconds.clip(upper=features.max_frames * FRAME_SHIFT / SAMPLE_RATE)
    if features.pad_to is not None:
        seconds = seconds.clip(lower=features.pad_to * FRAME_SHIFT / SAMPLE_RATE)
    return seconds


def _costs(
    prepared: Prepared,
    work: Mapping[str, ModelWork],
    stale: Mapping[str, Counter[str]],
    records: Mapping[str, Finished],
) -> list[ModelCost]:
    seconds, costs = _seconds_by_path(prepared), []
    for model in prepared.plan.models:
        left = work.get(model.name)
        paths = [path for shard in left.shards for path in shard.paths_to_read] if left else []
        audio = float(seconds[paths].sum()) if paths else 0.0
        rate = _flops_per_second(model) if paths else 0.0
        flops = None if rate is None else rate * audio
        cells = [cell.cell_id for task in left.tasks for cell in task.cells] if left else []
        costs.append(
            ModelCost(
                model=model.name,
                layers=len(model.layers),
                forward_passes=len(paths),
                audio_seconds=audio,
                pflop=None if flops is None else flops / 1e15,
                gpu_hours=None if flops is None else flops / SUSTAINED_FLOPS / 3600,
                disk_bytes=sum(map(model.shard_bytes, left.shards if left else ())),
                cells=len(cells),
                stale=min(sum(stale.get(model.name, {}).values()), len(cells)),
                failed=sum(name in records and records[name].status == "failed" for name in cells),
            )
        )
    return costs


def _flops_per_second(model: PlannedModel) -> float | None:
    """Operations for a second of audio; None if the network fails on what they are counted on."""
    try:
        return forward_flops(model.extract.model)
    except Exception as error:  # noqa: BLE001 - a user's model may raise anything
        why = f"{model.name}: its operations cannot be counted: {reason(error)}"
        print(printable(f"warning: {why}"), file=sys.stderr)
        return None


def _timed(
    prepared: Prepared,
    costs: Sequence[ModelCost],
    work: Sequence[ModelWork],
    records: Iterable[Record],
) -> tuple[list[ModelCost], Sequence[str]]:
    """Add the minutes on this machine, and say what was timed."""
    from sweep.commands.time_work import time_work

    compute = prepared.spec.compute
    seconds = {str(path): float(value) for path, value in _seconds_by_path(prepared).items()}
    timings = time_work(work, prepared.plan, compute, prepared.table, seconds, records)
    left = {one.planned.name: one for one in work}
    timed = []
    for cost in costs:
        one = left.get(cost.model)
        tasks = one.tasks if one else ()
        cells = Counter(cell.probe for task in tasks for cell in task.cells)
        shards = sum(planned.n_shards for planned in one.planned.stored_sets) if one else 0
        timed.append(with_minutes(cost, cells, len(tasks), shards, timings, compute))
    return timed, timings.said
