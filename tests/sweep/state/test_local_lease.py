import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sweep.errors import RunIsLocked
from sweep.state import local_lease
from sweep.state.lease import TAKEN_EXIT_CODE, Holder, LeaseWatch
from sweep.state.local_lease import LocalLease, run_lock

HOLD = """
import sys, time
from pathlib import Path
from sweep.state import local_lease as lock
lock.BEAT_SECONDS, lock.POLL_SECONDS = 0.1, 0.05
run = Path(sys.argv[1])
with lock.run_lock(run / ".lock", run / ".stop"):
    print("held", flush=True)
    try:
        sys.stdin.read()
    except KeyboardInterrupt:
        print("asked", flush=True)
"""


def stored(run: Path) -> LocalLease:
    return LocalLease(run / ".lock", run / ".stop")


@contextmanager
def driver(run: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds the run, with a quick heartbeat, until its input ends."""
    command = [sys.executable, "-c", HOLD, str(run)]
    # A parent that ignores SIGINT, as a shell's background jobs do, would pass that on.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def take(run: Path, *, unlock: bool = False) -> None:
    with run_lock(run / ".lock", run / ".stop", unlock=unlock):
        pass


def elsewhere(run: Path, **values: object) -> Holder:
    """The record of a driver on another machine, as the storage shows it."""
    holder = replace(Holder(), host="far", machine="another boot", pid=7, **values)  # type: ignore[arg-type]
    put(run, holder)
    return holder


def put(run: Path, holder: Holder) -> None:
    descriptor = os.open(run / ".lock", os.O_RDWR | os.O_CREAT)
    LocalLease(run / ".lock", run / ".stop", descriptor).write(holder)
    os.close(descriptor)


@contextmanager
def repeated(what: Callable[[int], object]) -> Iterator[None]:
    """Call ``what`` again and again, as another machine does."""
    done = threading.Event()

    def go_on() -> None:
        for count in range(1, 10_000):
            what(count)
            if done.wait(0.05):
                return

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_lease, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(local_lease, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(local_lease, "STALE_SECONDS", 0.5)


def test_a_second_process_is_refused_until_the_first_dies(tmp_path: Path) -> None:
    with driver(tmp_path) as holder:
        with pytest.raises(RunIsLocked, match=f"process {holder.pid} on .*sweep stop"):
            take(tmp_path)
        with pytest.raises(RunIsLocked, match=f"process {holder.pid}"):
            take(tmp_path, unlock=True)
        holder.kill()
        holder.wait()
        left = stored(tmp_path).read()
        assert left is not None
        assert left.pid == holder.pid
        take(tmp_path)
    assert stored(tmp_path).read() is None


def test_a_file_system_without_locks_is_guarded_by_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with driver(tmp_path) as holder:
        monkeypatch.setattr(local_lease, "_flock", lambda descriptor: None)
        with pytest.raises(RunIsLocked, match=f"process {holder.pid}"):
            take(tmp_path)
        holder.kill()
        holder.wait()
        take(tmp_path)


def test_a_process_that_only_has_the_pid_of_a_dead_driver_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_lease, "_flock", lambda descriptor: None)
    for started in (Holder().started, "1"):
        holder = replace(Holder(), started=started)
        put(tmp_path, holder)
        watched = LeaseWatch(stored(tmp_path)).holder()
        assert (watched is not None) == (started == Holder().started)


@pytest.mark.usefixtures("impatient")
def test_a_driver_elsewhere_that_shows_life_is_left_alone_even_with_unlock(tmp_path: Path) -> None:
    elsewhere(tmp_path)
    with (
        repeated(lambda count: elsewhere(tmp_path, token="far", beat=count)),
        pytest.raises(RunIsLocked, match="process 7 on far"),
    ):
        take(tmp_path, unlock=True)


@pytest.mark.usefixtures("impatient")
def test_a_silent_driver_elsewhere_is_taken_over_only_on_a_persons_word(tmp_path: Path) -> None:
    elsewhere(tmp_path)
    with pytest.raises(RunIsLocked, match=r"process 7 on far since .* with --unlock"):
        take(tmp_path)
    with run_lock(tmp_path / ".lock", tmp_path / ".stop", unlock=True):
        holder = stored(tmp_path).read()
        assert holder is not None
        assert holder.pid == os.getpid()
    take(tmp_path)


@pytest.mark.usefixtures("impatient")
def test_clocks_that_jump_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wall = time.time
    jumps = iter([1e9, -1e9] * 10_000)
    monkeypatch.setattr(time, "time", lambda: wall() + next(jumps))
    with (
        repeated(lambda count: elsewhere(tmp_path, token="far", beat=count)),
        pytest.raises(RunIsLocked, match="process 7 on far"),
    ):
        time.sleep(0.1)
        take(tmp_path, unlock=True)
    with pytest.raises(RunIsLocked, match="no sign of life"):
        take(tmp_path)


@pytest.mark.usefixtures("impatient")
def test_two_that_take_over_at_once_are_not_both_let_in(tmp_path: Path) -> None:
    elsewhere(tmp_path)
    other = replace(Holder(), host="third", machine="third", token="third")

    def overwrite(count: int) -> None:
        if (stored(tmp_path).read() or other).pid == os.getpid():
            put(tmp_path, other)

    with (
        repeated(overwrite),
        pytest.raises(RunIsLocked, match=r"was taken by process .* on third"),
        run_lock(tmp_path / ".lock", tmp_path / ".stop", unlock=True),
    ):
        pass
    assert stored(tmp_path).read() == other


def test_a_driver_whose_lease_was_taken_ends_at_once(tmp_path: Path) -> None:
    with driver(tmp_path) as process:
        taken = elsewhere(tmp_path)
        assert process.wait(timeout=600) == TAKEN_EXIT_CODE
        assert stored(tmp_path).read() == taken


def test_the_count_goes_up_while_the_driver_is_at_work(tmp_path: Path) -> None:
    with driver(tmp_path):
        deadline = time.monotonic() + 30
        while (holder := stored(tmp_path).read()) is None or holder.beat < 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_request_stops_the_driver_that_it_names_and_no_later_one(tmp_path: Path) -> None:
    with driver(tmp_path) as process:
        holder = stored(tmp_path).read()
        assert holder is not None
        stored(tmp_path).request_stop(replace(holder, token="an earlier driver"))
        deadline = time.monotonic() + 30
        while (tmp_path / ".stop").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert process.poll() is None
        stored(tmp_path).request_stop(holder)
        assert process.wait(timeout=600) == 0
        assert process.stdout is not None
        assert process.stdout.read() == "asked\n"
    assert not (tmp_path / ".stop").exists()


def test_a_request_is_never_read_in_part(tmp_path: Path) -> None:
    """The driver removes a request of another token, and would miss the rest of its own."""
    store, over = stored(tmp_path), threading.Event()
    holder = Holder("host", "machine", 1, "0", "token", "now", 0)
    seen: set[str | None] = set()

    def look() -> None:
        while not over.is_set():
            seen.add(store.read_request())

    looking = threading.Thread(target=look)
    looking.start()
    for _ in range(200):
        store.request_stop(holder)
    over.set()
    looking.join()
    assert seen <= {None, "token"}


def test_what_an_older_version_left_in_the_file_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("4711")
    take(tmp_path)
