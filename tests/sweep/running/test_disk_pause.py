"""A full disk is waited for; the disks are made up here, a real one is filled in tests/faults."""

from collections import namedtuple

import pytest

from sweep.running.disk_pause import LOW_BYTES, PAUSE_SECONDS, DiskPause

FULL = "OSError: [Errno 28] No space left on device"


class Machine:
    def __init__(self, monkeypatch, tmp_path):
        self.free, self.now, self.said = LOW_BYTES, 0.0, []
        usage = namedtuple("usage", "free")
        monkeypatch.setattr(
            "sweep.running.disk_pause.shutil.disk_usage", lambda path: usage(self.free)
        )
        self.pause = DiskPause(
            [tmp_path / "not" / "there"], self.said.append, clock=lambda: self.now
        )


@pytest.fixture
def machine(monkeypatch, tmp_path):
    return Machine(monkeypatch, tmp_path)


def test_with_room_nothing_is_held(machine):
    assert not machine.pause.holds()
    assert not machine.pause.holds_extraction()
    assert machine.said == []


def test_a_disk_that_is_seen_to_be_full_is_waited_for_as_long_as_it_is(machine):
    machine.free = 0
    machine.pause.disk_is_full("a / shard 0", FULL)
    for machine.now in (0.0, 10 * PAUSE_SECONDS):
        assert machine.pause.holds()
    machine.free = LOW_BYTES
    assert not machine.pause.holds()
    assert len(machine.said) == 2
    assert "disk full at a / shard 0 (OSError: [Errno 28] No space" in machine.said[0]


def test_a_full_disk_that_cannot_be_seen_is_tried_again_after_a_while(machine):
    machine.pause.disk_is_full("a / shard 0", FULL)
    assert machine.pause.holds()
    machine.now = PAUSE_SECONDS
    assert not machine.pause.holds()


def test_many_jobs_that_meet_a_full_disk_are_told_of_once(machine):
    for index in range(5):
        machine.pause.disk_is_full(f"a / shard {index}", FULL)
    assert len(machine.said) == 1


def test_extraction_alone_waits_while_little_is_left(machine):
    machine.free = LOW_BYTES - 1
    assert not machine.pause.holds()
    assert machine.pause.holds_extraction()
    assert machine.pause.holds_extraction()
    machine.free = LOW_BYTES
    assert not machine.pause.holds_extraction()
    assert ["waits" in machine.said[0], "resumes" in machine.said[1]] == [True, True]
    assert len(machine.said) == 2
