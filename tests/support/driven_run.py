"""A run of two small models whose driver works on a made-up clock: what tests of the scheduler
share, and the only place that knows how a driver is built."""

import gc
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pandas as pd
import pytest

from jobs.activations.manifest import CorruptShard
from jobs.activations.store import read_manifest
from jobs.corpus.table import make_table, write_table
from jobs.models import ModelInfo
from jobs.models.taps import TapShape
from jobs.protocol.cells import Cell
from jobs.storage.atomic import write_text
from jobs.targets.registry import add_targets
from sweep import open_run
from sweep.analyses import plan_run
from sweep.analyses.base import RunContext
from sweep.plan.plan import LayerTask, Plan, layer_tasks
from sweep.prepare.prepare import Prepared
from sweep.running.attempts import Attempts
from sweep.running.disk_pause import DiskPause
from sweep.running.driver import Status
from sweep.running.recorder import Recorder
from sweep.running.reusable import complete_records
from sweep.running.work import RunWork, WorkOptions
from sweep.signals import StopSignal
from sweep.spec.schema import Spec
from sweep.state.events import Event, EventLog, Listener, read_events
from sweep.state.ledger import Ledger, Record, read_records
from sweep.state.run_folder import RunFolder
from tests.support.fake_executor import FakeClock, FakeExecutor
from tests.support.small_plans import utterance

LAYERS = ("stem", "block", "pooling")
SHARDS = ("train/0", "train/1", "validation/0", "test/0")
"""Split and index of a model's shards, in the order of the plan."""
PLENTY = 10**12
"""Bytes."""
SPEAKERS = {"train": (1, 2, 3, 4), "validation": (5, 6), "test": (7, 8)}
SHARD_SIZE = 12
COMPARED: dict[str, Any] = {"similarity": {"utterances": 12}}
"""Spec of a comparison of layers."""
SKETCHES = [f"sketch {model}/{layer}" for model in "ab" for layer in LAYERS]
TILES = ["tile a × a", "tile a × b", "tile b × b"]
JITTER = 2.0
"""Seconds that a driver may take beyond a wait: it looks whenever something comes back."""


def small_spec(models: str = "ab", **changes: Any) -> Spec:
    """Two models, three layers, 4 cells a layer."""
    network = {"kind": "wespeaker", "architecture": "SimAM_ResNet34_ASP"}
    values = {
        "name": "small",
        "corpus": {"kind": "librispeech", "root": "x", "splits": {"all": "x"}},
        "models": [{"name": name, "seed": n, **network} for n, name in enumerate(models)],
        "probes": [{"kind": "ridge"}, {"kind": "ridge", "name": "stiff", "alphas": [100.0]}],
        "controls": ["shuffled"],
        "bootstrap": {"resamples": 100},
        **changes,
    }
    return Spec.model_validate(values)


def small_table() -> pd.DataFrame:
    """24, 12 and 12 utterances for training, validation and test."""
    rows = [utterance(split, s, n) for split, of in SPEAKERS.items() for s in of for n in range(6)]
    return add_targets(make_table(rows), ["cps"])


def small_plan(spec: Spec, table: pd.DataFrame) -> Plan:
    """Models with two shards of training utterances, and one for validation and test each."""
    taps = tuple(TapShape(i, name, name, (4, "T"), 4) for i, name in enumerate(LAYERS))
    infos = {model.name: ModelInfo("net", f"d-{model.name}", 1, taps) for model in spec.models}
    plan = plan_run(spec, table, infos)
    models = tuple(
        model.model_copy(
            update={
                "sets": tuple(
                    one.model_copy(update={"shard_size": SHARD_SIZE}) for one in model.sets
                )
            }
        )
        for model in plan.models
    )
    return plan.model_copy(update={"models": models})


