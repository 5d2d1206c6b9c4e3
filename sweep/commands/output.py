"""What the verbs print on standard output."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.table import Table
from rich.text import Text

from jobs.audio.frames import FRAME_SHIFT, SAMPLE_RATE
from jobs.models import ModelInfo, describe_model, forward_flops, settings_from_name
from jobs.models.errors import ModelError
from jobs.models.settings import ModelSettings
from jobs.models.taps import Pooling
from jobs.models.wespeaker.architectures import unknown_architecture
from jobs.storage.location import Location
from sweep.analyses import ANALYSES, extraction_table
from sweep.analyses.base import RunContext
from sweep.commands.cost_estimate import cost_lines
from sweep.commands.run_output import print_findings, print_table
from sweep.errors import UsageError
from sweep.plan.plan import why_stale
from sweep.prepare.prepare import Prepared, load_and_prepare
from sweep.progress.bars import bars_on_stderr
from sweep.progress.state import Progress
from sweep.progress.wording import printable, status_lines
from sweep.results.run import Run
from sweep.running.remaining import ModelWork, remaining_work
from sweep.spec.loading import load_spec
from sweep.state.control import DriverLease, resume_command
from sweep.state.events import read_events
from sweep.state.ledger import finished, stream_records
from sweep.state.mirror import fetch
from sweep.state.run_folder import local_cache, run_folder

SUSTAINED_FLOPS = 10e12
"""What the GPU hours of a plan assume: half of an A100's 19.5e12 in float32 (its data sheet)."""


def print_plan(path: Path, overrides: Sequence[str], out: Location | None, cache: Location) -> None:
    """What `sweep run` would do."""
    prepared = _prepare(path, overrides, local_cache(cache))
    folder = fetch(run_folder(out or Path("results") / prepared.spec.name))
    records = finished(stream_records(folder.ledger, on_damage=lambda line: None))
    run = RunContext(prepared.spec, prepared.plan, prepared.table, folder, cache)
    queues = {one.name: queue for one in ANALYSES if (queue := one.queue(run)) is not None}
    work = remaining_work(
        prepared.plan, extraction_table(prepared.plan, prepared.table), cache, records,
        wanted=lambda task, cell: True, on_corrupt=lambda error: None,
        compared={model for queue in queues.values() for model in queue.models}, keep_index=False,
    )  # fmt: skip
    print_table(_plan_table(prepared, {left.planned.name: left for left in work}))
    print(f"GPU hours: at {SUSTAINED_FLOPS / 1e12:g} TFLOP/s, half of an A100's peak in float32")
    stale = why_stale(prepared.plan, stream_records(folder.ledger, on_damage=lambda line: None))
    for reason, count in stale.items():
        print(f"stale: {count} cells, {reason}")
    cells = sum(len(task.cells) for left in work for task in left.tasks)
    print(
        f"cells: {prepared.plan.n_cells - cells} done, {sum(stale.values())} stale, {cells} to do"
    )
    for analysis in ANALYSES:
        jobs_left = queues[analysis.name].waiting if analysis.name in queues else 0
        for line in analysis.cost(run, records, jobs_left):
            print(printable(line))
    for line in cost_lines(prepared.spec, prepared.table, prepared.plan):
        print(printable(line))
    print(_corpus_line(prepared))


def print_validation(path: Path, overrides: Sequence[str], cache: Path) -> None:
    """Confirm that a spec can be run; problems are raised."""
    prepared = _prepare(path, overrides, cache)
    print(f"{path}: valid; {len(prepared.plan.models)} models, {prepared.plan.n_cells} cells")
    print(_corpus_line(prepared))


def _prepare(path: Path, overrides: Sequence[str], cache: Path) -> Prepared:
    with bars_on_stderr() as tell:
        return load_and_prepare(path, overrides, cache, tell)


