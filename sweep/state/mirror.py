"""A run's folder on an object store: driven from a copy on this machine.

The driver writes its files (ledger, events, tables, …) to the copy; changed files are uploaded
every ``PUSH_SECONDS`` and at the end. Jobs upload their own files (predictions, probes), and the
copy is updated for the report. So a run can be resumed on another machine: a killed driver loses
the ledger lines since its last upload, and their cells run again.

Only one driver per run, on any machine: see ``sweep.state.remote_lease``.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from jobs.storage.location import Location, RemotePath
from jobs.storage.object_store import download, list_files, remove, upload, write_text
from sweep.errors import ClusterError
from sweep.state.local_lease import local_watch
from sweep.state.remote_lease import RemoteLease
from sweep.state.retry_policy import may_try_again, wait_seconds
from sweep.state.run_folder import RunFolder

log = logging.getLogger(__name__)

PUSH_SECONDS = 30.0
"""Seconds between two uploads; ten times the duration of the last upload if that is longer, since a
long ledger is uploaded whole."""


def fetch(folder: RunFolder) -> RunFolder:
    """Update the local copy of a run on a store, unless it is driven from here and thus newer.

    Raises:
        OSError: the store cannot be read.
    """
    if folder.remote is not None and local_watch(folder).holder() is None:
        _download(folder, folder.remote, only_new=False)
    return folder


def fetch_records(folder: RunFolder) -> RunFolder:
    """Update the local copy of what a run's state is read from: no results, tables or figures.

    Raises:
        OSError: the store cannot be read.
    """
    if folder.remote is not None and local_watch(folder).holder() is None:
        for path in folder.records:
            with suppress(FileNotFoundError):
                download(folder.remote / path.relative_to(folder.root).as_posix(), path)
    return folder


def fetch_results(folder: RunFolder) -> None:
    """Download the files that jobs wrote; the others are the driver's own."""
    for path in (folder.predictions, folder.probes):
        place = folder.for_jobs(path)
        if isinstance(place, RemotePath):
            _download(RunFolder(path), place, only_new=True)


def check_store(place: Location) -> None:
    """Make sure that an object store is writable.

    Raises:
        ClusterError: it is not.
    """
    if isinstance(place, Path):
        return
    try:
        # Under a unique name, as another run may be starting at the same time.
        probe = place / f".preflight-{uuid.uuid4().hex[:12]}"
        write_text(probe, "")
        remove(probe)
    except OSError as error:
        raise ClusterError(
            f"cannot write to {place}: {error}. Is there such a bucket, and does the environment "
            "have the credentials, the region and the endpoint for it?"
        ) from error


@contextmanager
def mirrored(folder: RunFolder, *, unlock: bool) -> Iterator[Callable[[], None]]:
    """Hold the run for this driver while the block runs, and upload what it writes.

    Without a URL, nothing is done. The copy is updated first.

    Yields:
        A function that uploads at once: the inputs of jobs must be there before they begin.

    Raises:
        RunIsLocked: another driver works on the run, or did when it died on another machine.
        OSError: the store cannot be read, or the last upload failed repeatedly.
    """
    if folder.remote is None:
        yield lambda: None
        return
    lease = RemoteLease(folder.remote, lambda: _stop_here(folder))
    lease.claim(unlock=unlock)
    mirror = _Mirror(folder, folder.remote, lease)
    lease.start()
    try:
        mirror.bring()
        mirror.start()
        try:
            yield mirror.push
        finally:
            mirror.stop()
    finally:
        lease.release()


def _stop_here(folder: RunFolder) -> None:
    """Forward a request to stop to the driver's local lease, which knows when the driver
    listens."""
    watch = local_watch(folder)
    holder = watch.read()
    if holder is not None:
        watch.ask_to_stop(holder)


class _Mirror:
    """Uploads what changes in a run's folder, from a thread."""

    def __init__(self, folder: RunFolder, remote: RemotePath, lease: RemoteLease) -> None:
        self._folder = folder
        self._remote = remote
        self._lease = lease
        self._pushed: dict[str, tuple[int, int]] = {}
        """Size and modification time of the files that the store has."""
        self._pushing = threading.Lock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)

    def bring(self) -> None:
        """Update the copy; files from the store need not be uploaded."""
        there = _download(self._folder, self._remote, only_new=False)
        self._pushed = {name: state for name, _, state in self._files() if name in there}

    def start(self) -> None:
        """Upload now and then."""
        self._thread.start()

    def stop(self) -> None:
        """Upload the remaining changes."""
        self._done.set()
        self._thread.join()
        self._push_at_last()

    def _push_at_last(self) -> None:
        attempts = 1
        while True:
            try:
                self.push()
            except OSError as error:
                log.warning("%s, attempt %d: %s", self._remote, attempts, error)
                if not may_try_again("io", attempts):
                    raise
                time.sleep(wait_seconds("io", attempts))
                attempts += 1
            else:
                return

    def _run(self) -> None:
        pause = PUSH_SECONDS
        while not self._done.wait(pause):
            start = time.monotonic()
            try:
                self.push()
            except OSError as error:  # retried at the next upload, and at the end
                log.warning("%s is not up to date: %s", self._remote, error)
            pause = max(PUSH_SECONDS, 10 * (time.monotonic() - start))

    def push(self) -> None:
        """Upload changed files."""
        with self._pushing:
            self._lease.check()
            for name, path, state in self._files():
                if self._pushed.get(name) != state:
                    upload(path, self._remote / name)
                    self._pushed[name] = state

    def _files(self) -> Iterator[tuple[str, Path, tuple[int, int]]]:
        """List the driver's own files by their names on the store, with their states before they
        are read."""
        others = (self._folder.predictions, self._folder.probes)
        for path in sorted(self._folder.root.rglob("*")):
            if path.name.startswith(".") or any(folder in path.parents for folder in others):
                continue
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            if path.is_file():
                name = path.relative_to(self._folder.root).as_posix()
                yield name, path, (status.st_size, status.st_mtime_ns)


def _download(folder: RunFolder, remote: RemotePath, *, only_new: bool) -> set[str]:
    """Download files from the store; those that never change only if they are missing here.

    Returns:
        The names of the files that are now as they are on the store.
    """
    fixed = (folder.root,) if only_new else (folder.predictions, folder.probes)
    same = set()
    for name, state in list_files(remote).items():
        parts = PurePosixPath(name)
        if ".." in parts.parts or parts.is_absolute() or parts.name.startswith("."):
            continue  # not one of ours: must not escape from the folder
        path = folder.root / parts
        if not (only_new or folder.is_own(path)):
            continue
        here = any(one in path.parents for one in fixed) and path.exists()
        if not here or path.stat().st_size != state.n_bytes:
            download(remote / name, path)
        same.add(name)
    return same
