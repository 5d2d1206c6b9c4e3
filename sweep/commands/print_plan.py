"""Output of ``sweep plan``: the remaining work and its cost."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table
from rich.text import Text

from jobs.audio.frames import FRAME_SHIFT, SAMPLE_RATE
from jobs.models import forward_flops
from jobs.storage.location import Location
from sweep.analyses import ANALYSES, extraction_table
from sweep.analyses.base import RunContext
from sweep.commands.cost_estimate import cost_lines
from sweep.commands.prepare_spec import column_lines, corpus_line, prepare_spec
from sweep.commands.run_output import print_table
from sweep.plan.stale import why_stale
from sweep.prepare.prepare import Prepared
from sweep.progress.wording import printable
from sweep.running.remaining import ModelWork, remaining_work
from sweep.state.ledger import finished, stream_records
from sweep.state.mirror import fetch_records
from sweep.state.run_folder import local_cache, run_folder
from sweep.wording import counted

SUSTAINED_FLOPS = 10e12
"""Operations per second assumed for GPU hours: half of an A100's 19.5e12 in float32 (its data
sheet)."""


@dataclass(frozen=True)
class ModelCost:
    """Remaining work for a model."""

    model: str
    layers: int
    forward_passes: int
    pflop: float
    gpu_hours: float
    disk_bytes: int
    cells: int


def print_plan(
    path: Path,
    overrides: Sequence[str],
    out: Location | None,
    cache: Location,
    *,
    as_json: bool = False,
) -> None:
    """Print what `sweep run` would do."""
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
    costs = _costs(prepared, {left.planned.name: left for left in work})
    stale = why_stale(prepared.plan, stream_records(folder.ledger, on_damage=lambda line: None))
    if as_json:
        print(json.dumps(_values(prepared, costs, stale), indent=1))
        return
    print_table(_plan_table(prepared.plan.name, costs))
    print(f"GPU hours: at {SUSTAINED_FLOPS / 1e12:g} TFLOP/s, half of an A100's peak in float32")
    for reason, count in stale.items():
        print(f"stale: {counted(count, 'cell')}, {reason}")
    cells = sum(cost.cells for cost in costs)
    print(
        f"cells: {prepared.plan.n_cells - cells} done, {sum(stale.values())} stale, {cells} to do"
    )
    for analysis in ANALYSES:
        jobs_left = queues[analysis.name].waiting if analysis.name in queues else 0
        for line in analysis.cost(run, records, jobs_left):
            print(printable(line))
    for line in cost_lines(prepared.spec, prepared.table, prepared.plan):
        print(printable(line))
    print(corpus_line(prepared))
    for line in column_lines(prepared.columns):
        print(printable(line))


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
        "corpus": {
            "utterances": len(table),
            "speakers": table["speaker_id"].nunique(),
            "seconds": round(float(table["seconds"].sum()), 3),
            "skipped": len(prepared.skipped),
        },
        "columns": dict(prepared.columns),
    }


def _costs(prepared: Prepared, work: Mapping[str, ModelWork]) -> list[ModelCost]:
    heard = extraction_table(prepared.plan, prepared.table)
    # By path, which includes the tempo; a file used twice has the same duration both times.
    seconds = heard.drop_duplicates("audio_path").set_index("audio_path")["seconds"]
    features = prepared.spec.features
    if features.max_frames is not None and features.crop != "windows":
        seconds = seconds.clip(upper=features.max_frames * FRAME_SHIFT / SAMPLE_RATE)
    if features.pad_to is not None:
        seconds = seconds.clip(lower=features.pad_to * FRAME_SHIFT / SAMPLE_RATE)
    costs = []
    for model in prepared.plan.models:
        left = work.get(model.name)
        paths = [path for shard in left.shards for path in shard.paths_to_read] if left else []
        flops = forward_flops(model.extract.model) * float(seconds[paths].sum()) if paths else 0.0
        costs.append(
            ModelCost(
                model=model.name,
                layers=len(model.layers),
                forward_passes=len(paths),
                pflop=flops / 1e15,
                gpu_hours=flops / SUSTAINED_FLOPS / 3600,
                disk_bytes=sum(map(model.shard_bytes, left.shards if left else ())),
                cells=sum(len(task.cells) for task in left.tasks) if left else 0,
            )
        )
    return costs


def _plan_table(name: str, costs: Sequence[ModelCost]) -> Table:
    table = Table(title=f"{name}: what would run")
    for column in ("model", "layers", "forward passes", "PFLOP", "GPU hours", "disk", "cells"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for cost in costs:
        table.add_row(
            Text(printable(cost.model)),
            str(cost.layers),
            str(cost.forward_passes),
            f"{cost.pflop:.3g}",
            f"{cost.gpu_hours:.2g}",
            f"{cost.disk_bytes / 2**30:.2g} GiB",
            str(cost.cells),
        )
    return table
