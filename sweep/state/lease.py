"""The lease of a run: one driver at a time, wherever the run and the drivers are.

A lease is kept in a ``LeaseStore``: a locked file (``sweep.state.local_lease``), or an
object on a store (``sweep.state.remote_lease``). Its holder rewrites it regularly with an
increasing count, as a heartbeat. Others watch the count by their own clocks, so clocks of two
machines are never compared. Others may leave a request to stop beside the lease. A driver that
finds another's lease in place of its own ends at once.
"""

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from jobs.storage.json_files import parse_json
from jobs.storage.regular_files import DamagedFile
from sweep.errors import RunIsLocked

log = logging.getLogger(__name__)

TAKEN_EXIT_CODE = 2
"""Exit code of a driver whose run was taken over."""


@dataclass(frozen=True)
class Holder:
    """The driver that holds a run, by its own account."""

    host: str = field(default_factory=socket.gethostname)
    machine: str = field(default_factory=lambda: _this_machine())
    """Id of the booted kernel and of the namespace of process ids, within which ``pid`` is
    valid."""
    pid: int = field(default_factory=os.getpid)
    started: str = field(default_factory=lambda: _start_time(os.getpid()) or "")
    """Start time of the process in the kernel's ticks, which distinguishes it from another with its
    pid."""
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    since: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    """Human-readable."""
    beat: int = 0

    @property
    def is_here(self) -> bool:
        """Return whether it is on this machine."""
        return self.machine == _this_machine()

    @property
    def died_here(self) -> bool:
        """Return whether its process was on this machine and has ended."""
        return self.is_here and _start_time(self.pid) != self.started

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def parse_holder(data: bytes) -> Holder:
    """Read the record of a holder.

    Raises:
        DamagedFile: it is not as this version writes it.
    """
    kinds = {one.name: int if one.name in ("pid", "beat") else str for one in fields(Holder)}
    values = parse_json(data, kinds)
    if others := values.keys() - kinds:
        raise DamagedFile(f"unknown keys {', '.join(sorted(others))[:200]}")
    return Holder(**values)


class LeaseStore(Protocol):
    """The place of a run's lease, and of requests to stop its holder."""

    name: str
    """Name of the run in messages."""

    @property
    def beat_seconds(self) -> float:
        """Seconds between two heartbeats."""

    @property
    def poll_seconds(self) -> float:
        """Seconds between two checks for a request to stop; at most ``beat_seconds``."""

    @property
    def stale_seconds(self) -> float:
        """Seconds without a heartbeat after which a driver may be dead."""

    def read(self) -> Holder | None:
        """Return the holder, or the last one if it died; None: the run was released.

        Raises:
            RunIsLocked: the holder is unknown.
        """

    def write(self, holder: Holder) -> None:
        """Write the holder, or its latest count."""

    def clear(self) -> None:
        """Release the run."""

    def request_stop(self, holder: Holder) -> None:
        """Leave a request that stops this holder, but no later one."""

    def read_request(self) -> str | None:
        """Read the token of the holder that is asked to stop."""

    def remove_request(self) -> None:
        """Remove the request, if there is one."""


class LeaseWatch:
    """Detects from outside whether a driver works on a run, by repeated reading of its lease."""

    def __init__(self, store: LeaseStore) -> None:
        self._store = store
        self._seen: Holder | None = None
        self._changed = time.monotonic()

    def read(self) -> Holder | None:
        """Return the holder in the lease, whether alive or not."""
        return self._store.read()

    def holder(self) -> Holder | None:
        """Return the holder if it is alive; None if it is not, or there is none.

        On this machine, its process decides. Elsewhere, it counts as alive for the store's
        ``stale_seconds`` after the last change that this object saw.
        """
        found = self.read()
        if found is not None and found.is_here:
            return None if found.died_here else found
        now = time.monotonic()
        if found != self._seen:
            self._seen, self._changed = found, now
        return found if now - self._changed < self._store.stale_seconds else None

    def ask_to_stop(self, holder: Holder) -> None:
        """Ask this driver, but no later one, to finish work in flight and end."""
        self._store.request_stop(holder)


class Lease:
    """A driver's hold on a run: a thread sends heartbeats and checks for requests to stop.

    Args:
        store: the place of the lease, which the driver has claimed.
        on_request: called, from the thread, when this driver is asked to stop.
        listens: whether the driver can be stopped yet; a request waits until then.
    """

    def __init__(
        self,
        store: LeaseStore,
        on_request: Callable[[], None],
        listens: Callable[[], bool] = lambda: True,
    ) -> None:
        self._store = store
        self._on_request = on_request
        self._listens = listens
        self.me = Holder()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def start(self) -> None:
        """Start the heartbeat."""
        self._thread.start()

    def taken_by(self) -> Holder | None:
        """Return the driver that has taken over the run; None if there is none.

        Raises:
            RunIsLocked: the holder is unknown.
        """
        found = self._store.read()
        return found if found is not None and found.token != self.me.token else None

    def check(self) -> None:
        """End this process if another driver has taken over the run."""
        try:
            other = self.taken_by()
        except RunIsLocked as taken:
            log.critical("%s: this driver ends", taken)
            os._exit(TAKEN_EXIT_CODE)
        if other is not None:
            log.critical("%s was taken by %s: this driver ends", self._store.name, other)
            os._exit(TAKEN_EXIT_CODE)

    def release(self) -> None:
        """Release the run, unless another driver has taken it over."""
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()
        try:
            found = self._store.read()
            if found is not None and found.token == self.me.token:
                self._store.clear()
        except RunIsLocked:
            return
        except OSError as error:  # the kernel's lock ends with this process, a lease by its age
            log.warning("lease of %s was not released: %s", self._store.name, error)

    def _run(self) -> None:
        beaten = time.monotonic()
        while not self._done.wait(self._store.poll_seconds):
            # Half a poll early rather than late, since a wait of ten seconds may end a little
            # sooner.
            is_due = time.monotonic() - beaten >= (
                self._store.beat_seconds - self._store.poll_seconds / 2
            )
            try:
                self._look_for_request()
                if is_due:
                    self._beat()
                    beaten = time.monotonic()
            except OSError as error:  # the storage may recover; if not, the driver will fail itself
                log.warning("lease of %s: %s", self._store.name, error)
            except Exception:  # without a heartbeat the run would look abandoned
                log.exception("lease of %s", self._store.name)

    def _beat(self) -> None:
        self.check()
        self.me = replace(self.me, beat=self.me.beat + 1)
        self._store.write(self.me)

    def _look_for_request(self) -> None:
        token = self._store.read_request()
        if token is None or not self._listens():
            return
        self._store.remove_request()
        if token == self.me.token:
            log.warning("asked to stop")
            self._on_request()


def _this_machine() -> str:
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - no file, a name
    return socket.gethostname()


def _start_time(pid: int) -> str | None:
    """Start time of a running process, in ticks since boot; None if there is none."""
    try:
        # The program's name, in parentheses, may contain anything; fields are counted after it,
        # proc(5).
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state == "Z" else rest[18]
