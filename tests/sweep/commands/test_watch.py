"""``watch``, ``stop`` and ``retry``, as a user calls them, beside a driver in another process."""

import json
import os
import signal
import subprocess
import sys
import uuid
from dataclasses import asdict
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from jobs.storage.location import RemotePath
from jobs.storage.object_store import remove, write_text
from sweep.commands import watch_run as watch
from sweep.commands.app import app
from sweep.commands.submit_job import leave_note
from sweep.commands.watch_run import EventTail, RemoteTail, watch_run
from sweep.state import control
from sweep.state.events import Event, EventLog
from sweep.state.lease import Holder
from sweep.state.local_lease import run_lock
from sweep.state.remote_lease import LEASE
from sweep.state.run_folder import RunFolder, run_folder
from tests.conftest import Values
from tests.faults.sweeps import Sweep, held, wait_for
from tests.support.no_figures import draw_nothing


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RemotePath:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEP_NODE_CACHE", str(tmp_path / "near"))
    return RemotePath(f"memory://{uuid.uuid4().hex}/runs/demo")


@pytest.fixture
def small(spec_values: Values, cache: Path, tmp_path: Path) -> Sweep:
    """A sweep of one model that takes a driver some seconds."""
    spec_values["models"] = spec_values["models"][:1]
    spec_values["layers"] = ["stem", "layer1.*", "pooling", -1]
    spec_values["probes"] = [{"kind": "ridge"}]
    spec_values["controls"], spec_values["baselines"] = [], ["mean"]
    return Sweep.make(spec_values, cache, tmp_path / "small")


