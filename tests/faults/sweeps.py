"""A small sweep that the fault tests start, kill and compare: what they share."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from jobs.corpus import prepare
from sweep.running.options import RunOptions
from sweep.running.run import RunResult, run_sweep
from sweep.spec.schema import Spec
from sweep.state.events import EventLog
from sweep.state.run_folder import RunFolder
from tests.conftest import Values
from tests.support.no_figures import UNDRAWN

T = TypeVar("T")

EXTRACTING, PROBING = "ray::_JobActor.run", "ray::_run_task"
"""What Ray calls a process that is at such work."""
PATIENCE = 600.0
"""Seconds after which waiting for something is given up, and the test fails."""


@dataclass(frozen=True)
class Sweep:
    """A spec with a cache and a run folder of its own."""

    spec: Path
    cache: Path
    folder: RunFolder

    @classmethod
    def make(cls, values: Values, corpora: Path, home: Path) -> "Sweep":
        """Below ``home``; the corpus, which takes seconds to speak, is shared in ``corpora``."""
        spec = Spec.model_validate(values)
        prepare(spec.corpus, corpora)
        cache = home / "cache"
        cache.mkdir(parents=True)
        (cache / "corpora").symlink_to(corpora / "corpora")
        sweep = cls.at(home)
        sweep.spec.write_text(yaml.safe_dump(values, sort_keys=False))
        return sweep

    @classmethod
    def at(cls, home: Path) -> "Sweep":
        """The one that was made below ``home``."""
        return cls(home / "spec.yaml", home / "cache", RunFolder(home / "run"))

    def here(self, **options: Any) -> RunResult:
        """Run it in this process."""
        chosen = {"where": "inline", "out": self.folder.root, "cache": self.cache, **options}
        with EventLog() as events:
            return run_sweep(self.spec, RunOptions(**chosen), events)

    @contextmanager
    def driver(
        self, *options: str, before: str = "", drawn: bool = False
    ) -> Iterator["subprocess.Popen[str]"]:
        """``sweep run`` in a process and a session of its own; what is left of it is killed.

        ``before`` is code that the process runs first. Its report has figures only if ``drawn``.
        """
        before += "" if drawn else f"\n{UNDRAWN}"
        command = [
            sys.executable, "-c", f"{before}\nfrom sweep.commands.app import main\nmain()",
            "run", str(self.spec), *options, "--display", "none",
            "--out", str(self.folder.root), "--cache", str(self.cache),
        ]  # fmt: skip
        # A parent that ignores SIGINT, as a shell's background jobs do, would pass that on.
        usual = signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        signal.signal(signal.SIGINT, usual)
        try:
            yield process
        finally:
            process.kill()
            process.communicate()
            for member in session(process.pid):
                with_signal(member.pid, signal.SIGKILL)

    def shards(self) -> dict[str, int]:
        """The whole shards in the cache: (model's and shard's) name → time of its tensors."""
        return {
            f"{path.parent.name}/{path.stem}": path.with_suffix(".safetensors").stat().st_mtime_ns
            for path in self.cache.glob("activations/*/shard-*.json")
        }

    def ledger(self) -> list[str]:
        """The whole lines of the ledger."""
        if not self.folder.ledger.exists():
            return []
        return self.folder.ledger.read_text().split("\n")[:-1]

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The events of a kind, so far."""
        if not self.folder.events.exists():
            return []
        lines = self.folder.events.read_text().split("\n")[:-1]
        return [event for event in map(json.loads, lines) if event["kind"] == kind]

    def tables(self) -> dict[str, object]:
        """All that a reader gets as numbers; how long a cell took is not a result."""
        with (self.folder.tables / "metrics.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            del row["seconds"]
        texts = {
            name: (self.folder.tables / name).read_bytes() for name in ("layers.csv", "models.csv")
        }
        return {"metrics.csv": rows, **texts}


@dataclass(frozen=True)
class Process:
    """A living process."""

    pid: int
    command: str


def session(leader: int) -> list[Process]:
    """The living processes of a session: all that a driver started, whoever their parent is now."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # The name of the program, in parentheses, may hold anything.
            state, *fields = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == leader and state != "Z":
            found.append(Process(int(folder.name), command))
    return found


def with_signal(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may be gone already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def held(until: Path) -> str:
    """Code for ``driver(before=…)`` that holds it from its first line of the ledger until a file is
    there."""
    return f"""
import pathlib, time
from sweep.state.ledger import Ledger
append = Ledger.append
def append_and_wait(ledger, records):
    append(ledger, records)
    give_up = time.monotonic() + {PATIENCE}
    while not pathlib.Path({str(until)!r}).exists() and time.monotonic() < give_up:
        time.sleep(0.01)
Ledger.append = append_and_wait
"""


def wait_for(what: Callable[[], T], process: "subprocess.Popen[str] | None" = None) -> T:
    """The first true value of ``what``, looked for a thousand times a second, or as often as
    leaves the processors to those that are waited for.

    Fails when ``process`` ends before, or when it takes for ever.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        over = process is not None and process.poll() is not None
        began = time.monotonic()
        value = what()
        if value:
            return value
        assert not over, f"ended with {process and process.returncode} before it came to that"
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(max(0.001, 2 * (time.monotonic() - began)))
