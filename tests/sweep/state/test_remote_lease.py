"""Who drives a run on an object store, and how it is stopped from elsewhere; a store in memory."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from jobs.storage.location import RemotePath
from jobs.storage.object_store import exists, list_files, write_text
from sweep.errors import RunIsLocked
from sweep.state import control, remote_lease
from sweep.state.control import DriverLease, stop_run
from sweep.state.lease import Holder, LeaseWatch
from sweep.state.local_lease import run_lock
from sweep.state.mirror import mirrored
from sweep.state.remote_lease import LEASE, STOP_REQUEST, RemoteLease, StoredLease
from sweep.state.run_folder import RunFolder, run_folder


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RemotePath:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEP_NODE_CACHE", str(tmp_path / "near"))
    return RemotePath(f"memory://{uuid.uuid4().hex}/runs/demo")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_lease, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(remote_lease, "STALE_SECONDS", 0.5)
    monkeypatch.setattr(remote_lease, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(control, "REMOTE_POLL_SECONDS", 0.02)


@pytest.fixture
def held(remote: RemotePath, quick: None) -> Iterator[list[str]]:
    """What a driver that holds the run was told."""
    told: list[str] = []
    lease = RemoteLease(remote, lambda: told.append("stop"))
    lease.claim(unlock=False)
    lease.start()
    yield told
    lease.release()


def wait_for(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def put_lease(remote: RemotePath, **values: object) -> Holder:
    holder = Holder(**{"host": "elsewhere", "machine": "another", "pid": 7, **values})
    write_text(remote / LEASE, json.dumps(asdict(holder)))
    return holder


def beat(remote: RemotePath) -> int:
    holder = StoredLease(remote).read()
    assert holder is not None
    return holder.beat


def test_a_driver_shows_signs_of_life_until_it_lets_go(remote: RemotePath, held: list[str]) -> None:
    wait_for(lambda: beat(remote) >= 3)
    assert LeaseWatch(StoredLease(remote)).holder() is not None


def test_what_is_held_is_gone_after_the_release(remote: RemotePath, quick: None) -> None:
    lease = RemoteLease(remote, lambda: None)
    lease.claim(unlock=False)
    lease.start()
    lease.release()
    assert list_files(remote) == {}
    assert LeaseWatch(StoredLease(remote)).holder() is None


def test_a_driver_elsewhere_is_believed_while_its_count_goes_up(
    remote: RemotePath, quick: None
) -> None:
    holder = put_lease(remote)
    watch = LeaseWatch(StoredLease(remote))
    assert watch.holder() == holder
    time.sleep(0.3)
    moved = put_lease(remote, token=holder.token, beat=1)
    time.sleep(0.3)
    assert watch.holder() == moved
    wait_for(lambda: watch.holder() is None)
    assert watch.read() == moved


def test_a_driver_that_died_on_this_machine_is_known_at_once(remote: RemotePath) -> None:
    here = Holder()
    put_lease(remote, machine=here.machine, pid=here.pid, started="another time")
    assert LeaseWatch(StoredLease(remote)).holder() is None


def test_a_request_reaches_the_driver_that_it_names_and_no_other(
    remote: RemotePath, held: list[str]
) -> None:
    watch = LeaseWatch(StoredLease(remote))
    watch.ask_to_stop(Holder())  # of a driver before
    wait_for(lambda: not exists(remote / STOP_REQUEST))
    assert held == []
    holder = watch.holder()
    assert holder is not None
    watch.ask_to_stop(holder)
    wait_for(lambda: held)
    assert held == ["stop"]


def test_a_request_to_a_driver_before_is_removed_with_the_claim(remote: RemotePath) -> None:
    LeaseWatch(StoredLease(remote)).ask_to_stop(Holder())
    lease = RemoteLease(remote, lambda: None)
    lease.claim(unlock=False)
    assert not exists(remote / STOP_REQUEST)
    lease.release()


def test_stop_waits_for_the_driver_and_says_how_to_go_on(remote: RemotePath, quick: None) -> None:
    told: list[str] = []
    lease = RemoteLease(remote, lambda: told.append("stop"))
    lease.claim(unlock=False)
    lease.start()
    folder, said = run_folder(remote), []

    def say(message: str) -> None:
        said.append(message)
        if message.startswith("asked"):
            wait_for(lambda: told)
            write_text(
                remote / "provenance.json",
                json.dumps({"runs": [{"arguments": ["run", "x.yaml", "--out", str(remote)]}]}),
            )
            lease.release()

    assert stop_run(folder, say)
    assert said[1] == f"stopped; resume with: sweep run x.yaml --out {remote}"
    assert stop_run(folder, say)
    assert said[2] == f"{remote} is not running"


def test_a_driver_that_is_dead_is_not_waited_for_long(remote: RemotePath, quick: None) -> None:
    put_lease(remote)
    said: list[str] = []
    assert stop_run(run_folder(remote), said.append)
    assert "process 7 on elsewhere shows no sign of life any more" in said[-1]


def test_of_a_run_that_is_driven_from_here_the_lock_is_asked(remote: RemotePath) -> None:
    folder = run_folder(remote)
    assert DriverLease(folder).is_remote
    with run_lock(folder.lock, folder.stop_request):
        assert not DriverLease(folder).is_remote
    assert not DriverLease(RunFolder(folder.root)).is_remote


def test_a_request_is_passed_on_to_the_drivers_own_heart(
    remote: RemotePath, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run_folder(remote)
    with (
        pytest.raises(KeyboardInterrupt),
        run_lock(folder.lock, folder.stop_request),
        mirrored(folder, unlock=False),
    ):
        watch = LeaseWatch(StoredLease(remote))
        holder = watch.holder()
        assert holder is not None
        watch.ask_to_stop(holder)
        time.sleep(20)
    assert list_files(remote) == {}


def test_a_driver_that_shows_signs_of_life_is_not_thrown_out_whatever_is_said(
    remote: RemotePath, quick: None
) -> None:
    holder = put_lease(remote)
    done = threading.Event()

    def live() -> None:
        for n in range(1, 1000):
            if done.wait(0.1):
                return
            put_lease(remote, token=holder.token, beat=n)

    thread = threading.Thread(target=live)
    thread.start()
    with pytest.raises(RunIsLocked, match="being worked on by process 7 on elsewhere"):
        RemoteLease(remote, lambda: None).claim(unlock=True)
    done.set()
    thread.join()
    found = StoredLease(remote).read()
    assert found is not None and found.token == holder.token


def test_a_driver_that_lives_on_this_machine_is_not_thrown_out(
    remote: RemotePath, quick: None, held: list[str]
) -> None:
    with pytest.raises(RunIsLocked, match="being worked on"):
        RemoteLease(remote, lambda: None).claim(unlock=True)


def test_a_silent_driver_is_followed_when_told_so(remote: RemotePath, quick: None) -> None:
    put_lease(remote)
    lease = RemoteLease(remote, lambda: None)
    with pytest.raises(RunIsLocked, match="--unlock"):
        lease.claim(unlock=False)
    lease.claim(unlock=True)
    found = StoredLease(remote).read()
    assert found is not None and found.is_here
    lease.release()
    assert not exists(remote / LEASE)


def test_a_driver_whose_run_was_taken_leaves_the_others_lease_where_it_is(
    remote: RemotePath, quick: None
) -> None:
    lease = RemoteLease(remote, lambda: None)
    lease.claim(unlock=False)
    other = put_lease(remote)
    lease.release()
    assert StoredLease(remote).read() == other


@pytest.mark.parametrize("text", ['{"host": "x", "of_another_version": 1}', "", "[1]"])
def test_a_lease_of_another_version_is_said_and_left(
    remote: RemotePath, quick: None, text: str
) -> None:
    write_text(remote / LEASE, text)
    with pytest.raises(RunIsLocked, match=r"\.lease is not as this version writes it.*delete it"):
        RemoteLease(remote, lambda: None).claim(unlock=True)
    assert exists(remote / LEASE)


def test_a_heart_whose_request_goes_wrong_beats_on_and_says_it(
    remote: RemotePath, quick: None, caplog: pytest.LogCaptureFixture
) -> None:
    def wrong() -> None:
        raise RuntimeError("no way to stop")

    lease = RemoteLease(remote, wrong)
    lease.claim(unlock=False)
    lease.start()
    holder = StoredLease(remote).read()
    assert holder is not None
    LeaseWatch(StoredLease(remote)).ask_to_stop(holder)
    wait_for(lambda: "no way to stop" in caplog.text)
    before = beat(remote)
    wait_for(lambda: beat(remote) > before)
    lease.release()
