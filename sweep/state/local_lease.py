"""The lease of a run in a folder: a locked file that names its holder.

The kernel releases the lock when its holder dies for whatever reason; but not every shared file
system propagates locks to other machines. Therefore the locked file is also a lease
(``sweep.state.lease``). A holder without a heartbeat for ``STALE_SECONDS`` may be dead, or cut off
from the storage: the user must decide, and confirm with ``--unlock``. A driver whose lease was
taken over writes for at most ``BEAT_SECONDS`` after it reconnects.

The record is overwritten in place: NFS revalidates a file's content when it is opened, but may map
a name to the previous file for a minute.
"""

import errno
import fcntl
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from jobs.storage.atomic import write_text
from jobs.storage.regular_files import DamagedFile, open_to_write, read_regular
from sweep.errors import RunIsLocked
from sweep.state.lease import Holder, Lease, LeaseWatch, parse_holder
from sweep.state.run_folder import RunFolder

log = logging.getLogger(__name__)

BEAT_SECONDS = 5.0
STALE_SECONDS = 30.0
POLL_SECONDS = 0.5
"""Seconds between a driver's checks for a request to stop."""
_RECORD_BYTES = 1024
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class LocalLease:
    """The lease file of a run (a ``sweep.state.lease.LeaseStore``).

    Args:
        path: the lock.
        stop_request: the file that asks the driver to end.
        descriptor: the driver's descriptor of the open lock.
    """

    def __init__(self, path: Path, stop_request: Path, descriptor: int | None = None) -> None:
        self.path = path
        self.name = str(path.parent)
        self._stop_request = stop_request
        self._descriptor = descriptor

    @property
    def beat_seconds(self) -> float:
        """See ``LeaseStore``."""
        return BEAT_SECONDS

    @property
    def poll_seconds(self) -> float:
        """See ``LeaseStore``."""
        return POLL_SECONDS

    @property
    def stale_seconds(self) -> float:
        """See ``LeaseStore``."""
        return STALE_SECONDS

    def read(self) -> Holder | None:
        """Read the holder; None also if the file has another format."""
        try:
            return parse_holder(read_regular(self.path, _RECORD_BYTES))
        except (FileNotFoundError, DamagedFile):
            return None

    def write(self, holder: Holder | None) -> None:
        """Overwrite the record in place."""
        assert self._descriptor is not None, "only the driver writes the lease"
        text = json.dumps(asdict(holder)) if holder else ""
        os.pwrite(self._descriptor, text.encode().ljust(_RECORD_BYTES - 1) + b"\n", 0)
        os.ftruncate(self._descriptor, _RECORD_BYTES)
        os.fsync(self._descriptor)

    def clear(self) -> None:
        """Write an empty record."""
        self.write(None)

    def request_stop(self, holder: Holder) -> None:
        """Write the request as a whole: the driver removes one that it reads half-written."""
        write_text(self._stop_request, holder.token)

    def read_request(self) -> str | None:
        """See ``LeaseStore``."""
        try:
            data = read_regular(self._stop_request, _RECORD_BYTES)
        except FileNotFoundError:
            return None
        except DamagedFile:  # nothing that `sweep stop` wrote
            return ""
        return data.decode(errors="replace")

    def remove_request(self) -> None:
        """See ``LeaseStore``."""
        self._stop_request.unlink(missing_ok=True)


def local_watch(folder: RunFolder) -> LeaseWatch:
    """Make a watch of the driver of a run in a folder."""
    return LeaseWatch(LocalLease(folder.lock, folder.stop_request))


@contextmanager
def run_lock(path: Path, stop_request: Path, *, unlock: bool = False) -> Iterator[None]:
    """Hold the run's lease while the block runs.

    Args:
        path: the lock.
        stop_request: the file with which ``sweep stop`` asks for the end; answered with a SIGINT to
            this process.
        unlock: take over from a holder on another machine that sends no heartbeat.

    Raises:
        RunIsLocked: another process holds it; the message names it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = open_to_write(path, os.O_RDWR)
    store = LocalLease(path, stop_request, descriptor)
    try:
        taken_over = _claim(descriptor, store, unlock=unlock)
        store.remove_request()
        lease = Lease(store, _interrupt_main_thread, listens=_listens)
        store.write(lease.me)
        if taken_over:
            _settle(lease, path)
        lease.start()
        try:
            yield
        finally:
            lease.release()
    finally:
        os.close(descriptor)


def _settle(lease: Lease, path: Path) -> None:
    """Wait until a previous holder that reconnects, or a rival, has had time to notice.

    Raises:
        RunIsLocked: another driver took over the run.
    """
    time.sleep(BEAT_SECONDS + POLL_SECONDS)
    other = lease.taken_by()
    if other is not None:
        raise RunIsLocked(f"{path.parent} was taken by {other}")


def _listens() -> bool:
    """Return whether the driver handles SIGINT yet; shells start background jobs with it
    ignored."""
    return signal.getsignal(signal.SIGINT) != signal.SIG_IGN


def _interrupt_main_thread() -> None:
    main = threading.main_thread().ident
    if main is not None:
        signal.pthread_kill(main, signal.SIGINT)


def _claim(descriptor: int, store: LocalLease, *, unlock: bool) -> bool:
    """Make sure that no other driver works on the run; return whether it was taken over by
    ``--unlock``.

    Raises:
        RunIsLocked: another driver does, or may.
    """
    path, locked = store.path, _flock(descriptor)
    holder = store.read()
    if holder is None:
        if locked is False:
            raise _locked(path, "another process")
        return False
    if holder.is_here:
        # The kernel released the lock of a dead holder; without locks, its process decides.
        if locked is False or (locked is None and LeaseWatch(store).holder() is not None):
            raise _locked(path, str(holder))
        return False
    watch = LeaseWatch(store)
    while (seen := watch.holder()) is not None:
        if seen != holder:
            raise _locked(path, str(seen))
        time.sleep(POLL_SECONDS)
    if store.read() is None:  # released in the meantime
        return False
    if not unlock:
        raise RunIsLocked(
            f"{path.parent} is held by {holder} since {holder.since}, which has shown no sign of "
            f"life for {STALE_SECONDS:g} s. If you know that it is dead, take over: the same "
            "command with --unlock"
        )
    log.warning("took the run over from %s", holder)
    return True


def _locked(path: Path, holder: str) -> RunIsLocked:
    return RunIsLocked(
        f"{path.parent} is being worked on by {holder}: wait for it, stop it with "
        f"`sweep stop {path.parent}`, or choose another folder with --out"
    )


def _flock(descriptor: int) -> bool | None:
    """Try to get the kernel's lock; return whether it succeeded, None if the file system has no
    locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return None
        raise
    return True
