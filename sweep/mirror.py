"""A run's folder on an object store: driven from a copy on this machine.

The driver writes its files (ledger, events, tables, …) to the copy; what changed is uploaded every
``PUSH_SECONDS`` and at the end. What jobs write (predictions, probes) they upload themselves, and
the copy is brought up to date for the report. So a run can be gone on with from another machine: a
driver that was killed loses the ledger lines since its last upload, whose cells run again.

One driver a run: the run has an object, the lease, that only one driver can create. A driver that
finds another's in its place ends.
"""

import hashlib
import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path, PurePosixPath

from jobs.files import slug
from jobs.place import Place, RemotePath
from jobs.storage import create, download, list_files, read_bytes, remove, upload, write_text
from sweep.lock import TAKEN_EXIT_CODE, Holder, LeaseWatch, RunIsLocked
from sweep.preflight import ClusterError
from sweep.retries import may_try_again, wait_seconds
from sweep.run_folder import RunFolder

log = logging.getLogger(__name__)

PUSH_SECONDS = 30.0
"""Between two uploads, or ten times what the last one took: a long ledger is uploaded whole."""
COPIES = Path("results/.remote")
LEASE = ".lease"


def run_folder(place: Place) -> RunFolder:
    """The folder of a run; of one behind a URL its copy on this machine."""
    if isinstance(place, Path):
        return RunFolder(place.absolute())
    digest = hashlib.sha256(place.url.encode()).hexdigest()[:8]
    return RunFolder((COPIES / f"{slug(place.name)}-{digest}").absolute(), place)


def fetch(folder: RunFolder) -> RunFolder:
    """Bring the copy of a run up to date, if it is one; while it is driven from here it is ahead.

    Raises:
        OSError: the store cannot be read.
    """
    if folder.remote is not None and LeaseWatch(folder.lock).holder() is None:
        _download(folder, folder.remote, only_new=False)
    return folder


def fetch_results(folder: RunFolder) -> None:
    """Bring what jobs wrote: the rest is the driver's own."""
    for path in (folder.predictions, folder.probes):
        place = folder.for_jobs(path)
        if isinstance(place, RemotePath):
            _download(RunFolder(path), place, only_new=True)


def check_store(place: Place) -> None:
    """Make sure that an object store takes what is written to it.

    Raises:
        ClusterError: it does not.
    """
    if isinstance(place, Path):
        return
    try:
        write_text(place / f".preflight-{uuid.uuid4().hex[:12]}", "")
        for name in list_files(place):
            if name.startswith(".preflight-"):
                remove(place / name)
    except OSError as error:
        raise ClusterError(
            f"cannot write to {place}: {error}. Is there such a bucket, and does the environment "
            "have the credentials, the region and the endpoint for it?"
        ) from error


@contextmanager
def mirrored(folder: RunFolder, *, unlock: bool) -> Iterator[Callable[[], None]]:
    """While the block runs, this driver alone works on the run, and what it writes is uploaded.

    Without a URL nothing is done. The copy is brought up to date first.

    Yields:
        Uploads at once: what jobs read must be there before they begin.

    Raises:
        RunIsLocked: another driver works on the run, or did when it died on another machine.
        OSError: the store cannot be read, or the last upload failed, again and again.
    """
    if folder.remote is None:
        yield lambda: None
        return
    mirror = _Mirror(folder, folder.remote)
    mirror.claim(unlock=unlock)
    _download(folder, folder.remote, only_new=False)
    mirror.start()
    try:
        yield mirror.push
    finally:
        mirror.stop()


class _Mirror:
    """Uploads what changes in a run's folder, from a thread."""

    def __init__(self, folder: RunFolder, remote: RemotePath) -> None:
        self._folder = folder
        self._remote = remote
        self._me = Holder()
        self._pushed: dict[str, tuple[int, int]] = {}
        """Size and time of change of the files that the store has."""
        self._pushing = threading.Lock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)

    def claim(self, *, unlock: bool) -> None:
        """Take the lease."""
        lease = self._remote / LEASE
        data = json.dumps(asdict(self._me))
        try:
            create(lease, data.encode())
        except FileExistsError:
            holder = self._holder()
            if holder is not None and not holder.died_here and not unlock:
                raise RunIsLocked(
                    f"{self._remote} is held by {holder} since {holder.since}: wait for it, or "
                    "stop it there. If you know that it is dead, take over: the same command with "
                    "--unlock"
                ) from None
            log.warning("took %s over from %s", self._remote, holder)
            write_text(lease, data)

    def start(self) -> None:
        """Upload now and then."""
        self._thread.start()

    def stop(self) -> None:
        """Upload what is left, and let go of the run."""
        self._done.set()
        self._thread.join()
        try:
            self._push_at_last()
        finally:
            remove(self._remote / LEASE)

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
            except OSError as error:  # there will be another time, and one at the end
                log.warning("%s is not up to date: %s", self._remote, error)
            pause = max(PUSH_SECONDS, 10 * (time.monotonic() - start))

    def push(self) -> None:
        """Upload what changed."""
        with self._pushing:
            holder = self._holder()
            if holder is not None and holder.token != self._me.token:
                log.critical("%s was taken by %s: this driver ends", self._remote, holder)
                os._exit(TAKEN_EXIT_CODE)
            for path, state in self._files():
                name = path.relative_to(self._folder.root).as_posix()
                if self._pushed.get(name) != state:
                    upload(path, self._remote / name)
                    self._pushed[name] = state

    def _files(self) -> Iterator[tuple[Path, tuple[int, int]]]:
        """The driver's own files, and their states before they are read."""
        others = (self._folder.predictions, self._folder.probes)
        for path in sorted(self._folder.root.rglob("*")):
            if path.name.startswith(".") or any(folder in path.parents for folder in others):
                continue
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            if path.is_file():
                yield path, (status.st_size, status.st_mtime_ns)

    def _holder(self) -> Holder | None:
        try:
            return Holder(**json.loads(read_bytes(self._remote / LEASE)))
        except FileNotFoundError:
            return None


def _download(folder: RunFolder, remote: RemotePath, *, only_new: bool) -> None:
    """Files of the store; of those that never change only such as are not here."""
    fixed = (folder.root,) if only_new else (folder.predictions, folder.probes)
    for name, state in list_files(remote).items():
        parts = PurePosixPath(name)
        if ".." in parts.parts or parts.is_absolute() or parts.name.startswith("."):
            continue  # none of ours: it must not escape from the folder
        path = folder.root / parts
        if path.is_relative_to(folder.similarity / "sketches"):
            continue
        here = any(one in path.parents for one in fixed) and path.exists()
        if not here or path.stat().st_size != state.n_bytes:
            download(remote / name, path)
