"""An hour of small sweeps under random faults, on real Ray: every table as if nothing had happened.

``python -m tests.faults.soak --minutes 60 --seed 0 --home DIR`` writes ``soak.json`` in DIR, and
``tests/faults/soak.md`` has the figures of one hour.

Round after round, one of a few small specs is swept into a folder and a cache of its own; half of
the rounds on a Ray of the driver's own, half on a cluster of two nodes. Drivers are started one
after the other with the same command; most have a fault done to them at a random moment, and
before some of them something that was written is damaged. The last is left alone, must end well,
and its tables must be those of an undisturbed run.
"""

import argparse
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.soak_cluster import Cluster, kill_raylet, mib_of
from tests.faults.soak_faults import LIVE, REST, WITH_WORKERS, Codes, Scene
from tests.faults.soak_specs import SPECS, small_sweep
from tests.faults.sweeps import EXTRACTING, PROBING, Sweep, session, with_signal

RUN_SECONDS = 600.0
"""After which a driver that has not ended is a defect."""
AGENT_SECONDS = 90.0
"""Ray's own helpers notice only after up to a minute that their raylet is gone."""
RUN = """
from sweep.report import build
build.write_plots = lambda folder, layers: []
from sweep.commands.app import main
main()
"""
"""``sweep`` without figures, which would take a good part of the hour."""


