"""A run whose folder and activations are on an object store: a real S3 protocol, on loopback."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from jobs.activations.store import read_layer
from jobs.storage.location import parse_location
from jobs.storage.object_store import StorageError
from sweep import open_run
from sweep.commands.app import app
from sweep.commands.watch_run import watch_run
from sweep.errors import ClusterError, RunIsLocked
from sweep.running.run import RunResult
from sweep.state.events import Event
from sweep.state.remote_lease import LEASE
from sweep.state.run_folder import run_folder
from tests.conftest import Values
from tests.faults.sweeps import Sweep, wait_for
from tests.support.object_store import SECRET, ObjectStore, environment, s3

pytestmark = pytest.mark.usefixtures("no_plots")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    # The server's own lines, of every request, and what botocore makes of its answers.
    for name in ("werkzeug", "botocore", "aiobotocore"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with s3(monkeypatch) as started:
        yield started


class Machine:
    """A working directory and a node cache of their own, and nothing shared but the store."""

    def __init__(self, home: Path, values: Values, corpora: Path, store: ObjectStore) -> None:
        self.sweep = Sweep.make(values, corpora, home)
        local = home / "results" / ".cache"
        local.mkdir(parents=True)
        (local / "corpora").symlink_to(corpora / "corpora")
        self.home = home
        self.out = parse_location(f"{store.url}/runs/demo")
        self.cache = parse_location(f"{store.url}/cache")
        self.environment = {"SWEEP_NODE_CACHE": str(home / "near"), **environment(store)}

    @property
    def copy(self) -> Sweep:
        """The run's folder on this machine."""
        os.chdir(self.home)
        return Sweep(self.sweep.spec, self.sweep.cache, run_folder(self.out))

    def run(self, monkeypatch: pytest.MonkeyPatch, **options: object) -> RunResult:
        """Run what is left, from here."""
        monkeypatch.chdir(self.home)
        monkeypatch.setenv("SWEEP_NODE_CACHE", str(self.home / "near"))
        return self.sweep.here(**{"out": self.out, "cache": self.cache, **options})


@pytest.fixture
def machines(
    values: Values, cache: Path, store: ObjectStore, tmp_path: Path
) -> Iterator[tuple[Machine, Machine]]:
    before = Path.cwd()
    yield tuple(Machine(tmp_path / name, values, cache, store) for name in ("one", "two"))
    os.chdir(before)


