"""The lease of a run: one driver at a time, wherever the run and the drivers are.

Where the lease stands is a ``LeaseStore``: a locked file (``sweep.state.local_lease``), or an
object on a store (``sweep.state.remote_lease``). Its holder writes it anew again and again, with a
count that goes up. Others watch the count by their own clocks: two machines' clocks are never
compared. Beside the lease others may leave a request to stop. A driver that finds another's lease
in place of its own ends at once.
"""

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from sweep.errors import RunIsLocked

log = logging.getLogger(__name__)

TAKEN_EXIT_CODE = 2
"""Exit code of a driver whose run was taken over."""


@dataclass(frozen=True)
class Holder:
    """The driver that holds a run, by its own account."""

    host: str = field(default_factory=socket.gethostname)
    machine: str = field(default_factory=lambda: _this_machine())
    """The booted kernel and the namespace of process ids: where ``pid`` means something."""
    pid: int = field(default_factory=os.getpid)
    started: str = field(default_factory=lambda: _start_time(os.getpid()) or "")
    """When the process began, in the kernel's ticks: tells it from another with its pid."""
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    since: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    """Human-readable."""
    beat: int = 0

    @property
    def is_here(self) -> bool:
        """On this machine."""
        return self.machine == _this_machine()

    @property
    def died_here(self) -> bool:
        """Its process was on this machine, and is gone."""
        return self.is_here and _start_time(self.pid) != self.started

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class LeaseStore(Protocol):
    """The place of a run's lease, and of requests to stop its holder."""

    name: str
    """The run, in messages."""

    @property
    def beat_seconds(self) -> float:
        """Between two signs of life."""

    @property
    def poll_seconds(self) -> float:
        """Between two looks for a request to stop; at most ``beat_seconds``."""

    @property
    def stale_seconds(self) -> float:
        """Without a sign of life, after which a driver may be dead."""

    def read(self) -> Holder | None:
        """The holder, or the one that held the run when it died; None: it was released.

        Raises:
            RunIsLocked: it is not known who holds the run.
        """

    def write(self, holder: Holder) -> None:
        """Put down the holder, or its latest count."""

    def clear(self) -> None:
        """Release the run."""

    def request_stop(self, holder: Holder) -> None:
        """Leave a request that stops this holder, and none that begins later."""

    def read_request(self) -> str | None:
        """Token of the holder that is asked to stop."""

    def remove_request(self) -> None:
        """Remove the request, if there is one."""


class LeaseWatch:
    """Finds from outside whether a driver is at work on a run, by looking again and again."""

    def __init__(self, store: LeaseStore) -> None:
        self._store = store
        self._seen: Holder | None = None
        self._changed = time.monotonic()

    def read(self) -> Holder | None:
        """The holder by the lease, whether it lives or not."""
        return self._store.read()

    def holder(self) -> Holder | None:
        """The holder, as long as it shows signs of life; None when it does not, or there is none.

        On this machine that is its process. Elsewhere it is believed for the store's
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
        """Ask this driver, and none that begins later, to finish what is in flight and end."""
        self._store.request_stop(holder)


class Lease:
    """A driver's hold of a run: a thread shows that it lives, and looks for requests to stop.

    Args:
        store: the place of the lease, which the driver has claimed.
        on_request: called, from the thread, when somebody asks this driver to stop.
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
        """Show signs of life from now on."""
        self._thread.start()

    def taken_by(self) -> Holder | None:
        """The driver that has taken the run from this one; None: nobody has.

        Raises:
            RunIsLocked: it is not known who holds the run.
        """
        found = self._store.read()
        return found if found is not None and found.token != self.me.token else None

    def check(self) -> None:
        """End this process if another driver has taken the run."""
        try:
            other = self.taken_by()
        except RunIsLocked as taken:
            log.critical("%s: this driver ends", taken)
            os._exit(TAKEN_EXIT_CODE)
        if other is not None:
            log.critical("%s was taken by %s: this driver ends", self._store.name, other)
            os._exit(TAKEN_EXIT_CODE)

    def release(self) -> None:
        """Let go of the run, unless another driver has taken it."""
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()
        with suppress(RunIsLocked):
            found = self._store.read()
            if found is not None and found.token == self.me.token:
                self._store.clear()

    def _run(self) -> None:
        beaten = time.monotonic()
        while not self._done.wait(self._store.poll_seconds):
            # Half a poll early rather than late: a wait of ten seconds may end a little sooner.
            is_due = time.monotonic() - beaten >= (
                self._store.beat_seconds - self._store.poll_seconds / 2
            )
            try:
                self._look_for_request()
                if is_due:
                    self._beat()
                    beaten = time.monotonic()
            except OSError as error:  # the storage may come back; if not, the driver finds out
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
    """When a living process began, in ticks since the machine did; None when there is none."""
    try:
        # The program's name, in parentheses, may hold anything; proc(5) counts from there.
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state == "Z" else rest[18]