@dataclass
class Figures:
    """What the soak found."""

    seed: int
    minutes: float = 0.0
    rounds: Counter[str] = field(default_factory=Counter)
    """By where they ran."""
    cells: int = 0
    """Finished and compared."""
    drivers: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    too_late: Counter[str] = field(default_factory=Counter)
    """Faults for which there was nothing to do them to any more."""
    codes: Counter[str] = field(default_factory=Counter)
    """Exit codes of drivers."""
    retries: int = 0
    """Attempts of jobs that the drivers repeated."""
    seconds_undisturbed: float = 0.0
    """What the rounds would have taken without faults, a driver's start included."""
    seconds: float = 0.0
    """What they took."""
    driver_mib: list[int] = field(default_factory=list)
    """Peak of the last driver of each round."""
    head_mib: list[int] = field(default_factory=list)
    """GCS and raylet of the cluster's head, after each round on it."""
    mismatches: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Nothing is wrong."""
        return not (self.mismatches or self.crashes or self.leftovers)


class Soak:
    """Round after round, until the time is over.

    Args:
        home: where everything is written.
        seed: of specs, faults and moments; moments depend on the machine's speed all the same.
    """

    def __init__(self, home: Path, seed: int) -> None:
        self._home = home
        self._dice = random.Random(seed)
        self._undisturbed: dict[str, tuple[dict[str, object], int, float]] = {}
        """By spec: tables, units of work (shards and layers), seconds."""
        self._ended: list[tuple[float, int]] = []
        """Sessions of drivers that have ended, and when."""
        self.figures = Figures(seed)

    def run(self, minutes: float) -> Figures:
        """Everything; ``soak.json`` is written after every round."""
        start = time.monotonic()
        with Cluster(self._home / "nodes") as cluster:
            with suppress(KeyboardInterrupt):  # which ends it early, with the figures so far
                while time.monotonic() - start < 60 * minutes:
                    self._round(cluster if self._dice.random() < 0.5 else None)
                    self.figures.minutes = round((time.monotonic() - start) / 60, 1)
                    self._check_leftovers(AGENT_SECONDS)
                    self._write()
            busy = [p.command for leader in cluster.leaders() for p in session(leader)
                    if p.command.startswith((EXTRACTING, PROBING))]  # fmt: skip
            self.figures.leftovers += busy
        while self._ended:
            time.sleep(1)
            self._check_leftovers(AGENT_SECONDS)
        self._write()
        return self.figures

    def _round(self, cluster: Cluster | None) -> None:
        name = self._dice.choice(sorted(SPECS))
        tables, units, seconds = self._reference(name)
        number = sum(self.figures.rounds.values()) + 1
        sweep = self._make(f"round-{number}", name)
        self.figures.rounds["cluster" if cluster else "local"] += 1
        start = time.monotonic()
        for _ in range(self._dice.randint(1, 4)):
            self._damage(sweep)
            fresh = _is_done(sweep)
            done = _n_shards(sweep) + (0 if fresh else len(sweep.events("cells_done")))
            # Two at most: work whose process dies a third time is given up.
            faults = self._dice.sample(sorted(LIVE), self._dice.randint(1, 2))
            first = min(done, units - 1)
            drawn = {
                fault: 0 if fault in WITH_WORKERS else self._dice.randint(first, units - 1)
                for fault in faults
            }
            at = dict(sorted(drawn.items(), key=lambda pair: pair[1]))
            _log(f"round {number}, {name}: of {units}: {at}")
            self._drive(sweep, cluster, at, fresh=fresh)
        self._damage(sweep)
        self._drive(sweep, cluster, {}, fresh=_is_done(sweep))
        self.figures.seconds += time.monotonic() - start
        self.figures.seconds_undisturbed += seconds
        self.figures.cells += len(sweep.ledger())
        self.figures.retries += len(sweep.events("retry"))
        found = _tables(sweep) if (sweep.folder.tables / "metrics.csv").exists() else {}
        wrong = [table for table in tables if found.get(table) != tables[table]]
        if wrong or found.keys() != tables.keys():
            self.figures.mismatches.append(f"round {number}, {name}: {wrong}")
        temporary = [str(path) for path in sweep.folder.root.rglob("*.tmp*")]
        self.figures.leftovers += temporary
        if cluster:
            self.figures.head_mib.append(cluster.mib())
        if not (wrong or temporary):
            shutil.rmtree(sweep.spec.parent)

    def _reference(self, name: str) -> tuple[dict[str, object], int, float]:
        if name not in self._undisturbed:
            sweep = self._make(f"undisturbed-{name}", name)
            start = time.monotonic()
            self._drive(sweep, None, {})
            seconds = time.monotonic() - start
            units = _n_shards(sweep) + len(sweep.events("cells_done"))
            self._undisturbed[name] = (_tables(sweep), units, seconds)
        return self._undisturbed[name]

    def _make(self, home: str, name: str) -> Sweep:
        corpora = self._home / "corpora"
        return Sweep.make({**small_sweep(), **SPECS[name]}, corpora, self._home / home)

    def _damage(self, sweep: Sweep) -> None:
        """To something that was written, if anything was, two times out of three."""
        if self._dice.random() < 1 / 3:
            return
        faults = sorted(REST)
        self._dice.shuffle(faults)
        done = next((fault for fault in faults if REST[fault](sweep, self._dice)), None)
        if done:
            self.figures.faults[done] += 1
            _log(f"  {done}")

    def _drive(
        self,
        sweep: Sweep,
        cluster: Cluster | None,
        faults: dict[str, int],
        *,
        fresh: bool = False,
    ) -> None:
        """One driver, from its start to its end; ``faults`` with their moments are done to it."""
        self.figures.drivers += 1
        allowed: Codes = frozenset({0})
        peak = 0
        before = sweep.events("planned")[-1:]
        with _driver(sweep, cluster.address if cluster else None, fresh=fresh) as driver:
            deadline = time.monotonic() + RUN_SECONDS
            for fault, moment in faults.items():
                if _reaches(sweep, driver, before, moment):
                    time.sleep(self._dice.uniform(0, 1) if fault not in WITH_WORKERS else 0)
                    allowed |= self._do(fault, sweep, driver, cluster)
            while driver.poll() is None and time.monotonic() < deadline:
                peak = max(peak, mib_of(driver.pid, "VmHWM"))
                time.sleep(0.1)
            hangs = driver.poll() is None
            if hangs:
                driver.kill()
            code = driver.wait()
        if not cluster:
            self._ended.append((time.monotonic(), driver.pid))
        self.figures.codes[str(code)] += 1
        said = (sweep.spec.parent / "said").read_text()
        if hangs or code not in allowed or "Traceback" in said:
            what = "hangs" if hangs else f"ended with {code}"
            self.figures.crashes.append(
                f"{sweep.spec.schema.parent.name}, {faults}: {what}: {said}"
            )
            _log(self.figures.crashes[-1])
        elif not faults:
            self.figures.driver_mib.append(peak)

    def _do(
        self, fault: str, sweep: Sweep, driver: "subprocess.Popen[bytes]", cluster: Cluster | None
    ) -> Codes:
        def own() -> list[int]:
            return [driver.pid]

        def own_raylet() -> None:
            kill_raylet(driver.pid)

        scene = Scene(
            sweep, driver, self._dice, cluster.leaders if cluster else own,
            cluster.lose_node if cluster else own_raylet, shared=cluster is not None,
        )  # fmt: skip
        allowed = LIVE[fault](scene) if driver.poll() is None else None
        (self.figures.faults if allowed else self.figures.too_late)[fault] += 1
        return allowed or frozenset()

    def _check_leftovers(self, seconds: float) -> None:
        """Whatever drivers started on this machine is to be gone so long after their end."""
        now = time.monotonic()
        for ended, leader in list(self._ended):
            if now - ended < seconds:
                continue
            self._ended.remove((ended, leader))
            for process in session(leader):
                self.figures.leftovers.append(process.command)
                with_signal(process.pid, signal.SIGKILL)

    def _write(self) -> None:
        text = json.dumps(vars(self.figures), indent=1)
        (self._home / "soak.json").write_text(text + "\n")


@contextmanager
def _driver(
    sweep: Sweep, address: str | None, *, fresh: bool
) -> Iterator["subprocess.Popen[bytes]"]:
    """The same command each time; ``fresh`` adds what a person adds when everything is done."""
    where = ["--address", address] if address else ["--local"]
    again = ["--fresh"] if fresh else []
    command = [
        sys.executable, "-c", RUN, "run", str(sweep.spec), *where, *again, "--display", "none",
        "--out", str(sweep.folder.root), "--cache", str(sweep.cache),
    ]  # fmt: skip
    with (sweep.spec.parent / "said").open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _n_shards(sweep: Sweep) -> int:
    """As far as their manifests tell."""
    return len(list(sweep.cache.glob("activations/*/shard-*.json")))


def _is_done(sweep: Sweep) -> bool:
    """Nothing is left to do, unless what was done is forgotten."""
    return [event["status"] for event in sweep.events("run_finished")][-1:] == ["done"]


def _reaches(
    sweep: Sweep, driver: "subprocess.Popen[bytes]", before: list[dict[str, Any]], moment: int
) -> bool:
    """Wait until the driver has a plan, and so many shards and layers are there; False: it ended.

    ``before``: the last plan when it was started.
    """
    while driver.poll() is None:
        with suppress(FileNotFoundError):  # with --fresh, the events may go while they are read
            units = _n_shards(sweep) + len(sweep.events("cells_done"))
            if units >= moment and sweep.events("planned")[-1:] not in ([], before):
                return True
        time.sleep(0.01)
    return False


def _tables(sweep: Sweep) -> dict[str, object]:
    """All tables, by name; how long cells took is no result."""
    others = {
        path.name: path.read_bytes()
        for path in sweep.folder.tables.glob("*.csv")
        if path.name != "metrics.csv"
    }
    return {**others, **sweep.tables()}


def _log(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--home", type=Path, required=True)
    options = parser.parse_args()
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # drivers inherit what is ignored
    figures = Soak(options.home, options.seed).run(options.minutes)
    print(json.dumps(vars(figures), indent=1))
    sys.exit(not figures.sound)


if __name__ == "__main__":
    main()
