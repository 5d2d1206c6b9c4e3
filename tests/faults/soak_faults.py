"""The faults of the soak: what is done to a sweep between two drivers, and to a driver at work."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.state import local_lease
from tests.faults.sweeps import EXTRACTING, PROBING, Process, Sweep, session, with_signal

FREEZE_SECONDS = 7.0
"""More than a beat of the lease."""
SEEN_SECONDS = 30.0
"""How long a worker at some task is looked for."""


@dataclass(frozen=True)
class Scene:
    """A sweep at work, and where its processes are."""

    sweep: Sweep
    driver: "subprocess.Popen[bytes]"
    dice: random.Random
    leaders: Callable[[], list[int]]
    """Leaders of the sessions that its Ray's processes belong to."""
    lose_node: Callable[[], None]
    """SIGKILLs the raylet of a node; of a shared cluster, another node joins."""
    shared: bool
    """The cluster is not the driver's own."""

    def processes(self) -> list[Process]:
        """All that are alive."""
        return [process for leader in self.leaders() for process in session(leader)]

    def at_work(self, task: str) -> Process | None:
        """A worker at this task, as soon as there is one; None: the driver ended, or it took too
        long."""
        deadline = time.monotonic() + SEEN_SECONDS
        while self.driver.poll() is None and time.monotonic() < deadline:
            found = [one for one in self.processes() if one.command.startswith(task)]
            if found:
                return self.dice.choice(found)
            time.sleep(0.005)
        return None


Codes = frozenset[int]
"""Exit codes that the driver may end with; 0 is always one of them."""
LIVES: Codes = frozenset({0})


def kill_driver(scene: Scene) -> Codes:
    with_signal(scene.driver.pid, signal.SIGKILL)
    return LIVES | {-signal.SIGKILL}


def kill_extraction_worker(scene: Scene) -> Codes | None:
    return _signal_worker(scene, EXTRACTING, signal.SIGKILL)


def kill_probe_worker(scene: Scene) -> Codes | None:
    return _signal_worker(scene, PROBING, signal.SIGKILL)


def stop_a_worker_for_a_while(scene: Scene) -> Codes | None:
    worker = scene.at_work(scene.dice.choice((EXTRACTING, PROBING)))
    if worker is None:
        return None
    with_signal(worker.pid, signal.SIGSTOP)
    time.sleep(scene.dice.uniform(0.5, 4))
    with_signal(worker.pid, signal.SIGCONT)
    return LIVES


def stop_the_driver_for_a_while(scene: Scene) -> Codes:
    with_signal(scene.driver.pid, signal.SIGSTOP)
    time.sleep(FREEZE_SECONDS)
    with_signal(scene.driver.pid, signal.SIGCONT)
    return LIVES


def lose_a_node(scene: Scene) -> Codes | None:
    scene.lose_node()
    return LIVES if scene.shared else LIVES | {1, 3, -signal.SIGTERM}


def ctrl_c(scene: Scene) -> Codes:
    os.killpg(scene.driver.pid, signal.SIGINT)
    return LIVES | {130}


def ctrl_c_twice(scene: Scene) -> Codes:
    ctrl_c(scene)
    time.sleep(scene.dice.uniform(0, 0.3))
    if scene.driver.poll() is None:
        os.killpg(scene.driver.pid, signal.SIGINT)
    return LIVES | {130}


def sigterm(scene: Scene) -> Codes:
    with_signal(scene.driver.pid, signal.SIGTERM)
    return LIVES | {143}


def _signal_worker(scene: Scene, task: str, number: signal.Signals) -> Codes | None:
    worker = scene.at_work(task)
    if worker is None:
        return None
    with_signal(worker.pid, number)
    return LIVES


LIVE: dict[str, Callable[[Scene], Codes | None]] = {
    "SIGKILL of the driver": kill_driver,
    "SIGKILL of an extraction worker": kill_extraction_worker,
    "SIGKILL of a probe worker": kill_probe_worker,
    "SIGSTOP of a worker for some seconds": stop_a_worker_for_a_while,
    "SIGSTOP of the driver for some seconds": stop_the_driver_for_a_while,
    "SIGKILL of a node's raylet": lose_a_node,
    "Ctrl-C": ctrl_c,
    "Ctrl-C twice": ctrl_c_twice,
    "SIGTERM": sigterm,
}
"""Done to a driver at work; None: it was too late for it."""
WITH_WORKERS = {"SIGKILL of an extraction worker", "SIGSTOP of a worker for some seconds"}
"""Those that wait themselves until somebody extracts, which is over soon: they begin at once."""


