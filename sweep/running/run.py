"""``sweep run``: from a spec file to tables and plots."""

import difflib
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from signal import Signals
from time import perf_counter

from jobs.protocol.cells import Cell
from jobs.statistics.scores import MAIN_SCORE
from sweep.analyses.base import RunContext
from sweep.errors import ClusterError, Problem, SpecError
from sweep.executors.registry import EXECUTORS, ExecutorArguments
from sweep.export.tracking import send
from sweep.plan.plan import LayerTask, Plan, layer_tasks
from sweep.prepare.prepare import Prepared, load_and_prepare
from sweep.report.build import build_report
from sweep.report.tables.model_tables import models_tables
from sweep.results.run import Run
from sweep.running.disk_pause import DiskPause
from sweep.running.driver import Status
from sweep.running.driver_log import driver_log
from sweep.running.options import RunOptions
from sweep.running.out_folder import refuse_foreign_folder
from sweep.running.recorder import Recorder
from sweep.running.remaining import CellFilter
from sweep.running.reusable import complete_records
from sweep.running.run_files import (
    add_precision,
    add_session,
    check_inputs,
    forget,
    previous_provenance,
    remove_leftovers,
    write_inputs,
)
from sweep.running.skipped import skipped_by_extraction, write_skipped
from sweep.running.up_to_date import InputWatch
from sweep.running.work import RunWork, WorkOptions
from sweep.signals import StopSignal
from sweep.state.cache_users import remember_run
from sweep.state.events import EventLog, progress_events
from sweep.state.ledger import Finished, Ledger, stream_records
from sweep.state.local_lease import run_lock
from sweep.state.mirror import check_store, fetch_results, mirrored
from sweep.state.run_folder import RunFolder, local_cache, make_folder, run_folder
from sweep.tracking.base import TrackingError, TrackSettings

log = logging.getLogger(__name__)

REPORT_PATIENCE = 240.0
"""Seconds to wait on a full disk for tables and report. Every score is on the disk by then, so that
the same command finishes later, and nobody's terminal or job is held for longer."""


@dataclass(frozen=True)
class RunResult:
    """Outcome of a run."""

    folder: RunFolder
    status: Status
    done: int
    """Planned cells that have their scores."""
    failed: int
    """Planned cells that failed."""
    planned: int
    """Number of cells of the whole plan."""
    ran_shards: int
    """Number of shards that this run extracted."""
    ran_cells: int
    """Number of cells that returned in this run, including failed ones."""
    stopped_by: Signals | None
    """The signal that interrupted it."""
    run: Run | None
    """The run, for its tables; None when it was interrupted."""


def run_sweep(spec_path: Path, options: RunOptions, events: EventLog) -> RunResult:
    """Run the remaining cells of a spec, then rebuild its tables and plots.

    Raises:
        SpecError: the spec is wrong; nothing was started or written.
        ClusterError: the cluster cannot run it.
        RunIsLocked: another driver works on the run.
    """
    watch = InputWatch(spec_path, options)
    if options.out is not None:  # before a corpus is read, which may take long
        refuse_foreign_folder(run_folder(options.out))
    EXECUTORS[options.where].check_address(options.address)
    with _stage(events, "prepare"):
        progress = progress_events(events, "prepare")
        try:
            prepared = load_and_prepare(
                spec_path, options.overrides, local_cache(options.cache), progress
            )
        except OSError:
            make_folder("--cache", options.cache)  # raises if that is the reason
            raise
    _check_matches(options.only, prepared.plan)
    # Absolute paths, because jobs run in processes with other working directories.
    options = replace(options, cache=options.cache.absolute())
    folder = run_folder(options.out or Path("results") / prepared.spec.name)
    refuse_foreign_folder(folder)
    check_inputs(folder, spec_path, prepared.spec, options)
    for option, place in (("--cache", options.cache), ("--out", folder.for_jobs(folder.root))):
        make_folder(option, place)
        check_store(place)
    lock = run_lock(folder.lock, folder.stop_request, unlock=options.unlock)
    mirror = mirrored(folder, unlock=options.unlock)
    with lock, mirror as push, driver_log(folder.driver_log):
        folder.inputs.unlink(missing_ok=True)
        if options.fresh:
            forget(folder)
        remove_leftovers(folder)
        write_inputs(folder, prepared, spec_path)
        remember_run(options.cache, folder)
        push()
        events.open(folder.events)
        start = perf_counter()
        with Ledger(folder.ledger) as ledger:
            try:
                result = _run(folder, prepared, options, ledger, events)
            except (ClusterError, KeyboardInterrupt) as ended:  # for those that watch the run
                done, failed = count_cells(prepared.plan, ledger.records)
                status = "failed" if isinstance(ended, ClusterError) else "interrupted"
                values = {"done": done, "failed": failed, "seconds": perf_counter() - start}
                events.emit("run_finished", status=status, **values)
                raise
        if result.run is not None and result.done == result.planned and result.status == "done":
            _record_inputs(watch, folder, prepared, result)
        return result


