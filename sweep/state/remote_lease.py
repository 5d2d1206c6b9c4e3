"""Who drives a run on an object store, seen from any machine, and how to ask it to stop.

The lease is an object that only one driver can create. Its holder writes it anew every
``BEAT_SECONDS``, with a count: who watches the count by its own clock, as
``sweep.state.local_lease`` does, sees
whether the driver lives. Beside it others may leave a request to stop. A driver that finds
another's lease in the place of its own ends.
"""

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace

from jobs.storage.location import RemotePath
from jobs.storage.object_store import create, read_now, remove, write_text
from sweep.state.local_lease import TAKEN_EXIT_CODE, Holder, RunIsLocked

log = logging.getLogger(__name__)

LEASE = ".lease"
STOP_REQUEST = ".stop"
LOOK_SECONDS = 2.0
"""Between two looks of who wants to take a run over."""
BEAT_SECONDS = 10.0
"""Between two signs of life, and between two looks for a request to stop."""
STALE_SECONDS = 60.0
"""Without a sign of life, after which a driver counts as dead."""


def read_remote_holder(remote: RemotePath) -> Holder | None:
    """Who holds a run, or did when it died; None when it was let go, or never held.

    Raises:
        RunIsLocked: another version of this program holds it.
        StorageError: the store cannot be read.
    """
    lease = remote / LEASE
    try:
        return Holder(**json.loads(read_now(lease)))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise RunIsLocked(
            f"{lease} is not as this version writes it ({error}), so it is not known who drives "
            "the run: use the version that does, or, if nobody does any more, delete it"
        ) from None


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
        while True:
            try:
                create(lease, data.encode())
                break
            except FileExistsError:
                holder = read_remote_holder(self._remote)
            if holder is None or not self._is_left(holder, unlock=unlock):
                continue  # it was let go since
            log.warning("took %s over from %s", self._remote, holder)
            write_text(lease, data)
            break
        remove(self._remote / STOP_REQUEST)

    def _is_left(self, holder: Holder, *, unlock: bool) -> bool:
        """Whether a dead driver left its lease; False: it is not there any more.

        Raises:
            RunIsLocked: the driver lives, or may.
        """
        if holder.died_here:
            return True
        if not unlock:
            raise RunIsLocked(
                f"{self._remote} is held by {holder} since {holder.since}: wait for it, or "
                f"stop it with `sweep stop {self._remote}`. If you know that it is dead, take "
                "over: the same command with --unlock"
            )
        watch = RemoteLeaseWatch(self._remote)
        while (seen := watch.holder()) == holder and not holder.is_here:
            time.sleep(LOOK_SECONDS)
        seen = seen or watch.read()
        if seen is not None and (seen != holder or seen.is_here):
            raise RunIsLocked(
                f"{self._remote} is being worked on by {seen}: wait for it, or stop it with "
                f"`sweep stop {self._remote}`"
            )
        return seen is not None

    def start(self) -> None:
        """Show signs of life, from a thread."""
        self._thread.start()

    def check(self) -> None:
        """End this process if another driver has taken the run."""
        try:
            holder = read_remote_holder(self._remote)
        except RunIsLocked as taken:
            log.critical("%s: this driver ends", taken)
            os._exit(TAKEN_EXIT_CODE)
        if holder is not None and holder.token != self._me.token:
            log.critical("%s was taken by %s: this driver ends", self._remote, holder)
            os._exit(TAKEN_EXIT_CODE)

    def release(self) -> None:
        """Let go of the run, unless another driver has taken it."""
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()
        with suppress(RunIsLocked):
            holder = read_remote_holder(self._remote)
            if holder is not None and holder.token == self._me.token:
                remove(self._remote / LEASE)

    def _run(self) -> None:
        while not self._done.wait(BEAT_SECONDS):
            try:
                self._beat()
                self._look_for_request()
            except OSError as error:  # the store may come back; if not, the driver finds out
                log.warning("lease of %s: %s", self._remote, error)
            except Exception:  # without a heartbeat the run would look abandoned
                log.exception("lease of %s", self._remote)

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
