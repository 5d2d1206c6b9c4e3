"""Runs seen from outside: who drives one, how to stop it, how to go on."""

import json
import shlex
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from jobs.storage.object_store import exists, read_bytes
from sweep.state.local_lease import Holder, LeaseWatch, ask_to_stop, read_holder
from sweep.state.remote_lease import LEASE, RemoteLeaseWatch
from sweep.state.run_folder import RunFolder

if TYPE_CHECKING:
    from sweep.results.run import Run  # which imports torch: seconds, that `stop` does not need

STOP_SECONDS = 60.0
"""How long a driver may take to end: ten seconds for what is in flight, the rest for its Ray."""
REMOTE_STOP_SECONDS = 180.0
"""The same for one that looks for requests on an object store, and brings its files there."""
POLL_SECONDS, REMOTE_POLL_SECONDS = 0.2, 2.0

Say = Callable[[str], object]


class DriverLease:
    """Who drives a run, and the means to ask them to stop.

    Of a run on an object store that is driven from another machine, these are on the store.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._here = LeaseWatch(folder.lock)
        self._there: RemoteLeaseWatch | None = None
        if folder.remote is not None and self._here.holder() is None:
            self._there = RemoteLeaseWatch(folder.remote)

    @property
    def are_remote(self) -> bool:
        """On the object store."""
        return self._there is not None

    def holder(self) -> Holder | None:
        """The driver, as long as it shows signs of life."""
        return (self._there or self._here).holder()

    def last_holder(self) -> Holder | None:
        """The driver that holds the run, or did when it died."""
        return self._there.read() if self._there else read_holder(self._folder.lock)

    def ask_to_stop(self, holder: Holder) -> None:
        """Ask this driver to finish what is in flight and end."""
        if self._there:
            self._there.ask_to_stop(holder)
        else:
            ask_to_stop(holder, self._folder.stop_request)


def is_run(folder: RunFolder) -> bool:
    """Whether a driver has ever begun there."""
    if folder.remote is None:
        return folder.lock.exists()
    return exists(folder.remote / LEASE) or exists(folder.for_jobs(folder.spec))


def stop_run(folder: RunFolder, say: Say) -> bool:
    """Ask a run's driver to end, and wait until it has; whether nobody drives it any more."""
    reins = DriverLease(folder)
    holder = reins.holder()
    if holder is None:
        say(f"{folder.for_jobs(folder.root)} is not running")
        return True
    reins.ask_to_stop(holder)
    say(f"asked {holder} to stop; it finishes what is in flight")
    patience = REMOTE_STOP_SECONDS if reins.are_remote else STOP_SECONDS
    deadline = time.monotonic() + patience
    while reins.holder() is not None and time.monotonic() < deadline:
        time.sleep(REMOTE_POLL_SECONDS if reins.are_remote else POLL_SECONDS)
    left = reins.last_holder()
    if left is None or left.token != holder.token:
        say(f"stopped; {resume_command(folder)}")
        return True
    if reins.holder() is None:
        say(f"{holder} shows no sign of life any more; {resume_command(folder)}")
        return True
    say(f"{holder} has not stopped within {patience:g} s: end it there, nothing is lost by it")
    return False


def count_failed(run: "Run") -> int:
    """Planned cells of a run that failed."""
    return sum(record.status == "failed" for record in run.records.values())


def resume_command(folder: RunFolder) -> str:
    """The command that a run was last driven with; it goes on where that stopped."""
    try:
        provenance = json.loads(read_bytes(folder.for_jobs(folder.provenance)))
        arguments = provenance["runs"][-1]["arguments"]
    except FileNotFoundError:  # it ended before it computed anything
        arguments = []
    words = [word for word in arguments if word not in ("--fresh", "--unlock")]
    if not words:
        return "go on with the same command"
    return f"go on with: {shlex.join(['sweep', *words])}"
