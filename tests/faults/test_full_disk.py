"""A real file system that is full in the middle of a run, and has room again later."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sweep.running.options import RunOptions
from sweep.running.run import run_sweep
from sweep.state.events import Event, EventLog
from sweep.state.run_folder import RunFolder
from tests.faults.conftest import MakeSweep
from tests.faults.sweeps import Sweep

pytestmark = pytest.mark.usefixtures("no_plots")

FULL_SECONDS = 2.0


class Disk:
    """A small file system of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self) -> None:
        """Leave no byte."""
        with (self.path / "filler").open("wb", buffering=0) as file:
            try:
                while file.write(b"\0" * 4096):
                    pass
            except OSError:
                return

    def empty(self) -> None:
        """Have room again."""
        (self.path / "filler").unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "none", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts as little on a disk of some megabytes."""
    monkeypatch.setattr("sweep.running.disk_pause.LOW_BYTES", 32 * 1024)
    monkeypatch.setattr("sweep.executors.preflight.SPARE_BYTES", 0)


class FillsOnce:
    """Fills a disk at the first event of a kind, and empties it a while after the first warning:
    a loaded machine may take long until it writes again."""

    def __init__(self, disk: Disk, kind: str) -> None:
        self.disk = disk
        self.kind = kind
        self.messages: list[str] = []
        self.is_filled = False
        self.timer: threading.Timer | None = None

    def __call__(self, event: Event) -> None:
        if event["kind"] == self.kind and not self.is_filled:
            self.is_filled = True
            self.disk.fill()
        if event["kind"] == "warning":
            self.messages.append(event["message"])
            if self.is_filled and self.timer is None:
                self.timer = threading.Timer(FULL_SECONDS, self.disk.empty)
                self.timer.start()


def run(sweep: Sweep, listener: Callable[[Event], Any], **where: Path) -> str:
    options = {"where": "inline", "out": sweep.folder.root, "cache": sweep.cache, **where}
    with EventLog([listener]) as events:
        return run_sweep(sweep.spec, RunOptions(**options), events).status


@pytest.mark.usefixtures("small")
def test_extraction_on_a_full_disk_waits_and_goes_on(
    make_sweep: MakeSweep, undisturbed: Sweep, disk: Disk
) -> None:
    sweep = make_sweep("sweep")
    cache = disk.path / "cache"
    cache.mkdir()
    (cache / "corpora").symlink_to((sweep.cache / "corpora").resolve())
    listener = FillsOnce(disk, "shard_done")
    assert run(sweep, listener, cache=cache) == "done"
    said = " ".join(listener.messages)
    assert "extraction waits until" in said
    assert "extraction resumes" in said
    assert sweep.events("retry") == sweep.events("failure") == []
    assert sweep.tables() == undisturbed.tables()


@pytest.mark.usefixtures("small")
def test_a_shard_that_finds_the_disk_full_burns_no_attempt(
    make_sweep: MakeSweep, undisturbed: Sweep, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the disk had looked well enough when the shard began.
    monkeypatch.setattr("sweep.running.disk_pause.DiskPause.holds_extraction", lambda self: False)
    sweep = make_sweep("sweep")
    cache = disk.path / "cache"
    cache.mkdir()
    (cache / "corpora").symlink_to((sweep.cache / "corpora").resolve())
    listener = FillsOnce(disk, "shard_done")
    assert run(sweep, listener, cache=cache) == "done"
    assert any("disk full at a / shard" in message for message in listener.messages)
    assert any("resumes" in message for message in listener.messages)
    assert sweep.events("retry") == sweep.events("failure") == []
    assert sweep.tables() == undisturbed.tables()
    assert not list(cache.glob("activations/*/.*"))


@pytest.mark.usefixtures("small")
def test_ledger_events_and_predictions_on_a_full_disk_wait_and_lose_nothing(
    make_sweep: MakeSweep, undisturbed: Sweep, disk: Disk
) -> None:
    sweep = make_sweep("sweep")
    sweep = Sweep(sweep.spec, sweep.cache, RunFolder(disk.path / "run"))
    listener = FillsOnce(disk, "cells_done")
    assert run(sweep, listener) == "done"
    assert any("disk full" in message for message in listener.messages)
    assert sweep.events("retry") == sweep.events("failure") == []
    assert [event["message"] for event in sweep.events("warning")] == listener.messages
    assert len(sweep.ledger()) == len(undisturbed.ledger())
    assert sweep.tables() == undisturbed.tables()
