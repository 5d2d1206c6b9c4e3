"""Control of runs from outside: find a driver, stop it, resume the run."""

import shlex
import time
from collections.abc import Callable, Sequence

from jobs.storage.json_files import read_json
from jobs.storage.object_store import exists
from jobs.storage.regular_files import DamagedFile
from sweep.state.lease import Holder, LeaseWatch
from sweep.state.local_lease import local_watch
from sweep.state.remote_lease import LEASE, StoredLease
from sweep.state.run_folder import RunFolder

STOP_SECONDS = 60.0
"""Seconds that a driver may take to end: ten for work in flight, the rest for its Ray."""
REMOTE_STOP_SECONDS = 180.0
"""Seconds for a driver that reads requests from an object store, and uploads its files there."""
POLL_SECONDS, REMOTE_POLL_SECONDS = 0.2, 2.0

Say = Callable[[str], object]


class DriverLease:
    """Finds a run's driver, and can ask it to stop.

    If a run on an object store is driven from another machine, its lease is on the store.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.is_remote = False
        """True if its lease is on the object store."""
        self._watch = local_watch(folder)
        if folder.remote is not None and self._watch.holder() is None:
            self.is_remote = True
            self._watch = LeaseWatch(StoredLease(folder.remote))

    def holder(self) -> Holder | None:
        """Return the driver while it sends heartbeats."""
        return self._watch.holder()

    def last_holder(self) -> Holder | None:
        """Return the driver that holds the run, or held it when it died."""
        return self._watch.read()

    def ask_to_stop(self, holder: Holder) -> None:
        """Ask this driver to finish work in flight and end."""
        self._watch.ask_to_stop(holder)


def is_run(folder: RunFolder) -> bool:
    """Return whether a driver has ever started there."""
    if folder.remote is None:
        return folder.lock.exists()
    return exists(folder.remote / LEASE) or exists(folder.for_jobs(folder.spec))


def stop_run(folder: RunFolder, say: Say) -> bool:
    """Ask a run's driver to end, and wait for it; return whether it ended."""
    lease = DriverLease(folder)
    holder = lease.holder()
    if holder is None:
        say(f"{folder.for_jobs(folder.root)} is not running")
        return True
    lease.ask_to_stop(holder)
    say(f"asked {holder} to stop; it finishes what is in flight")
    patience = REMOTE_STOP_SECONDS if lease.is_remote else STOP_SECONDS
    deadline = time.monotonic() + patience
    while lease.holder() is not None and time.monotonic() < deadline:
        time.sleep(REMOTE_POLL_SECONDS if lease.is_remote else POLL_SECONDS)
    left = lease.last_holder()
    if left is None or left.token != holder.token:
        say(f"stopped; {resume_command(folder)}")
        return True
    if lease.holder() is None:
        say(f"{holder} shows no sign of life any more; {resume_command(folder)}")
        return True
    say(f"{holder} has not stopped within {patience:g} s: end it there, nothing is lost by it")
    return False


def resume_command(folder: RunFolder) -> str:
    """Return the command that resumes a run: the last one that drove it."""
    return resume_with(_last_arguments(folder))


def retry_command(folder: RunFolder, run: str) -> str:
    """Return the command that runs the failed cells of ``run`` again, in the same place."""
    arguments = _last_arguments(folder)
    words = [word for word in arguments if word in ("--local", "--inline")]
    words += [word for word in arguments if word.startswith("--address=")]
    if "--address" in arguments[:-1]:
        words += ["--address", arguments[arguments.index("--address") + 1]]
    if "submit" in arguments[:1]:  # its address is that of the cluster's dashboard
        words = ["--address", "auto"]
    return f"sweep retry {run} {shlex.join(words)}".rstrip()


def _last_arguments(folder: RunFolder) -> list[str]:
    """Return the arguments of ``sweep`` of the last session; empty if they are not known."""
    try:
        sessions = read_json(folder.for_jobs(folder.provenance), {"runs": list})["runs"]
    except (FileNotFoundError, DamagedFile):  # it ended before it computed anything
        sessions = []
    last = sessions[-1] if sessions and isinstance(sessions[-1], dict) else {}
    arguments = last.get("arguments")
    return list(map(str, arguments)) if isinstance(arguments, list) else []


def resume_with(arguments: Sequence[str]) -> str:
    """Return the command that resumes a run started with these arguments of ``sweep``.

    Arguments that must not be repeated are left out: ``--fresh`` would forget the finished cells.
    """
    words = [word for word in arguments if word not in ("--fresh", "--unlock")]
    if not words:
        return "resume with the same command"
    return f"resume with: {shlex.join(['sweep', *words])}"
