"""Who drives a run on an object store, seen from any machine, and how to ask it to stop.

The lease is an object that only one driver can create. Its holder writes it anew every
``BEAT_SECONDS``, with a count: who watches the count by its own clock, as ``sweep.lock`` does, sees
whether the driver lives. Beside it others may leave a request to stop. A driver that finds
another's lease in the place of its own ends.
"""

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace

from jobs.place import RemotePath
from jobs.storage import create, read_now, remove, write_text
from sweep.lock import TAKEN_EXIT_CODE, Holder, RunIsLocked

log = logging.getLogger(__name__)

LEASE = ".lease"
STOP_REQUEST = ".stop"
BEAT_SECONDS = 10.0
"""Between two signs of life, and between two looks for a request to stop."""
STALE_SECONDS = 60.0
"""Without a sign of life, after which a driver counts as dead."""


def read_remote_holder(remote: RemotePath) -> Holder | None:
    """Who holds a run, or did when it died; None when it was let go, or never held.

    Raises:
        StorageError: the store cannot be read.
    """
    try:
        return Holder(**json.loads(read_now(remote / LEASE)))
    except FileNotFoundError:
        return None


class RemoteLeaseWatch:
    """Tells from outside whether a driver is at work on a run, by looking again and again."""

    def __init__(self, remote: RemotePath) -> None:
        self._remote = remote
        self._seen: Holder | None = None
        self._changed = time.monotonic()

    def read(self) -> Holder | None:
        """What the lease says, whether its holder lives or not."""
        return read_remote_holder(self._remote)

    def holder(self) -> Holder | None:
        """The holder, as long as it shows signs of life; None when it does not, or there is none.

        On this machine that is its process. Elsewhere it is believed for ``STALE_SECONDS`` after
        the last change that this object saw.
        """
        found = self.read()
        if found is not None and found.is_here:
            return None if found.died_here else found
        now = time.monotonic()
        if found != self._seen:
            self._seen, self._changed = found, now
        return found if now - self._changed < STALE_SECONDS else None

    def ask_to_stop(self, holder: Holder) -> None:
        """Ask this driver, and none that begins later, to finish what is in flight and end."""
        write_text(self._remote / STOP_REQUEST, holder.token)


class RemoteLease:
    """What a driver holds of a run on an object store.

    Args:
        remote: the run.
        on_request: called, from a thread, when somebody asks this driver to stop.
    """

    def __init__(self, remote: RemotePath, on_request: Callable[[], None]) -> None:
        self._remote = remote
        self._on_request = on_request
        self._me = Holder()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def claim(self, *, unlock: bool) -> None:
        """Take the lease.

        Raises:
            RunIsLocked: another driver has it, or had when it died on another machine.
        """
        lease = self._remote / LEASE
        data = json.dumps(asdict(self._me))
        try:
            create(lease, data.encode())
        except FileExistsError:
            holder = read_remote_holder(self._remote)
            if holder is not None and not holder.died_here and not unlock:
                raise RunIsLocked(
                    f"{self._remote} is held by {holder} since {holder.since}: wait for it, or "
                    f"stop it with `sweep stop {self._remote}`. If you know that it is dead, take "
                    "over: the same command with --unlock"
                ) from None
            log.warning("took %s over from %s", self._remote, holder)
            write_text(lease, data)
        remove(self._remote / STOP_REQUEST)

    def start(self) -> None:
        """Show signs of life, from a thread."""
        self._thread.start()

    def check(self) -> None:
        """End this process if another driver has taken the run."""
        holder = read_remote_holder(self._remote)
        if holder is not None and holder.token != self._me.token:
            log.critical("%s was taken by %s: this driver ends", self._remote, holder)
            os._exit(TAKEN_EXIT_CODE)

    def release(self) -> None:
        """Let go of the run."""
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()
        remove(self._remote / LEASE)

    def _run(self) -> None:
        while not self._done.wait(BEAT_SECONDS):
            try:
                self._beat()
                self._look_for_request()
            except OSError as error:  # the store may come back; if not, the driver finds out
                log.warning("lease of %s: %s", self._remote, error)

    def _beat(self) -> None:
        self.check()
        self._me = replace(self._me, beat=self._me.beat + 1)
        write_text(self._remote / LEASE, json.dumps(asdict(self._me)))

    def _look_for_request(self) -> None:
        try:
            token = read_now(self._remote / STOP_REQUEST).decode()
        except FileNotFoundError:
            return
        remove(self._remote / STOP_REQUEST)
        if token == self._me.token:
            self._on_request()