@dataclass
class DrivenRun:
    """A run on disk, gone on with by as many drivers as a test likes."""

    root: Path
    spec: Spec = field(default_factory=small_spec)
    clock: FakeClock = field(default_factory=FakeClock)
    free: int = PLENTY
    """Bytes that the run's disks seem to have."""

    def __post_init__(self) -> None:
        self.table = small_table()
        self.plan = small_plan(self.spec, self.table)
        self.folder = RunFolder(self.root / "run")
        self.cache = self.root / "cache"
        for folder in (self.folder.root, self.cache):
            folder.mkdir(parents=True)
        write_text(self.folder.spec, self.spec.to_yaml())
        write_text(self.folder.plan, self.plan.model_dump_json())
        write_table(self.folder.utterances, self.table)

    @classmethod
    def make(cls, root: Path, models: str = "ab", **spec: Any) -> "DrivenRun":
        """A new run below ``root``, with changes to the spec."""
        return cls(root, small_spec(models, **spec))

    def executor(self, **options: Any) -> FakeExecutor:
        """See ``FakeExecutor``."""
        return FakeExecutor(self.plan, self.clock, **options)

    def drive(
        self,
        executor: FakeExecutor,
        stop: StopSignal | None = None,
        *,
        wanted: Callable[[LayerTask, Cell], bool] = lambda task, cell: True,
        fail_fast: bool = False,
        give_up_after: int | None = None,
        listeners: Iterable[Listener] = (),
    ) -> Status:
        """Have a new driver do what is left."""
        time = SimpleNamespace(monotonic=self.clock.monotonic, sleep=self.clock.sleep)
        disks = SimpleNamespace(disk_usage=lambda folder: SimpleNamespace(free=self.free))
        with (
            pytest.MonkeyPatch.context() as patch,
            EventLog(listeners) as events,
            Ledger(self.folder.ledger) as ledger,
        ):
            patch.setattr("sweep.running.driver.gc", mock.Mock(spec=gc))  # it takes seconds in all
            patch.setattr("sweep.running.driver.time", time)
            patch.setattr("sweep.running.disk_pause.time", time)
            clock = self.clock.monotonic
            patch.setattr("sweep.running.work.Attempts", partial(Attempts, clock=clock))
            patch.setattr("sweep.running.work.DiskPause", partial(DiskPause, clock=clock))
            patch.setattr("sweep.running.disk_pause.shutil", disks)
            events.open(self.folder.events)
            recorder = Recorder(self.plan, ledger, events)
            prepared = Prepared(self.spec, self.table, (), (), self.plan, frozenset())
            stop = stop or StopSignal()
            compute = self.spec.compute.model_copy(update={"give_up_after": give_up_after})
            spec = self.spec.model_copy(update={"compute": compute})
            work = RunWork(
                RunContext(spec, self.plan, self.table, self.folder, self.cache),
                complete_records(self.folder, prepared, ledger.records, recorder.warning),
                recorder,
                stop,
                WorkOptions(wanted=wanted, fail_fast=fail_fast),
            )
            return work.driver.run(executor, stop)

    @property
    def cells(self) -> dict[str, tuple[str, str]]:
        """Cell id → model and layer, of the whole plan."""
        return {
            cell.cell_id: (task.model.name, task.layer.name)
            for task in layer_tasks(self.plan)
            for cell in task.cells
        }

    @property
    def lines(self) -> list[str]:
        """The ledger's lines."""
        return self.folder.ledger.read_text().splitlines()

    @property
    def records(self) -> dict[str, Record]:
        """The last record of every cell."""
        records, damaged = read_records(self.folder.ledger)
        assert not damaged
        return records

    def layers_with(self, status: str) -> set[str]:
        """``model/layer`` of the cells that are done, or that failed."""
        return {f"{r.model}/{r.layer}" for r in self.records.values() if r.status == status}

    def assert_whole(self) -> None:
        """Every planned cell has its scores, and was recorded once."""
        statuses = Counter(record.status for record in self.records.values())
        assert statuses == {"done": len(self.cells)}
        assert len(self.lines) == len(self.cells)

    def events(self, kind: str) -> list[Event]:
        """The events of a kind, of all drivers."""
        return [event for event in read_events(self.folder.events) if event["kind"] == kind]

    def metrics(self) -> pd.DataFrame:
        """The table of scores, without what differs from run to run."""
        return open_run(self.folder.root).metrics.drop(columns="seconds")

    def shard_place(self, model: str, shard: str) -> tuple[Path, int]:
        """Folder and index of a shard such as ``train/0``."""
        split, index = shard.split("/")
        [planned] = [m for m in self.plan.models if m.name == model]
        [found] = [one for one in planned.sets if one.split == split]
        folder = found.folder(self.cache)
        assert isinstance(folder, Path)
        return folder, int(index)

    def has_shard(self, model: str, shard: str) -> bool:
        """Whether a shard is on the disk."""
        try:
            return read_manifest(*self.shard_place(model, shard)) is not None
        except CorruptShard:
            return False


def extractions(model: str) -> list[str]:
    """Names of all jobs that extract a model."""
    return [f"extract {model}/{shard}" for shard in SHARDS]


def probings(model: str) -> list[str]:
    """Names of all jobs that probe a model."""
    return [f"probe {model}/{layer}" for layer in LAYERS]


EVERYTHING = [name for model in "ab" for name in (*extractions(model), *probings(model))]
"""Names of all jobs of a run without a comparison, in the order of the plan."""


def undisturbed(root: Path) -> pd.DataFrame:
    """The scores of a run that nothing happened to."""
    run = DrivenRun(root)
    assert run.drive(run.executor()) == "done"
    return run.metrics()