def print_status(run: Run) -> None:
    """Where a run stands: its cells by the ledger, its stages by the events."""
    counts = Counter(record.status for record in run.records.values())
    left = run.plan.n_cells - counts["done"] - counts["failed"]
    print(f"{run.plan.name}: {counts['done']} cells done, {counts['failed']} failed, {left} to do")
    holder = DriverLease(run.folder).holder()
    if holder is not None:
        print(f"driven by {holder} since {holder.since}")
    elif left:
        print(f"no driver is at work on it; {resume_command(run.folder)}")
    if run.folder.events.exists():
        progress = Progress()
        for event in read_events(run.folder.events):
            progress.update(event)
        print("\n".join(status_lines(progress, datetime.now(UTC))))
    print_findings(run.folder)
    errors = Counter(r.error for r in run.records.values() if r.status == "failed")
    for error, count in errors.most_common(10):
        print(printable(f"failed: {count} cells: {error}"))


def print_layers(model: str) -> None:
    """The taps of a model: a checkpoint folder, an architecture's name, or SPEC:NAME."""
    try:
        info = describe_model(*find_model(model))
    except ModelError as error:
        raise UsageError(str(error)) from None
    print_table(_layers_table(info))


def find_model(model: str) -> tuple[ModelSettings, Pooling]:
    """A checkpoint folder, an architecture's name, or SPEC:NAME, and how its layers are pooled.

    Raises:
        UsageError: it is none of these.
    """
    found = settings_from_name(model)
    if found is not None:
        return found, "mean"
    path, _, name = model.partition(":")
    if Path(path).is_file():
        spec = load_spec(Path(path))
        for settings in spec.models:
            if settings.name == name:
                return settings, spec.pooling
        names = ", ".join(repr(settings.name) for settings in spec.models)
        raise UsageError(f"{path} has no model {name!r}: expected one of {names}")
    raise UsageError(
        f"no model {model!r}: expected a checkpoint folder, a name that `hf download` has brought, "
        "SPEC:NAME as in 'specs/smoke.yaml:untrained', or an architecture; "
        f"{unknown_architecture(model)}"
    )


def _layers_table(info: ModelInfo) -> Table:
    table = Table(title=f"{info.architecture}, {info.n_parameters / 1e6:.2f} M parameters")
    for name in ("index", "layer", "study's name", "shape", "width"):
        table.add_column(name, justify="right" if name in ("index", "width") else "left")
    for tap in info.taps:
        shape = " × ".join(str(size) for size in tap.shape)
        table.add_row(str(tap.index), tap.name, tap.study_name, shape, str(tap.width))
    return table


def _plan_table(prepared: Prepared, work: dict[str, ModelWork]) -> Table:
    table = Table(title=f"{prepared.plan.name}: what would run")
    columns = ("model", "layers", "forward passes", "PFLOP", "GPU hours", "disk", "cells")
    for name in columns:
        table.add_column(name, justify="left" if name == "model" else "right")
    heard = extraction_table(prepared.plan, prepared.table)
    # By path, which has the tempo in it; a file that is heard twice is as long both times.
    seconds = heard.drop_duplicates("audio_path").set_index("audio_path")["seconds"]
    features = prepared.spec.features
    if features.max_frames is not None and features.crop != "windows":
        seconds = seconds.clip(upper=features.max_frames * FRAME_SHIFT / SAMPLE_RATE)
    if features.pad_to is not None:
        seconds = seconds.clip(lower=features.pad_to * FRAME_SHIFT / SAMPLE_RATE)
    for model in prepared.plan.models:
        left = work.get(model.name)
        paths = [path for shard in left.shards for path in shard.audio_paths] if left else []
        flops = forward_flops(model.extract.model) * float(seconds[paths].sum()) if paths else 0.0
        table.add_row(
            Text(printable(model.name)),
            str(len(model.layers)),
            str(len(paths)),
            f"{flops / 1e15:.3g}",
            f"{flops / SUSTAINED_FLOPS / 3600:.2g}",
            f"{sum(map(model.shard_bytes, left.shards if left else ())) / 2**30:.2g} GiB",
            str(sum(len(task.cells) for task in left.tasks) if left else 0),
        )
    return table


def _corpus_line(prepared: Prepared) -> str:
    table = prepared.table
    seconds = timedelta(seconds=round(table["seconds"].sum()))
    counts = table["split"].value_counts(sort=False)
    parts = ", ".join(f"{part} {count}" for part, count in counts.items())
    speakers = table["speaker_id"].nunique()
    line = f"corpus: {len(table)} utterances ({parts}), {speakers} speakers, {seconds} h"
    return f"{line}; {len(prepared.skipped)} skipped" if prepared.skipped else line
