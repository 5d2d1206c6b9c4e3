"""Runs seen from outside: who drives one, how to stop it, how to go on."""

import json
import shlex
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sweep.lock import LeaseWatch, ask_to_stop, read_holder
from sweep.run_folder import RunFolder

if TYPE_CHECKING:
    from sweep.results import Run  # which imports torch: seconds, that `stop` does not need

STOP_SECONDS = 60.0
"""How long a driver may take to end: ten seconds for what is in flight, the rest for its Ray."""
POLL_SECONDS = 0.2

Say = Callable[[str], object]


def stop_run(folder: RunFolder, say: Say) -> bool:
    """Ask a run's driver to end, and wait until it has; whether nobody drives it any more."""
    lease = LeaseWatch(folder.lock)
    holder = lease.holder()
    if holder is None:
        say(f"{folder.root} is not running")
        return True
    ask_to_stop(holder, folder.stop_request)
    say(f"asked {holder} to stop; it finishes what is in flight")
    deadline = time.monotonic() + STOP_SECONDS
    while lease.holder() is not None and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    left = read_holder(folder.lock)
    if left is None or left.token != holder.token:
        say(f"stopped; {how_to_go_on(folder)}")
        return True
    if lease.holder() is None:
        say(f"{holder} shows no sign of life any more; {how_to_go_on(folder)}")
        return True
    say(f"{holder} has not stopped within {STOP_SECONDS:g} s: end it there, nothing is lost by it")
    return False


def count_failed(run: "Run") -> int:
    """Planned cells of a run that failed."""
    return sum(record.status == "failed" for record in run.records.values())


def how_to_go_on(folder: RunFolder) -> str:
    """The command that a run was last driven with; it goes on where that stopped."""
    try:
        arguments = json.loads(folder.provenance.read_text())["runs"][-1]["arguments"]
    except FileNotFoundError:  # it ended before it computed anything
        arguments = []
    words = [word for word in arguments if word not in ("--fresh", "--unlock")]
    if not words:
        return "go on with the same command"
    return f"go on with: {shlex.join(['sweep', *words])}"