def test_a_run_on_a_store_gives_the_tables_of_a_local_one_and_goes_on_from_another_machine(
    machines: tuple[Machine, Machine],
    undisturbed: Sweep,
    store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, two = machines
    result = one.run(monkeypatch)
    assert (result.status, result.failed) == ("done", 0)
    assert one.copy.tables() == undisturbed.tables()
    objects = store.objects()
    for name in ("ledger.jsonl", "events.jsonl", "tables/metrics.csv", "report.html", "plan.json"):
        local = one.copy.folder.root / name
        if name != "events.jsonl":  # its last event is told when all is said
            assert objects[f"runs/demo/{name}"] == local.read_bytes(), name
    kinds = {key.split("/")[2] for key in objects if key.startswith("runs/demo/")}
    assert {"predictions"} <= kinds
    assert LEASE not in kinds
    assert not any(".preflight" in key or "/./" in key for key in objects)
    assert not any(SECRET.encode() in data for data in objects.values())
    assert not list((one.home / "cache").glob("activations"))

    again = two.run(monkeypatch)
    assert (again.status, again.ran_shards, again.ran_cells) == ("done", 0, 0)
    assert two.copy.tables() == undisturbed.tables()

    run, expected = open_run(str(one.out)), open_run(undisturbed.folder.root)
    names, values = run.activations("a", "stem")
    expected_names, expected_values = expected.activations("a", "stem")
    assert names == expected_names
    np.testing.assert_array_equal(values, expected_values)
    assert len(run.predictions("a", "stem")) == len(expected.predictions("a", "stem"))


@pytest.mark.slow
def test_fresh_forgets_the_cells_on_the_store_too(
    machines: tuple[Machine, Machine], undisturbed: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = machines
    first = one.run(monkeypatch)
    again = two.run(monkeypatch, fresh=True)
    assert (again.ran_shards, again.ran_cells) == (0, first.done)
    assert two.copy.tables() == undisturbed.tables()


def test_on_ray_workers_use_the_store_too(
    machines: tuple[Machine, Machine], undisturbed: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = machines
    assert one.run(monkeypatch, where="local").status == "done"
    assert one.copy.tables() == undisturbed.tables()


QUICK = (
    "from sweep.commands import app; from sweep.state import mirror, remote_lease;"
    "mirror.PUSH_SECONDS = remote_lease.BEAT_SECONDS = 0.3; app.main()"
)
"""The command line, for a store that need not be spared."""


@contextmanager
def quick_driver(machine: Machine) -> Iterator["subprocess.Popen[str]"]:
    """A driver there, in a process of its own."""
    words = ["--inline", "--display", "none", "--out", machine.out, "--cache", machine.cache]
    root = Path(__file__).parents[2]
    # A parent that ignores SIGINT, as a shell's background jobs do, would pass that on.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-c", QUICK, "run", str(machine.sweep.spec), *map(str, words)],
        cwd=machine.home, env={**os.environ, **machine.environment, "PYTHONPATH": str(root)},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    signal.signal(signal.SIGINT, before)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def cli(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_a_run_on_a_store_is_watched_stopped_and_reported_from_another_machine(
    machines: tuple[Machine, Machine],
    undisturbed: Sweep,
    store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, two = machines
    out, seen, told = str(one.out), list[Event](), list[str]()
    monkeypatch.setattr("sweep.commands.watch_run.REMOTE_POLL_SECONDS", 0.3)
    monkeypatch.setattr("sweep.state.control.REMOTE_POLL_SECONDS", 0.3)
    folder = two.copy.folder  # and goes to that machine

    def slow(method: str, path: str) -> bool:
        if method == "PUT" and "/predictions/" in path:
            time.sleep(0.5)  # or it may be done before it is asked
        return False

    store.refuse = slow
    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch_run, folder, seen.append, told.append)
        with quick_driver(one) as driver:
            wait_for(
                lambda: any("/predictions/" in p and m == "PUT" for m, p in store.requests), driver
            )
            asked = cli("stop", out)
            _, driver_said = driver.communicate(timeout=600)
        assert watching.result(timeout=600) == "interrupted"
    assert driver.returncode == 130, driver_said
    assert asked.exit_code == 0, asked.output
    assert f"asked process {driver.pid} on " in asked.stderr
    assert f"stopped; resume with: sweep run {one.sweep.spec} --inline" in asked.stderr
    assert told[0] == f"waiting for {out} to begin"
    assert told[1].startswith("resume with: sweep run ")
    lines = store.objects()["runs/demo/events.jsonl"].decode().splitlines()
    assert seen == [json.loads(line) for line in lines]
    assert f"runs/demo/{LEASE}" not in store.objects()
    assert "no driver is running it; resume with: sweep run" in cli("status", out).stdout

    store.refuse = lambda method, path: False
    assert two.run(monkeypatch).status == "done"
    assert two.copy.tables() == undisturbed.tables()
    assert "no cell failed" in cli("retry", out).stdout
    before = store.objects()
    store.delete("runs/demo/report.html")
    reported = cli("report", out)
    assert (reported.exit_code, reported.stderr) == (0, f"brought to {out}\n")
    page = Path(reported.stdout.strip())
    assert page.read_bytes() == store.objects()["runs/demo/report.html"]
    assert store.objects().keys() == before.keys()


def kill_after_some_cells(machine: Machine) -> int:
    """A driver of its own, killed; how many shards are finished."""
    command = [
        "--inline", "--display", "none", "--out", str(machine.out), "--cache", str(machine.cache),
    ]  # fmt: skip
    run = [sys.executable, "-m", "sweep", "run", str(machine.sweep.spec), *command]
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        run,
        cwd=machine.home,
        env={**os.environ, **machine.environment, "PYTHONPATH": str(root)},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_for(lambda: len(machine.copy.ledger()) >= 3, process)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    return sum(1 for name in machine.copy.events("shard_done"))


def test_a_driver_that_was_killed_is_followed_by_one_on_another_machine_when_told_so(
    machines: tuple[Machine, Machine],
    undisturbed: Sweep,
    store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, two = machines
    n_shards = kill_after_some_cells(one)
    assert n_shards >= 1
    holder = json.loads(store.objects()[f"runs/demo/{LEASE}"])
    with monkeypatch.context() as patch:
        patch.setattr("sweep.state.lease._this_machine", lambda: "another")
        patch.setattr("sweep.state.remote_lease.STALE_SECONDS", 0.5)
        patch.setattr("sweep.state.remote_lease.LOOK_SECONDS", 0.1)
        with pytest.raises(RunIsLocked, match=rf"process {holder['pid']} on .*--unlock"):
            two.run(monkeypatch)
        result = two.run(monkeypatch, unlock=True)
    assert result.status == "done"
    assert result.ran_shards < 6  # two models, three shards each: the first ones are kept
    assert two.copy.tables() == undisturbed.tables()
    assert f"runs/demo/{LEASE}" not in store.objects()


@pytest.mark.slow
def test_a_driver_that_was_killed_here_is_followed_without_a_word(
    machines: tuple[Machine, Machine], undisturbed: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = machines
    kill_after_some_cells(one)
    assert one.run(monkeypatch).status == "done"
    assert one.copy.tables() == undisturbed.tables()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweep.state.retry_policy.LONGEST_WAIT", 0.05)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("what", [pytest.param("safetensors", marks=pytest.mark.slow), "npz"])
def test_a_store_that_fails_for_a_while_is_waited_for_and_the_reasons_are_recorded(
    machines: tuple[Machine, Machine],
    undisturbed: Sweep,
    store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    one, _ = machines
    refused = []

    def refuse(method: str, path: str) -> bool:
        if method == "PUT" and path.endswith(what) and len(refused) < 7:  # two attempts and more
            refused.append(path)
            return True
        return False

    store.refuse = refuse
    assert one.run(monkeypatch).status == "done"
    retries = one.copy.events("retry")
    assert 2 <= len(retries) <= 4
    assert all(event["error"].startswith("StorageError: s3://probing/") for event in retries)
    assert one.copy.tables() == undisturbed.tables()


@pytest.mark.usefixtures("impatient")
def test_a_store_that_goes_on_failing_is_given_up_after_five_attempts(
    machines: tuple[Machine, Machine],
    undisturbed: Sweep,
    store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, _ = machines
    store.refuse = lambda method, path: method == "PUT" and "/predictions/a--stem" in path
    result = one.run(monkeypatch)
    assert (result.status, result.failed) == ("failed", 1)
    assert [event["attempt"] for event in one.copy.events("retry")] == [2, 3, 4, 5]
    [failure] = one.copy.events("failure")
    assert "StorageError: s3://probing/runs/demo/predictions/a--stem" in failure["error"]
    store.refuse = lambda method, path: False
    again = one.run(monkeypatch)
    assert (again.status, again.ran_shards, again.ran_cells) == ("done", 0, 1)
    assert one.copy.tables() == undisturbed.tables()


def test_a_bucket_that_is_not_there_is_found_before_anything_runs(
    machines: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = machines
    with pytest.raises(ClusterError, match=r"cannot write to s3://nowhere/x: .*bucket"):
        one.run(monkeypatch, cache=parse_location("s3://nowhere/x"))
    assert one.copy.ledger() == []


@pytest.mark.slow
def test_a_damaged_shard_on_the_store_is_set_aside_and_extracted_again(
    machines: tuple[Machine, Machine],
    undisturbed: Sweep,
    store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, two = machines
    one.run(monkeypatch)
    key = min(k for k in store.objects() if k.endswith(".safetensors"))
    data = bytearray(store.objects()[key])
    data[-1] ^= 1
    store.put(key, bytes(data))
    result = two.run(monkeypatch, fresh=True)
    assert (result.status, result.ran_shards) == ("done", 1)
    assert two.copy.tables() == undisturbed.tables()
    assert f"{key}.corrupt" in store.objects()


@pytest.mark.slow
def test_what_a_machine_keeps_of_the_store_is_bounded(
    machines: tuple[Machine, Machine], undisturbed: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = machines
    kept = 20_000
    monkeypatch.setenv("SWEEP_NODE_CACHE_GIB", str(kept / 2**30))
    assert one.run(monkeypatch).status == "done"
    assert sum(path.stat().st_size for path in (one.home / "near").iterdir()) <= kept
    assert one.copy.tables() == undisturbed.tables()


@pytest.mark.slow
def test_activations_alone_may_be_on_a_store(
    machines: tuple[Machine, Machine], undisturbed: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = machines
    result = one.run(monkeypatch, out=one.home / "run")
    assert result.status == "done"
    assert one.sweep.tables() == undisturbed.tables()
    planned = open_run(one.home / "run").plan.models[0].sets[0]
    names, _ = read_layer(planned.folder(one.cache), planned.n_shards, "stem")
    assert len(names) == planned.n_utterances


def test_an_upload_at_the_end_that_fails_is_said_and_the_next_run_makes_up_for_it(
    machines: tuple[Machine, Machine],
    undisturbed: Sweep,
    store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, two = machines
    monkeypatch.setattr("sweep.state.retry_policy.LONGEST_WAIT", 0.05)
    store.refuse = lambda method, path: method == "PUT" and path.endswith("report.html")
    with pytest.raises(StorageError, match=r"report\.html"):
        one.run(monkeypatch)
    store.refuse = lambda method, path: False
    assert one.run(monkeypatch).ran_cells == 0
    assert two.run(monkeypatch).ran_cells == 0
    assert two.copy.tables() == undisturbed.tables()