def _shard(sweep: Sweep, dice: random.Random) -> Path | None:
    found = sorted(sweep.cache.glob("activations/*/shard-*.json"))
    return dice.choice(found) if found else None


def truncate_a_shard(sweep: Sweep, dice: random.Random) -> bool:
    manifest = _shard(sweep, dice)
    if manifest is None:
        return False
    data = manifest.with_suffix(".safetensors")
    os.truncate(data, dice.randrange(data.stat().st_size))
    return True


def flip_a_bit_of_a_shard(sweep: Sweep, dice: random.Random) -> bool:
    manifest = _shard(sweep, dice)
    if manifest is None:
        return False
    data = manifest.with_suffix(".safetensors")
    content = bytearray(data.read_bytes())
    content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    data.write_bytes(content)
    return True


def delete_a_shard(sweep: Sweep, dice: random.Random) -> bool:
    manifest = _shard(sweep, dice)
    if manifest is None:
        return False
    manifest.with_suffix(".safetensors").unlink()
    if dice.random() < 0.5:
        manifest.unlink()
    return True


def tear_a_manifest(sweep: Sweep, dice: random.Random) -> bool:
    manifest = _shard(sweep, dice)
    if manifest is None:
        return False
    os.truncate(manifest, dice.randrange(manifest.stat().st_size))
    return True


def tear_the_ledger(sweep: Sweep, dice: random.Random) -> bool:
    return _tear(sweep.folder.ledger, dice)


def tear_the_events(sweep: Sweep, dice: random.Random) -> bool:
    return _tear(sweep.folder.events, dice)


def _tear(path: Path, dice: random.Random) -> bool:
    if not path.exists() or not path.stat().st_size:
        return False
    last = len(path.read_bytes().rstrip(b"\n").rpartition(b"\n")[2])
    os.truncate(path, path.stat().st_size - dice.randint(1, last))
    return True


def damage_a_line_of_the_ledger(sweep: Sweep, dice: random.Random) -> bool:
    lines = sweep.ledger()
    if not lines:
        return False
    number = dice.randrange(len(lines))
    lines[number] = lines[number][: len(lines[number]) // 2]
    sweep.folder.ledger.write_text("".join(f"{line}\n" for line in lines))
    return True


def delete_predictions(sweep: Sweep, dice: random.Random) -> bool:
    found = sorted(sweep.folder.predictions.glob("*.npz"))
    if not found:
        return False
    dice.choice(found).unlink()
    return True


def empty_the_cache(sweep: Sweep, dice: random.Random) -> bool:
    found = sweep.cache / "activations"
    if found.exists():
        shutil.rmtree(found)
        return True
    return False


def leave_a_stale_lease(sweep: Sweep, dice: random.Random) -> bool:
    """Of a process of this machine that is long gone: its pid is another's now."""
    sweep.folder.root.mkdir(parents=True, exist_ok=True)
    holder = replace(local_lease.Holder(), pid=dice.choice((1, os.getpid())), started="7")
    sweep.folder.lock.write_text(json.dumps(holder.__dict__))
    return True


REST: dict[str, Callable[[Sweep, random.Random], bool]] = {
    "shard truncated": truncate_a_shard,
    "bit of a shard flipped": flip_a_bit_of_a_shard,
    "shard deleted": delete_a_shard,
    "shard's manifest torn": tear_a_manifest,
    "last line of the ledger torn": tear_the_ledger,
    "line of the ledger damaged": damage_a_line_of_the_ledger,
    "last event torn": tear_the_events,
    "predictions deleted": delete_predictions,
    "all activations deleted": empty_the_cache,
    "lease of a dead driver": leave_a_stale_lease,
}
"""Done while no driver is at work; whether there was something to do it to."""