def cli(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "sweep", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


def kinds(shown: list[Event]) -> list[str]:
    return [event["kind"] for event in shown]


def test_a_tail_gives_whole_lines_once_and_begins_anew_in_another_file(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    tail = EventTail(path)
    assert tail.read() == []
    with EventLog() as events:
        events.open(path)
        events.emit("warning", message="line\u2028separator")
        assert [event["message"] for event in tail.read()] == ["line\u2028separator"]
        with path.open("a") as torn:
            torn.write('{"time": "2026-01-01T00:00:00+00:00", "ki')
        assert tail.read() == []
        with path.open("a") as rest:
            rest.write('nd": "warning", "message": "whole"}\n')
        assert [event["message"] for event in tail.read()] == ["whole"]
    path.unlink()  # --fresh
    with EventLog() as events:
        events.open(path)
        events.emit("warning", message="anew")
    assert [event["message"] for event in tail.read()] == ["anew"]


def test_what_is_no_event_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"time": "2026-01-01T00:00:00+00:00", "kind": "x"}\nno event\n')
    with pytest.raises(ValueError, match=r"events\.jsonl:2: expected a JSON object"):
        EventTail(path).read()


def test_a_tail_of_an_object_reads_what_was_added_and_begins_anew_with_fresh(
    remote: RemotePath,
) -> None:
    place = remote / "events.jsonl"
    tail = RemoteTail(place)
    assert tail.read() == []
    lines = [
        json.dumps({"time": f"2026-01-01T00:00:0{n}+00:00", "kind": "warning", "message": "é" * n})
        for n in range(4)
    ]

    def read(text: str) -> list[int]:
        write_text(place, text)
        return [len(event["message"]) for event in tail.read()]

    assert read(f"{lines[0]}\n{lines[1][:20]}") == [0]
    assert tail.read() == []
    assert read("".join(f"{line}\n" for line in lines[:2])) == [1]
    assert read("".join(f"{line}\n" for line in lines)) == [2, 3]
    assert read(f"{lines[3]}\n") == [3]
    longer = "".join(f"{line}\n" for line in [*lines, *lines, *lines])
    assert read(longer) == [0, 1, 2, 3] * 3
    with pytest.raises(ValueError, match=r"events\.jsonl:13: expected a JSON object"):
        read(f"{longer}no event\n")


def test_a_run_on_an_object_store_is_watched_from_there(
    remote: RemotePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "REMOTE_POLL_SECONDS", 0.01)
    monkeypatch.setattr(watch, "GRACE_SECONDS", 0.05)
    monkeypatch.setattr("sweep.state.remote_lease.STALE_SECONDS", 0.1)
    holder = Holder(host="elsewhere", machine="another", pid=7)
    write_text(remote / LEASE, json.dumps(asdict(holder)))
    started = {"time": "2026-01-01T00:00:00+00:00", "kind": "stage_started", "stage": "prepare"}
    finished = {**started, "kind": "run_finished", "status": "interrupted", "done": 1, "failed": 0}
    write_text(remote / "events.jsonl", json.dumps(started) + "\n")
    shown: list[Event] = []
    said: list[str] = []
    assert watch_run(run_folder(remote), shown.append, said.append) == "died"
    assert kinds(shown) == ["stage_started"]
    assert f"{remote} is not finished, and its driver, process 7 on elsewhere, died" in said[0]

    both = f"{json.dumps(started)}\n{json.dumps(finished)}\n"
    write_text(remote / "events.jsonl", both)
    remove(remote / LEASE)
    arguments = {"runs": [{"arguments": ["run", "x.yaml", "--out", str(remote)]}]}
    write_text(remote / "provenance.json", json.dumps(arguments))
    assert watch_run(run_folder(remote), shown.append, said.append) == "interrupted"
    assert "nobody drives it now" in said[1]
    assert said[2:] == [f"resume with: sweep run x.yaml --out {remote}"]


@pytest.mark.parametrize("status", ["done", "failed", "interrupted"])
def test_a_run_that_is_over_is_shown_whole_and_ends_with_its_status(
    folder: RunFolder, status: str
) -> None:
    with EventLog() as events:
        events.open(folder.events)
        events.emit("stage_started", stage="prepare")
        events.emit("run_finished", status=status, done=1, failed=0, seconds=1.0)
    shown: list[Event] = []
    said: list[str] = []
    assert watch_run(folder, shown.append, said.append) == status
    assert kinds(shown) == ["stage_started", "run_finished"]
    assert said[0] == f"this is the run that ended at {shown[1]['time']}; nobody drives it now"
    assert said[1:] == (["resume with the same command"] if status == "interrupted" else [])


def end(events: EventLog, folder: RunFolder, status: str) -> None:
    events.open(folder.events)
    events.emit("stage_started", stage="prepare")
    events.emit("run_finished", status=status, done=1, failed=0, seconds=1.0)


def test_after_a_submit_the_end_of_the_run_before_is_not_taken_for_its_own(
    folder: RunFolder,
) -> None:
    with EventLog() as events:
        end(events, folder, "interrupted")
    leave_note(folder.root, "raysubmit_7", folder.events.stat().st_size)
    shown: list[Event] = []
    said: list[str] = []

    def begin(message: str) -> None:
        said.append(message)
        with run_lock(folder.lock, folder.stop_request), EventLog() as events:
            end(events, folder, "done")

    assert watch_run(folder, shown.append, begin) == "done"
    assert kinds(shown) == ["stage_started", "run_finished"] * 2
    assert "the run that ended at" in said[0] and "waiting for raysubmit_7" in said[0]
    # The note is of a run that is over by now.
    assert watch_run(folder, shown.append, said.append) == "done"
    assert "nobody drives it now" in said[1]


def test_a_submitted_run_that_never_begins_is_not_waited_for_for_ever(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SUBMIT_SECONDS", 0.2)
    with EventLog() as events:
        end(events, folder, "failed")
    leave_note(folder.root, "raysubmit_7", folder.events.stat().st_size)
    said: list[str] = []
    assert watch_run(folder, lambda event: None, said.append) == "failed"
    assert "raysubmit_7" in said[0]
    assert "nobody drives it now" in said[1]


def test_a_driver_that_let_go_without_an_end_is_noticed(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "GRACE_SECONDS", 0.1)
    with run_lock(folder.lock, folder.stop_request), EventLog() as events:
        events.open(folder.events)
        events.emit("stage_started", stage="prepare")
    folder.provenance.write_text(
        json.dumps({"runs": [{"arguments": ["run", "a b.yaml", "--fresh", "--unlock"]}]})
    )
    said: list[str] = []
    assert watch_run(folder, lambda event: None, said.append) == "died"
    assert "its driver ended; resume with: sweep run 'a b.yaml'" in said[0]


def test_watch_waits_for_a_run_follows_it_to_its_end_and_tells_of_its_death(small: Sweep) -> None:
    command = [sys.executable, "-m", "sweep", "watch", str(small.folder.root), "--display", "json"]
    watching = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert watching.stderr is not None
    assert watching.stderr.readline() == f"waiting for {small.folder.root} to begin\n"
    never = small.folder.root / "never"
    with small.driver("--inline", before=held(until=never)) as process:
        wait_for(small.ledger, process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        out, err = watching.communicate(timeout=600)
    assert watching.returncode == 1
    assert f"its driver, process {process.pid} on " in err
    assert f"resume with: sweep run {small.spec} --inline" in err
    assert [json.loads(line) for line in out.splitlines()] == [
        json.loads(line) for line in small.folder.events.read_text().split("\n")[:-1]
    ]
    assert small.here().status == "done"
    after = cli("watch", str(small.folder.root))
    assert after.returncode == 0
    assert "tiny: done after" in after.stdout


def test_stop_drains_the_driver_and_says_how_to_go_on(small: Sweep) -> None:
    go_on = small.spec.parent / "go-on"
    with small.driver("--inline", before=held(until=go_on)) as process:
        wait_for(small.ledger, process)
        command = [sys.executable, "-m", "sweep", "stop", str(small.folder.root)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as asking:
            wait_for(lambda: "asked to stop" in small.folder.driver_log.read_text())
            go_on.touch()
            out, err = process.communicate(timeout=600)
            _, said = asking.communicate(timeout=600)
    assert asking.returncode == 0
    assert f"asked process {process.pid} on " in said
    assert f"stopped; resume with: sweep run {small.spec} --inline" in said
    assert process.returncode == 130
    assert "interrupted" in out
    assert "stopped; resume with: sweep run" in err
    finished = len(small.ledger())
    assert small.here().ran_cells == len(small.ledger()) - finished
    again = cli("stop", str(small.folder.root))
    assert again.returncode == 0
    assert again.stderr == f"{small.folder.root} is not running\n"


def test_a_driver_that_does_not_stop_is_named(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "STOP_SECONDS", 0.3)
    said: list[str] = []
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_IGN)
    with run_lock(folder.lock, folder.stop_request):
        assert not control.stop_run(folder, said.append)
    assert said[-1].startswith(f"process {os.getpid()} on ")
    assert "has not stopped within" in said[-1]


def test_retry_runs_the_failed_cells_and_nothing_else(
    small: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_nothing(monkeypatch)

    def retry() -> Result:
        return CliRunner().invoke(
            app, ["retry", str(small.folder.root), "--inline", "--display", "none"]
        )

    assert small.here(only="a/stem/*").ran_cells == 1
    said = retry()
    assert said.exit_code == 0
    assert "no cell failed" in said.output
    [line] = small.ledger()
    failed = json.loads(line) | {"status": "failed", "error": "OSError: gone", "scores": {}}
    del failed["sum"]  # as a version wrote it that knew no checksums
    small.folder.ledger.write_text(json.dumps(failed) + "\n")
    again = retry()
    assert again.exit_code == 0, again.output
    assert "ran 1 cell and extracted 0 shards" in again.output
    *_, retried = (json.loads(line) for line in small.ledger())
    assert len(small.ledger()) == 2
    assert (retried["cell_id"], retried["status"]) == (failed["cell_id"], "done")
