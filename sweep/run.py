"""``sweep run``: from a spec file to tables and plots."""

import csv
import difflib
import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from signal import Signals
from time import perf_counter
from typing import Literal

from jobs.corpus.table import Skipped, write_table
from jobs.files import atomic_path, write_text
from jobs.store import CorruptShard, read_manifest
from sweep.backlog import Wanted, is_done
from sweep.driver import Driver, Status
from sweep.events import EventLog
from sweep.executors import Executor, InlineExecutor, ray_session
from sweep.ledger import Ledger, Record
from sweep.lock import run_lock
from sweep.logs import driver_log
from sweep.plan import Plan, layer_tasks, shards
from sweep.prepare import Prepared, load_and_prepare
from sweep.provenance import describe_plan, describe_session
from sweep.recorder import Recorder
from sweep.report.build import build_report
from sweep.results import Run
from sweep.run_folder import RunFolder
from sweep.source import Problem, SpecError
from sweep.spec import Spec
from sweep.stop import StopSignal

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunOptions:
    """How to run; changes no number."""

    where: Literal["local", "inline", "cluster"] = "local"
    address: str | None = None
    """Of the cluster."""
    out: Path | None = None
    cache: Path = Path("results/.cache")
    overrides: Sequence[str] = ()
    """``KEY=VALUE`` assignments to the spec."""
    only: str | None = None
    """Glob over ``model/layer/probe``: what to work on."""
    fail_fast: bool = False
    fresh: bool = False
    """Forget the run's ledger."""
    arguments: Sequence[str] = field(default=())
    """The command line, for provenance."""


@dataclass(frozen=True)
class RunResult:
    """What became of a run."""

    folder: RunFolder
    status: Status
    done: int
    """Planned cells that have their scores."""
    failed: int
    """Planned cells that failed."""
    planned: int
    """Cells of the whole plan."""
    ran_shards: int
    """Shards that this run extracted."""
    ran_cells: int
    """Cells that came back in this run, failed ones among them."""
    stopped_by: Signals | None
    """The signal that interrupted it."""
    run: Run | None
    """For its tables; None when it was interrupted."""


def run_sweep(spec_path: Path, options: RunOptions, events: EventLog) -> RunResult:
    """Run what is left of a spec, then rebuild its tables and plots.

    Raises:
        SpecError: the spec is wrong; nothing was started or written.
        ClusterError: Ray cannot run it.
        RunIsLocked: another driver works on the run.
    """
    with _stage(events, "prepare"):
        prepared = load_and_prepare(spec_path, options.overrides, options.cache)
    _check_matches(options.only, prepared.plan)
    # Absolute: jobs run in processes that have a working directory of their own.
    options = replace(options, cache=options.cache.absolute())
    folder = RunFolder((options.out or Path("results") / prepared.spec.name).absolute())
    with run_lock(folder.lock), driver_log(folder.driver_log):
        if options.fresh:
            _forget(folder)
        _remove_leftovers(folder)
        _write_inputs(folder, prepared)
        events.open(folder.events)
        with Ledger(folder.ledger) as ledger:
            return _run(folder, prepared, options, ledger, events)


def _run(
    folder: RunFolder, prepared: Prepared, options: RunOptions, ledger: Ledger, events: EventLog
) -> RunResult:
    start = perf_counter()
    recorder = Recorder(prepared.plan, ledger, events)
    for line in ledger.damaged:
        recorder.warning(f"{folder.ledger.name}: {line}; its cells run again")
    for note in prepared.notes:
        recorder.warning(note)
    driver = Driver(
        prepared.plan,
        prepared.table,
        folder,
        options.cache,
        _with_predictions(folder, ledger, recorder),
        recorder,
        wanted=_wanted(options.only),
        fail_fast=options.fail_fast,
    )
    _announce(prepared.plan, driver, events)
    stop = StopSignal()
    status: Status = "done"
    if driver.n_cells:
        _add_provenance(folder, prepared, options)
        with _executor(prepared.spec, options) as executor, stop:
            status = driver.run(executor, stop)
    run = None
    if status != "interrupted":
        with _stage(events, "report"):
            _write_skipped(folder, [*prepared.skipped, *_skipped(prepared, folder, options.cache)])
            run = Run.open(folder.root)
            build_report(run)
    done, failed = _count(prepared.plan, ledger)
    status = "failed" if failed and status == "done" else status
    seconds = perf_counter() - start
    events.emit("run_finished", status=status, done=done, failed=failed, seconds=seconds)
    return RunResult(
        folder=folder,
        status=status,
        done=done,
        failed=failed,
        planned=prepared.plan.n_cells,
        ran_shards=recorder.shards,
        ran_cells=recorder.scored,
        stopped_by=stop.received,
        run=run,
    )


def _with_predictions(folder: RunFolder, ledger: Ledger, recorder: Recorder) -> dict[str, Record]:
    """The records but those whose predictions are gone: their cells run again."""
    present = {path.name for path in folder.predictions.glob("*.npz")}
    usable = {
        cell_id: record
        for cell_id, record in ledger.records.items()
        if record.status == "failed" or record.predictions in present
    }
    lost = len(ledger.records) - len(usable)
    if lost:
        recorder.warning(f"{lost} cells have lost their predictions; they run again")
    return usable


