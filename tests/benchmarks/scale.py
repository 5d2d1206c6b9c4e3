"""Rows 17 and 18: a plan of a million cells, and a cluster of 64 nodes.

Row 17, 100 models × 150 layers × 70 cells: laid out and saved, and gone on with when most of it is
done. Nothing is computed: models are what a plan knows of them, and the ledger is written as a run
would have left it. Each phase is a process of its own, so that its peak of memory is its own.

Row 18: the share of the time of 64 nodes that the driver keeps them at work on jobs of 100 ms
(`tests.support.simulated_cluster`), by the CPU time of the driver and of Ray in its process;
beside it, how often the ledger waits for the disk.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from unittest.mock import patch

import pandas as pd

from jobs.corpus.table import Utterance, make_table, write_table
from jobs.models import ModelInfo
from jobs.models.taps import TapShape
from jobs.probing.job import ProbeJob
from jobs.storage.atomic import write_text
from jobs.targets.registry import add_targets
from jobs.workers import ray_workers
from sweep.analyses.base import RunContext
from sweep.executors.nodes import NodePool
from sweep.executors.ray import RayExecutor
from sweep.executors.session import ray_session
from sweep.plan.make_plan import all_models, make_plan
from sweep.plan.plan import LayerTask, Plan, layer_tasks, made_from
from sweep.running.probe_jobs import ProbeJobs
from sweep.running.recorder import Recorder
from sweep.running.remaining import remaining_work
from sweep.running.run import count_cells
from sweep.running.work import RunWork, WorkOptions
from sweep.signals import StopSignal
from sweep.spec.schema import Compute, Spec
from sweep.state.events import EventLog
from sweep.state.ledger import Ledger, Record, to_line
from sweep.state.run_folder import RunFolder
from tests.benchmarks.result import Result, Target
from tests.benchmarks.workbench import Workbench
from tests.support.simulated_cluster import SimulatedCluster

MODELS, LAYERS = 100, 150
"""A ResNet100 has 150 layers."""
WIDTH = 5120
"""Of a layer: channels × bins of the widest."""
DONE = 0.9
"""Share of the cells that are done when the run is gone on with."""
UTTERANCES = 33_862
"""Of train-clean-100, dev-clean and test-clean: 531 shards a model."""
SECONDS, BYTES = 60.0, 2 * 2**30
"""Time of a phase, and the driver's memory."""
NODES, JOB_SECONDS = 64, 0.1


def big_spec(n_models: int = MODELS) -> Spec:
    """7 fits a layer, on 5 folds, with and without control: 70 cells a layer."""
    model = {"kind": "wespeaker", "architecture": "SimAM_ResNet100_ASP"}
    values = {
        "name": "scale",
        "corpus": {"kind": "librispeech", "root": "x", "splits": {"all": "x"}},
        "models": [{"name": f"model {n}", "seed": n, **model} for n in range(n_models)],
        "probes": [{"kind": "ridge"}, {"kind": "mlp", "seeds": 5}, {"kind": "cca"}],
        "protocol": {"kind": "kfold", "folds": 5},
        "controls": ["shuffled"],
        "baselines": ["mean"],
    }
    return Spec.model_validate(values)


def big_table(n_utterances: int) -> pd.DataFrame:
    """Utterances of 250 speakers, which nobody ever hears."""
    table = make_table(
        Utterance(
            utterance_id=f"{number:06d}", audio_path=f"/corpus/{number:06d}.flac", text="A WORD",
            speaker_id=str(number % 250), chapter_id="1", split="all", seconds=12.0,
            n_samples=192_000, audio_digest=f"{number:032x}",
        )
        for number in range(n_utterances)
    )  # fmt: skip
    return add_targets(table, ["cps"])


def big_plan(spec: Spec, table: pd.DataFrame, n_layers: int = LAYERS) -> Plan:
    """Models as they are described, each with a digest of its own."""
    taps = tuple(
        TapShape(i, f"layer{i // 50}.{i % 50}.relu", f"layer {i}", (64, 80, "T"), WIDTH)
        for i in range(n_layers)
    )
    infos = {
        model.name: ModelInfo("network", f"{number:064x}", 50_000_000, taps)
        for number, model in enumerate(all_models(spec))
    }
    return make_plan(spec, table, infos)