def _record_inputs(
    watch: InputWatch, folder: RunFolder, prepared: Prepared, result: RunResult
) -> None:
    assert result.run is not None
    try:
        watch.record(folder, prepared, result.done, models_tables(result.run.models))
    except OSError as error:  # the next run finds that there is nothing to do, only more slowly
        log.warning("%s cannot be written: %s", folder.inputs, error)


def _run(
    folder: RunFolder, prepared: Prepared, options: RunOptions, ledger: Ledger, events: EventLog
) -> RunResult:
    start = perf_counter()
    recorder = Recorder(prepared.plan, ledger, events)
    recorder.ledger_warnings(folder.ledger.name)
    for note in prepared.notes:
        recorder.warning(note)
    if folder.remote is not None:
        recorder.warning(f"driven from {folder.root}, and brought to {folder.remote} from there")
    stop = StopSignal()
    work = RunWork(
        RunContext(prepared.spec, prepared.plan, prepared.table, folder, options.cache),
        complete_records(folder, prepared, ledger.records, recorder.warning),
        recorder,
        stop,
        WorkOptions(
            wanted=_wanted(options, ledger.records),
            analyses=options.only is None and not options.only_failed,
            fail_fast=options.fail_fast,
        ),
    )
    _announce(prepared.plan, work, events)
    recorder.earlier(stream_records(folder.ledger, on_damage=lambda line: None))
    status: Status = "done"
    provenance = previous_provenance(folder, recorder.warning)
    if work.n_cells or work.n_analysis_jobs or not provenance:
        add_session(folder, prepared, options, provenance)
    if work.n_cells or work.n_analysis_jobs:
        compute, warn = prepared.spec.compute, recorder.warning
        arguments = ExecutorArguments(compute, options.address, work.storage(), warn)
        kind = EXECUTORS[options.where]
        if kind.opening:
            recorder.activity(kind.opening.format(address=options.address))
        with stop, kind.open(arguments) as executor:
            status = work.driver.run(executor, stop)
        status = "interrupted" if stop.received else status
        remove_leftovers(folder)
    run = None
    if status != "interrupted":
        with _stage(events, "report"):
            run = _report(folder, prepared, options, work.pause)
            _track(run, prepared.spec.track, recorder)
    done, failed = count_cells(prepared.plan, ledger.records)
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


def _announce(plan: Plan, work: RunWork, events: EventLog) -> None:
    total_shards = sum(planned.n_shards for model in plan.models for planned in model.all_sets)
    totals = {"extract": total_shards, "probe": plan.n_cells}
    done = {
        "extract": total_shards - work.n_shards,
        "probe": plan.n_cells - work.n_cells,
    }
    totals |= work.n_analysis_jobs
    done |= dict.fromkeys(work.n_analysis_jobs, 0)
    models = [model.name for model in plan.models]
    log.info(
        "%s: %d shards (%d of their utterances copied from the cache) and %d cells to do",
        plan.name, work.n_shards, work.n_copied, work.n_cells,
    )  # fmt: skip
    targets = {name: MAIN_SCORE[plan.kind(name)] for name in plan.targets}
    events.emit(
        "planned", run=plan.name, models=models, totals=totals, done=done, targets=targets,
        work=work.by_model(),
    )  # fmt: skip


def _wanted(options: RunOptions, records: Mapping[str, Finished]) -> CellFilter:
    def wanted(task: LayerTask, cell: Cell) -> bool:
        place = f"{task.model.name}/{task.layer.name}/{cell.probe}"
        record = records.get(cell.cell_id)
        failed = record is not None and record.status == "failed"
        return (options.only is None or fnmatchcase(place, options.only)) and (
            failed or not options.only_failed
        )

    return wanted


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


def _report(folder: RunFolder, prepared: Prepared, options: RunOptions, pause: DiskPause) -> Run:
    """Write everything that is shown of a run; wait for a while if the disk is full."""

    def write() -> None:
        left_out = skipped_by_extraction(prepared, folder, options.cache)
        write_skipped(folder.skipped, [*prepared.skipped, *left_out])
        add_precision(folder, prepared.plan, options.cache)
        build_report(run)

    run = Run(folder)
    fetch_results(folder)
    pause.write("the report", write, REPORT_PATIENCE)
    return run


def _track(run: Run, settings: TrackSettings | None, recorder: Recorder) -> None:
    """Send the run to its tracker, if it has one; warn if that fails."""
    if settings is None:
        return
    try:
        log.info("sent to %s: %s", settings.kind, send(run, settings))
    except TrackingError as error:
        recorder.warning(str(error))


def count_cells(plan: Plan, records: Mapping[str, Finished]) -> tuple[int, int]:
    """Count the planned cells that are done and that failed."""
    ids = (cell.cell_id for task in layer_tasks(plan) for cell in task.cells)
    counts = Counter(records[cell_id].status for cell_id in ids if cell_id in records)
    return counts["done"], counts["failed"]


@contextmanager
def _stage(events: EventLog, name: str) -> Iterator[None]:
    start = perf_counter()
    events.emit("stage_started", stage=name)
    yield
    events.emit("stage_finished", stage=name, seconds=perf_counter() - start)
