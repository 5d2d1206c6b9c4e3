"""One driver a run: a lock for this machine, and a lease with a heartbeat for all others.

The kernel releases the lock when its holder dies, however it dies; but not every shared file system
knows of locks on other machines. So the locked file tells who holds it, and counts up every
``BEAT_SECONDS``. Whoever finds a holder on another machine watches the count by its own clock: two
machines' clocks are never compared. A holder that is silent for ``STALE_SECONDS`` may be dead, or
cut off from the storage: only a person knows, and says so with ``--unlock``. A driver that finds
its lease taken ends at once, and has then written for at most ``BEAT_SECONDS`` since it came back.

The record is overwritten in place: NFS asks the server for a file's content when it is opened, but
may believe for a minute that a name still means the file that was there before.
"""

import errno
import fcntl
import json
import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

log = logging.getLogger(__name__)

BEAT_SECONDS = 5.0
STALE_SECONDS = 30.0
POLL_SECONDS = 0.5
"""Between two looks of a driver for a request to stop."""
TAKEN_EXIT_CODE = 2
_RECORD_BYTES = 1024
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class RunIsLocked(RuntimeError):  # noqa: N818 - a state of the run, as FileExists would be
    """Another driver works on the run."""


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
    """For people."""
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


def read_holder(path: Path) -> Holder | None:
    """Who holds a run, or did when it died; None when it was let go, or never held."""
    try:
        values = json.loads(path.read_bytes() or b"null")
        return Holder(**values) if values else None
    except (FileNotFoundError, ValueError, TypeError):
        return None  # no record as this version writes it


class LeaseWatch:
    """Tells from outside whether a driver is at work on a run, by looking again and again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: Holder | None = None
        self._changed = time.monotonic()

    def holder(self) -> Holder | None:
        """The holder, as long as it shows signs of life; None when it does not, or there is none.

        On this machine that is its process. Elsewhere it is believed for ``STALE_SECONDS`` after
        the last change that this object saw.
        """
        found = read_holder(self._path)
        if found is not None and found.is_here:
            return found if _start_time(found.pid) == found.started else None
        now = time.monotonic()
        if found != self._seen:
            self._seen, self._changed = found, now
        return found if now - self._changed < STALE_SECONDS else None


@contextmanager
def run_lock(path: Path, stop_request: Path, *, unlock: bool = False) -> Iterator[None]:
    """Hold the run's lease while the block runs.

    Args:
        path: of the lock.
        stop_request: where ``sweep stop`` asks for the end, see ``ask_to_stop``; answered with a
            SIGINT to this process.
        unlock: take over from a holder on another machine that shows no sign of life.

    Raises:
        RunIsLocked: another process holds it; the message names it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        taken_over = _claim(descriptor, path, unlock=unlock)
        stop_request.unlink(missing_ok=True)
        heart = _Heart(descriptor, path, stop_request)
        heart.start(settle=taken_over)
        try:
            yield
        finally:
            heart.stop()
    finally:
        os.close(descriptor)


def ask_to_stop(holder: Holder, stop_request: Path) -> None:
    """Ask a driver, wherever it is, to finish what is in flight and end.

    The request names the holder: it does not stop one that begins later.
    """
    stop_request.write_text(holder.token)


class _Heart:
    """The thread that shows that this driver lives, and looks for what concerns it."""

    def __init__(self, descriptor: int, path: Path, stop_request: Path) -> None:
        self._descriptor = descriptor
        self._path = path
        self._stop_request = stop_request
        self._me = Holder()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self, *, settle: bool) -> None:
        """Write the record, and go on from a thread.

        Args:
            settle: wait first as long as the one before us, should it come back, or another that
                takes over, may need to notice.

        Raises:
            RunIsLocked: another took the run.
        """
        _write(self._descriptor, self._me)
        if settle:
            time.sleep(BEAT_SECONDS + POLL_SECONDS)
            if self._taken():
                raise RunIsLocked(f"{self._path.parent} was taken by {read_holder(self._path)}")
        self._thread.start()

    def stop(self) -> None:
        """Let go of the run."""
        self._done.set()
        self._thread.join()
        if not self._taken():
            _write(self._descriptor, None)

    def _run(self) -> None:
        beaten = time.monotonic()
        while not self._done.wait(POLL_SECONDS):
            try:
                self._look_for_request()
                if time.monotonic() - beaten >= BEAT_SECONDS:
                    self._beat()
                    beaten = time.monotonic()
            except OSError as error:  # the storage may come back; if not, the driver finds out
                log.warning("heartbeat: %s", error)

    def _beat(self) -> None:
        if self._taken():
            log.critical("the run was taken by %s: this driver ends", read_holder(self._path))
            os._exit(TAKEN_EXIT_CODE)
        self._me = replace(self._me, beat=self._me.beat + 1)
        _write(self._descriptor, self._me)

    def _taken(self) -> bool:
        found = read_holder(self._path)
        return found is not None and found.token != self._me.token

    def _look_for_request(self) -> None:
        try:
            token = self._stop_request.read_text()
        except FileNotFoundError:
            return
        # A background job of a shell may begin with SIGINT ignored, until the driver listens.
        if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
            return
        self._stop_request.unlink(missing_ok=True)
        main = threading.main_thread().ident
        if token == self._me.token and main is not None:
            log.warning("asked to stop")
            signal.pthread_kill(main, signal.SIGINT)


def _claim(descriptor: int, path: Path, *, unlock: bool) -> bool:
    """Make sure that nobody else works on the run; whether it was taken over on another's word.

    Raises:
        RunIsLocked: somebody does, or may.
    """
    locked = _flock(descriptor)
    holder = read_holder(path)
    if holder is None:
        if locked is False:
            raise _locked(path, "another process")
        return False
    if holder.is_here:
        # The kernel released the lock of a dead holder; without locks its process tells.
        if locked is False or (locked is None and LeaseWatch(path).holder() is not None):
            raise _locked(path, str(holder))
        return False
    watch = LeaseWatch(path)
    while (seen := watch.holder()) is not None:
        if seen != holder:
            raise _locked(path, str(seen))
        time.sleep(POLL_SECONDS)
    if read_holder(path) is None:  # it let go while we looked
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
    """Whether the kernel gives us its lock; None where the file system has none."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return None
        raise
    return True


def _write(descriptor: int, holder: Holder | None) -> None:
    text = json.dumps(asdict(holder)) if holder else ""
    os.pwrite(descriptor, text.encode().ljust(_RECORD_BYTES - 1) + b"\n", 0)
    os.ftruncate(descriptor, _RECORD_BYTES)
    os.fsync(descriptor)


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