def _executor(spec: Spec, options: RunOptions) -> AbstractContextManager[Executor]:
    if options.where == "inline":
        return nullcontext(InlineExecutor(spec.compute))
    return ray_session(spec.compute, options.address if options.where == "cluster" else None)


def _announce(plan: Plan, driver: Driver, events: EventLog) -> None:
    total_shards = sum(planned.n_shards for model in plan.models for planned in model.sets)
    totals = {"extract": total_shards, "probe": plan.n_cells}
    done = {
        "extract": total_shards - driver.n_shards,
        "probe": plan.n_cells - driver.n_cells,
    }
    models = [model.name for model in plan.models]
    log.info("%s: %d shards and %d cells to do", plan.name, driver.n_shards, driver.n_cells)
    events.emit("planned", run=plan.name, models=models, totals=totals, done=done)


def _wanted(only: str | None) -> Wanted:
    if only is None:
        return lambda model, layer, probe: True
    return lambda model, layer, probe: fnmatchcase(f"{model}/{layer}/{probe}", only)


def _check_matches(only: str | None, plan: Plan) -> None:
    places = [
        f"{model.name}/{layer.name}/{probe}"
        for model in plan.models
        for layer in model.layers
        for probe in plan.probes
    ]
    if only is not None and not any(fnmatchcase(place, only) for place in places):
        near = difflib.get_close_matches(only, places, n=3, cutoff=0) or places[:1]
        message = f"no model/layer/probe matches it; nearest: {', '.join(near)}"
        raise SpecError([Problem(f"--only {only}", 1, 1, message)])


def _write_inputs(folder: RunFolder, prepared: Prepared) -> None:
    """What the run is made of, before anything runs."""
    write_text(folder.spec, prepared.spec.to_yaml())
    write_table(folder.utterances, prepared.table)
    write_text(folder.plan, prepared.plan.model_dump_json(indent=1))


def _add_provenance(folder: RunFolder, prepared: Prepared, options: RunOptions) -> None:
    """Describe the plan as it is now, and add this process to those that made its numbers."""
    before = json.loads(folder.provenance.read_text()) if folder.provenance.exists() else {}
    session = describe_session(options.arguments, options.where)
    provenance = {
        "cache": str(options.cache),
        **describe_plan(prepared.plan),
        "audio": list(prepared.notes),
        "runs": [*before.get("runs", []), session],
    }
    write_text(folder.provenance, json.dumps(provenance, indent=1))


def _remove_leftovers(folder: RunFolder) -> None:
    """Temporary files of a driver or worker that was killed; the lock says that none is at work."""
    for path in folder.root.rglob(".*.tmp*"):
        path.unlink()


def _forget(folder: RunFolder) -> None:
    for path in (folder.ledger, folder.events, folder.provenance):
        path.unlink(missing_ok=True)
    shutil.rmtree(folder.predictions, ignore_errors=True)


def _skipped(prepared: Prepared, folder: RunFolder, cache: Path) -> Iterator[Skipped]:
    """Utterances that extraction left out, each once: every model reads the same audio.

    Shards of finished cells may be gone from the cache, or damaged: what they told when the tables
    were last made is taken from there.
    """
    seen: dict[Skipped, None] = {}
    unread: set[str] = set()
    for model in prepared.plan.models:
        for planned in model.sets:
            for shard in shards(planned, prepared.table, cache):
                try:
                    manifest = read_manifest(shard.folder, shard.index)
                except CorruptShard as error:
                    log.warning("%s", error)
                    manifest = None
                if manifest is None:
                    unread.update(shard.utterance_ids)
                else:
                    seen.update(dict.fromkeys(manifest.skipped))
    before = Run.open(folder.root).skipped if unread else []
    yield from (seen | dict.fromkeys(one for one in before if one.utterance_id in unread))


def _write_skipped(folder: RunFolder, skipped: Sequence[Skipped]) -> None:
    for one in skipped:
        log.warning("skipped %s: %s (%s)", one.utterance_id, one.reason, one.path)
    with (
        atomic_path(folder.skipped) as path,
        # A file name that is not UTF-8 is shown with its odd bytes escaped.
        path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.DictWriter(file, ["utterance_id", "path", "reason"])
        writer.writeheader()
        writer.writerows(vars(one) for one in skipped)


def _count(plan: Plan, ledger: Ledger) -> tuple[int, int]:
    ids = [cell.cell_id for task in layer_tasks(plan) for cell in task.cells]
    done = sum(is_done(ledger.records, cell_id) for cell_id in ids)
    failed = sum(cell_id in ledger.records for cell_id in ids) - done
    return done, failed


@contextmanager
def _stage(events: EventLog, name: str) -> Iterator[None]:
    start = perf_counter()
    events.emit("stage_started", stage=name)
    yield
    events.emit("stage_finished", stage=name, seconds=perf_counter() - start)
