"""The lease of a run on an object store: an object that only one driver can create.

Others may leave a request to stop beside it; see ``sweep.state.lease``.
"""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict

from jobs.storage.location import RemotePath
from jobs.storage.object_store import create, read_uncached, remove, write_text
from jobs.storage.regular_files import DamagedFile
from sweep.errors import RunIsLocked
from sweep.state.lease import Holder, Lease, LeaseWatch, parse_holder

log = logging.getLogger(__name__)

LEASE = ".lease"
STOP_REQUEST = ".stop"
LOOK_SECONDS = 2.0
"""Seconds between two reads of a lease that is to be taken over."""
BEAT_SECONDS = 10.0
"""Seconds between two heartbeats, and between two checks for a request to stop."""
STALE_SECONDS = 60.0
"""Seconds without a heartbeat after which a driver counts as dead."""


class StoredLease:
    """The lease object of a run (a ``sweep.state.lease.LeaseStore``)."""

    def __init__(self, remote: RemotePath) -> None:
        self._remote = remote
        self.name = str(remote)

    @property
    def beat_seconds(self) -> float:
        """See ``LeaseStore``."""
        return BEAT_SECONDS

    @property
    def poll_seconds(self) -> float:
        """As ``beat_seconds``, since each check is a request to the store."""
        return BEAT_SECONDS

    @property
    def stale_seconds(self) -> float:
        """See ``LeaseStore``."""
        return STALE_SECONDS

    def read(self) -> Holder | None:
        """Return the holder, or the last one if it died; None: the run was released.

        Raises:
            RunIsLocked: another version of this program holds it.
            StorageError: the store cannot be read.
        """
        lease = self._remote / LEASE
        try:
            return parse_holder(read_uncached(lease))
        except FileNotFoundError:
            return None
        except DamagedFile as error:
            raise RunIsLocked(
                f"{lease} is not as this version writes it ({error}), so it is not known who "
                "drives the run: use the version that does, or, if nobody does any more, delete it"
            ) from None

    def write(self, holder: Holder) -> None:
        """See ``LeaseStore``."""
        write_text(self._remote / LEASE, json.dumps(asdict(holder)))

    def clear(self) -> None:
        """Delete the object."""
        remove(self._remote / LEASE)

    def request_stop(self, holder: Holder) -> None:
        """See ``LeaseStore``."""
        write_text(self._remote / STOP_REQUEST, holder.token)

    def read_request(self) -> str | None:
        """See ``LeaseStore``."""
        try:
            return read_uncached(self._remote / STOP_REQUEST).decode(errors="replace")
        except FileNotFoundError:
            return None

    def remove_request(self) -> None:
        """See ``LeaseStore``."""
        remove(self._remote / STOP_REQUEST)


class RemoteLease(Lease):
    """A driver's hold on a run on an object store.

    Args:
        remote: the run.
        on_request: called, from a thread, when this driver is asked to stop.
    """

    def __init__(self, remote: RemotePath, on_request: Callable[[], None]) -> None:
        super().__init__(StoredLease(remote), on_request)
        self._remote = remote

    def claim(self, *, unlock: bool) -> None:
        """Take the lease.

        Raises:
            RunIsLocked: another driver holds it, or held it when it died on another machine.
        """
        lease = self._remote / LEASE
        data = json.dumps(asdict(self.me))
        while True:
            try:
                create(lease, data.encode())
                break
            except FileExistsError:
                holder = self._store.read()
            if holder is None or not self._is_left(holder, unlock=unlock):
                continue  # released since
            log.warning("took %s over from %s", self._remote, holder)
            self._store.write(self.me)
            break
        self._store.remove_request()

    def _is_left(self, holder: Holder, *, unlock: bool) -> bool:
        """Return whether a dead driver left its lease; False if the lease no longer exists.

        Raises:
            RunIsLocked: the driver is alive, or may be.
        """
        if holder.died_here:
            return True
        if not unlock:
            raise RunIsLocked(
                f"{self._remote} is held by {holder} since {holder.since}: wait for it, or "
                f"stop it with `sweep stop {self._remote}`. If you know that it is dead, take "
                "over: the same command with --unlock"
            )
        watch = LeaseWatch(self._store)
        while (seen := watch.holder()) == holder and not holder.is_here:
            time.sleep(LOOK_SECONDS)
        seen = seen or watch.read()
        if seen is not None and (seen != holder or seen.is_here):
            raise RunIsLocked(
                f"{self._remote} is being worked on by {seen}: wait for it, or stop it with "
                f"`sweep stop {self._remote}`"
            )
        return seen is not None
