import json
from datetime import UTC, datetime

import numpy as np
import pytest

from sweep.state.events import EventLog, progress_events, read_events


def test_events_are_read_back_as_they_were_emitted(tmp_path):
    path = tmp_path / "run" / "events.jsonl"
    with EventLog() as log:
        log.open(path)
        first = log.emit("warning", message="silent: “0084-é”\nand a second line")
        second = log.emit("stage_finished", stage="extract", seconds=1 / 3)
    assert read_events(path) == [first, second]
    assert first["kind"] == "warning"
    assert second["seconds"] == 1 / 3


def test_time_is_utc_and_does_not_run_backwards():
    before = datetime.now(UTC)
    with EventLog() as log:
        times = [datetime.fromisoformat(log.emit("warning", message="")["time"]) for _ in range(5)]
    assert times == sorted(times)
    assert all(time.tzinfo is not None for time in times)
    assert abs((times[0] - before).total_seconds()) < 60


def test_progress_is_told_once_a_second_and_not_at_all_of_what_is_quick(monkeypatch):
    now = 100.0
    monkeypatch.setattr("sweep.state.events.time.monotonic", lambda: now)
    with EventLog() as log:
        heard = []
        log.listeners.append(heard.append)
        tell = progress_events(log, "prepare")
        for done in range(31):
            now = 100 + done / 10
            tell("reading files", done, 30)
    assert [event["done"] for event in heard] == [10, 20, 30]
    fields = {key: value for key, value in heard[0].items() if key != "time"}
    assert fields == {
        "kind": "stage_progress", "stage": "prepare", "what": "reading files", "done": 10,
        "total": 30,
    }  # fmt: skip


def test_a_line_can_be_read_by_others_as_soon_as_emit_returns(tmp_path):
    path = tmp_path / "events.jsonl"
    with EventLog() as log:
        log.open(path)
        event = log.emit("warning", message="now")
        assert read_events(path) == [event]


def test_events_before_the_file_is_known_are_held_back_and_come_first(tmp_path):
    path, heard = tmp_path / "events.jsonl", []
    with EventLog([heard.append]) as log:
        before = log.emit("stage_started", stage="prepare")
        assert heard == [before]
        log.open(path)
        after = log.emit("stage_finished", stage="prepare", seconds=0.5)
    assert read_events(path) == [before, after]


def test_a_run_that_never_had_a_folder_writes_nothing(tmp_path):
    with EventLog() as log:
        log.emit("stage_started", stage="prepare")
    assert list(tmp_path.iterdir()) == []


def test_every_listener_is_given_every_event():
    one, two = [], []
    with EventLog([one.append]) as log:
        a = log.emit("warning", message="a")
        log.listeners.append(two.append)
        b = log.emit("warning", message="b")
    assert one == [a, b]
    assert two == [b]


def test_reopening_appends(tmp_path):
    path = tmp_path / "events.jsonl"
    for number in range(3):
        with EventLog() as log:
            log.open(path)
            log.emit("warning", message=str(number))
    assert [event["message"] for event in read_events(path)] == ["0", "1", "2"]


@pytest.mark.parametrize("torn", ['{"ti', "x", '{"time": "2024-01-01T00:00:00Z", "kind": "w'])
def test_a_torn_last_line_is_left_out_and_cut_off_on_reopening(tmp_path, torn):
    path = tmp_path / "events.jsonl"
    with EventLog() as log:
        log.open(path)
        kept = log.emit("warning", message="kept")
    with path.open("a") as file:
        file.write(torn)
    assert read_events(path) == [kept]
    with EventLog() as log:
        log.open(path)
        after = log.emit("warning", message="after")
    assert read_events(path) == [kept, after]


@pytest.mark.parametrize("broken", ["{broken", "[1, 2]", '{"kind": "warning"}', ""])
def test_a_broken_line_that_is_not_the_last_is_an_error_with_its_place(tmp_path, broken):
    path = tmp_path / "events.jsonl"
    good = json.dumps({"time": "2024-01-01T00:00:00+00:00", "kind": "warning", "message": ""})
    path.write_text(f"{good}\n{broken}\n{good}\n")
    with pytest.raises(ValueError, match=r"events\.jsonl:2: expected"):
        read_events(path)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_events(tmp_path / "events.jsonl")


def test_what_is_not_json_is_refused_and_leaves_no_line(tmp_path):
    path = tmp_path / "events.jsonl"
    with EventLog() as log:
        log.open(path)
        with pytest.raises(ValueError, match="JSON compliant"):
            log.emit("cells_done", best={"r2": float("nan")})
        with pytest.raises(TypeError, match="int64"):
            log.emit("cells_done", cells=np.int64(3))
    assert read_events(path) == []


def test_a_listener_that_fails_is_removed_and_ends_nothing(tmp_path, caplog):
    def lost(event):
        raise OSError("the terminal is gone")

    heard = []
    with EventLog([lost, heard.append]) as log:
        log.open(tmp_path / "events.jsonl")
        for message in "abc":
            log.emit("warning", message=message)
    assert [event["message"] for event in heard] == ["a", "b", "c"]
    assert len(read_events(tmp_path / "events.jsonl")) == 3
    assert "the terminal is gone" in caplog.text