def record_of(plan: Plan, task: LayerTask, position: int) -> Record:
    """A finished cell, as long on disk as real ones are."""
    cell = task.cells[position]
    scores = dict.fromkeys(
        ("mse", "mae", "rmse", "r2", "pearson", "spearman", "within_speaker", "mean_mse",
         "mean_mae"), 0.12345678901234567)  # fmt: skip
    return Record(
        cell_id=cell.cell_id, status="done", model=task.model.name, layer=task.layer.name,
        layer_index=task.layer.index, target=cell.target, probe=cell.probe, seed=cell.seed,
        fold=cell.fold, control=cell.control, n_train=20_000, n_test=5_000, scores=dict(scores),
        details={"alpha": 0.1, "train_mean": 12.34567890123}, seconds=0.123456789,
        predictions=f"model--{task.model.digest[-4:]}--{task.layer.name}.npz",
        made_from=made_from(plan, task.model, cell.target, cell.probe),
    )  # fmt: skip


def finished_cells(plan: Plan, share: float = DONE) -> Iterator[Record]:
    """Records of the first cells of every layer."""
    for task in layer_tasks(plan):
        for position in range(int(share * len(task.cells))):
            yield record_of(plan, task, position)


@dataclass(frozen=True)
class Phase:
    """What a phase took."""

    seconds: float
    """CPU time: other processes do not count."""
    wall: float
    """By the clock on the wall, for which they do."""
    n_bytes: int
    """Its process' peak of memory."""
    cells: int
    """Left to do, for a check."""


def begin(root: Path, n_models: int, n_utterances: int) -> Phase:
    """Plan, save, and find what is left: what `sweep run` does before its first job, and the count
    of cells with which it ends."""
    spec, table, folder = big_spec(n_models), big_table(n_utterances), RunFolder(root)
    start, began = time.process_time(), time.perf_counter()
    plan = big_plan(spec, table)
    write_text(folder.plan, plan.model_dump_json(indent=1))
    write_table(folder.utterances, table)
    with Ledger(folder.ledger) as ledger:
        work = remaining_work(
            plan, table, folder.root / "cache", ledger.records,
            wanted=lambda task, cell: True, on_corrupt=print,
        )  # fmt: skip
        cells = sum(len(task.cells) for left in work for task in left.tasks)
        done, failed = count_cells(plan, ledger.records)
    assert cells + done == plan.n_cells and not failed, (cells, done, failed)
    wall = time.perf_counter() - began
    return Phase(time.process_time() - start, wall, peak_bytes(), cells)


def peak_bytes() -> int:
    """Most memory that this process has had (VmHWM in proc(5); unlike getrusage's, not its
    parent's)."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def write_ledger(folder: Path, n_models: int, n_utterances: int) -> None:
    """The ledger that a run was left with."""
    plan = big_plan(big_spec(n_models), big_table(n_utterances))
    with RunFolder(folder).ledger.open("wb") as file:
        file.writelines(map(to_line, finished_cells(plan)))


def apart(function: Callable[..., Phase | None], *arguments: object) -> Phase:
    """Call it in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        phase = pool.submit(function, *arguments).result()
    return phase or Phase(0.0, 0.0, 0, 0)


def million_cells(bench: Workbench) -> list[Result]:
    """Seconds and peak memory of both phases, as shares of what they may take."""
    folder = bench.scratch / "scale"
    folder.mkdir()
    size = (5, 2_000) if bench.quick else (MODELS, UTTERANCES)
    results: list[Result] = []
    for name in ("lay out and save", "go on when 90 % are done"):
        if results:
            apart(write_ledger, folder, *size)
        phases = [apart(begin, folder, *size) for _ in range(1 if bench.quick else 2)]
        what = f"{name}, {size[0] * LAYERS * 70} cells"
        results += [
            Result(17, f"{what}, {title}", tuple(shares), Target(1.0, 0.5))
            for title, shares in (
                (f"CPU time of {SECONDS:g} s", [one.seconds / SECONDS for one in phases]),
                (f"wall clock of {SECONDS:g} s", [one.wall / SECONDS for one in phases]),
                ("peak memory, of 2 GiB", [one.n_bytes / BYTES for one in phases]),
            )
        ]
    return results


def simulate(folder: Path, cluster: SimulatedCluster, n_models: int, n_layers: int,
             n_utterances: int) -> int:  # fmt: skip
    """Have the real driver, recorder and ledger sweep a cluster; the number of its cells."""
    table = big_table(n_utterances)
    spec = big_spec(n_models)
    plan = big_plan(spec, table, n_layers)
    run = RunFolder(folder)
    with EventLog() as events, Ledger(run.ledger) as ledger:
        events.open(run.events)
        stop = StopSignal()
        work = RunWork(
            RunContext(spec, plan, table, run, folder / "cache"), ledger.records,
            Recorder(plan, ledger, events), stop, WorkOptions(wanted=lambda task, cell: True),
        )  # fmt: skip
        assert work.driver.run(cluster, stop) == "done"
        assert count_cells(plan, ledger.records) == (plan.n_cells, 0)
    return plan.n_cells


def cluster_use(bench: Workbench) -> list[Result]:
    """What Ray takes of the driver for a task; and, charged with it, how busy nodes are kept."""
    rounds, repetitions = (10, 1) if bench.quick else (100, 3)
    results = _ray_tasks(bench.scratch / "tasks", 100 if bench.quick else 5_000)
    handling = results[0].values[0] * JOB_SECONDS
    for what, models, layers, utterances in (
        ("probes: a job a layer, 70 cells each", NODES, rounds, 64),
        ("extraction: a job a shard", NODES, 1, 64 * rounds),
    ):
        values, waits = [], []
        for repetition in range(repetitions):
            cluster = SimulatedCluster(NODES, JOB_SECONDS, time.process_time, handling)
            folder = bench.scratch / f"cluster {what[:6]} {repetition}"
            simulate(folder, cluster, models, layers, utterances)
            values.append(cluster.utilisation)
            waits.append(cluster.waits / cluster.jobs)
        text = f"{NODES} nodes at work on jobs of 100 ms, {what}"
        results.append(Result(18, text, tuple(values), Target(0.95, 0.99)))
        results.append(Result(18, "  times that results came ÷ jobs", tuple(waits), None))
    return results


def _ray_tasks(folder: Path, count: int) -> list[Result]:
    """The driver's CPU time for a task that does nothing, through the real executor and Ray, as on
    a cluster of ``NODES`` nodes, ÷ 100 ms."""
    job, results = _layer_job(folder), []
    with ray_session(Compute(), None) as executor, patch.object(ray_workers, "_run_task", _nothing):
        _may_run_on(executor, NODES)
        executor.probe_window = 2 * NODES
        _drain(executor, job, 2 * NODES)  # its processes start
        for window in (2 * NODES, 2 * NODES * 16):
            executor.probe_window = window
            share = _drain(executor, job, max(count, 2 * window)) / JOB_SECONDS
            text = f"  submit, wait and collect an empty Ray task ÷ 100 ms, {window} in flight"
            results.append(Result(18, text, (share,), None, percent=True))
    return results


def _layer_job(folder: Path) -> ProbeJob:
    """As the driver sends it: 70 cells."""
    plan = big_plan(big_spec(1), big_table(300), 1)
    jobs = ProbeJobs(plan, RunFolder(folder), folder / "cache", save_probes=False)
    return jobs.make(next(layer_tasks(plan)), alone=False)


def _may_run_on(executor: RayExecutor, count: int) -> None:
    """Tasks name the nodes of a cluster that they may run on: all but one of ours are made up."""
    made_up = frozenset(f"{number:056x}" for number in range(count - 1))
    executor._probe_nodes |= made_up
    executor._node_pool = NodePool(
        executor._node_pool.usable.values(), executor._node_pool.usable.values
    )


def _nothing(packed: bytes, cpus: int, seconds: float | None) -> ray_workers.JobResult:
    """The work of an empty task."""
    return ray_workers.JobResult(None, "", 0.0)


def _drain(executor: RayExecutor, job: ProbeJob, count: int) -> float:
    """CPU seconds of the driver's process a task; the tasks' own processes are elsewhere."""
    start = time.process_time()
    submitted = collected = 0
    while collected < count:
        while submitted < count and executor.room(job):
            executor.submit(job)
            submitted += 1
        outcomes = executor.wait(1.0)
        assert all(one.error is None for one in outcomes), outcomes
        collected += len(outcomes)
    return (time.process_time() - start) / count
