"""What is written for each outcome, in which order, and what a crash between two steps leaves."""

import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from jobs.corpus.skipped import Skipped
from jobs.extraction.shard import ShardReport
from jobs.probing.results import CellResult
from sweep.errors import REASON_LENGTH, reason
from sweep.plan.plan import LayerTask, layer_tasks, made_from
from sweep.running.recorder import Recorder
from sweep.state.events import Event, EventLog, read_events
from sweep.state.ledger import Ledger, Record, read_records
from tests.support.driven_run import small_plan, small_spec, small_table

PLAN = small_plan(small_spec(), small_table())
FILE = "a--stem--0.npz"


class Recording:
    """A recorder with the ledger and the events that it writes to."""

    def __init__(self, folder: Path) -> None:
        self.ledger_file, self.events_file = folder / "ledger.jsonl", folder / "events.jsonl"
        self.heard: list[Event] = []
        self.log = EventLog([self.heard.append])
        self.log.open(self.events_file)
        self.ledger = Ledger(self.ledger_file)
        self.recorder = Recorder(PLAN, self.ledger, self.log)

    @property
    def records(self) -> dict[str, Record]:
        records, damaged = read_records(self.ledger_file)
        assert not damaged
        return records

    @property
    def lines(self) -> int:
        return self.ledger_file.read_bytes().count(b"\n")

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Events of a kind as they stand in the file, without their times."""
        found = read_events(self.events_file)
        assert found == self.heard
        return [
            {key: value for key, value in event.items() if key not in ("time", "kind")}
            for event in found
            if event["kind"] == kind
        ]


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    one = Recording(tmp_path)
    with one.log, one.ledger:
        yield one


def layer(model: str, name: str) -> LayerTask:
    [task] = [t for t in layer_tasks(PLAN) if (t.model.name, t.layer.name) == (model, name)]
    return task


def done(cell_id: str, r2: float = 0.5, **changes: Any) -> CellResult:
    values = {
        "status": "done", "error": None, "n_train": 24, "n_test": 12,
        "scores": {"r2": r2, "pearson": None}, "details": {"alpha": 0.1}, "seconds": 0.25,
    }  # fmt: skip
    return CellResult(cell_id, **{**values, **changes})


def failed(cell_id: str, error: str) -> CellResult:
    return CellResult(cell_id, "failed", error, 24, 12, {}, {}, 0.5)


def all_done(task: LayerTask) -> list[CellResult]:
    return [done(cell.cell_id, r2=n / 10) for n, cell in enumerate(task.cells)]


# What is written


def test_every_cell_of_a_layer_is_recorded_with_its_place_scores_and_ingredients(
    recording: Recording,
) -> None:
    task = layer("b", "block")
    recording.recorder.layers([(task, all_done(task), FILE)])
    assert list(recording.records) == [cell.cell_id for cell in task.cells]
    for n, cell in enumerate(task.cells):
        assert recording.records[cell.cell_id] == Record(
            cell_id=cell.cell_id, status="done", error=None,
            model="b", layer="block", layer_index=1, target=cell.target, probe=cell.probe,
            seed=cell.seed, fold=cell.fold, control=cell.control, n_train=24, n_test=12,
            scores={"r2": n / 10, "pearson": None}, details={"alpha": 0.1}, seconds=0.25,
            predictions=FILE, made_from=made_from(PLAN, task.model, cell.target, cell.probe),
        )  # fmt: skip


def test_results_belong_to_cells_by_id_and_not_by_order(recording: Recording) -> None:
    task = layer("a", "stem")
    recording.recorder.layers([(task, all_done(task)[::-1], FILE)])
    scores = [recording.records[cell.cell_id].scores["r2"] for cell in task.cells]
    assert scores == [0.0, 0.1, 0.2, 0.3]


def test_a_layer_is_told_of_with_its_counts_its_time_and_its_best(recording: Recording) -> None:
    task = layer("a", "stem")
    # The controls are given the highest scores, which are not to be shown as anybody's best.
    results = [
        done(cell.cell_id, r2={"ridge": 0.2, "stiff": 0.6}[cell.probe])
        if cell.control == "none"
        else done(cell.cell_id, r2=0.9)
        for cell in task.cells
    ]
    recording.recorder.layers([(task, results, FILE)])
    assert recording.events("cells_done") == [
        {
            "model": "a", "layer": "stem", "layer_index": 0, "cells": 4, "failed": 0,
            "seconds": 1.0, "best": {"probe": "stiff", "target": "cps", "r2": 0.6},
            "best_accuracy": None,
            "scores": {"cps": 0.6},
        }
    ]  # fmt: skip
    assert recording.recorder.scored == 4
    assert not recording.recorder.any_failed


def test_the_best_is_that_of_the_mean_over_folds(tmp_path: Path) -> None:
    plan = small_plan(
        small_spec(protocol={"kind": "kfold", "folds": 2}, controls=[]), small_table()
    )
    task = next(iter(layer_tasks(plan)))
    scores = {("ridge", 0): 0.9, ("ridge", 1): 0.1, ("stiff", 0): 0.6, ("stiff", 1): 0.5}
    heard: list[Event] = []
    with EventLog([heard.append]) as events, Ledger(tmp_path / "ledger") as ledger:
        results = [done(cell.cell_id, r2=scores[cell.probe, cell.fold]) for cell in task.cells]
        Recorder(plan, ledger, events).layers([(task, results, FILE)])
    assert heard[0]["best"] == {"probe": "stiff", "target": "cps", "r2": fmean([0.6, 0.5])}


def test_the_best_of_classes_is_their_accuracy(recording: Recording) -> None:
    task = layer("a", "stem")
    results = [done(cell.cell_id, scores={"accuracy": 0.75}) for cell in task.cells]
    recording.recorder.layers([(task, results, FILE)])
    [event] = recording.events("cells_done")
    assert event["best"] is None
    assert event["best_accuracy"] == {"probe": "ridge", "target": "cps", "accuracy": 0.75}


def test_cells_that_failed_within_a_layer_are_recorded_beside_those_that_did_not(
    recording: Recording,
) -> None:
    task = layer("a", "stem")
    first, second, third, fourth = [cell.cell_id for cell in task.cells]
    results = [failed(first, "diverged"), done(second), failed(third, "diverged"),
               failed(fourth, "no target")]  # fmt: skip
    recording.recorder.layers([(task, results, FILE)])
    records = recording.records
    assert [records[one].status for one in (first, second, third, fourth)] == [
        "failed", "done", "failed", "failed",
    ]  # fmt: skip
    assert [records[one].predictions for one in (first, second)] == ["", FILE]
    assert records[first].error == "diverged"
    assert [(e["where"], e["error"], e["cells"]) for e in recording.events("failure")] == [
        ("stem", "diverged", 2),
        ("stem", "no target", 1),
    ]
    [event] = recording.events("cells_done")
    assert (event["cells"], event["failed"]) == (4, 3)
    assert recording.recorder.any_failed


def test_a_layer_that_could_not_be_probed_fails_in_every_cell(recording: Recording) -> None:
    task = layer("a", "stem")
    recording.recorder.failed_task(task, "ValueError: singular")
    assert len(recording.records) == 4
    for record in recording.records.values():
        assert (record.status, record.error) == ("failed", "ValueError: singular")
        assert (record.scores, record.predictions, record.n_train) == ({}, "", 0)
        assert record.made_from
    [failure] = recording.events("failure")
    assert failure == {
        "stage": "probe", "model": "a", "where": "stem", "error": "ValueError: singular",
        "cells": 4,
    }  # fmt: skip
    [event] = recording.events("cells_done")
    assert (event["failed"], event["best"], event["seconds"]) == (4, None, 0.0)


def test_what_a_resumed_run_says_of_finished_layers_is_what_was_said_when_they_finished(
    recording: Recording,
) -> None:
    for name in ("stem", "block"):
        recording.recorder.layers([(layer("a", name), all_done(layer("a", name)), FILE)])
    stale = replace(next(iter(recording.records.values())), cell_id="0" * 16, scores={"r2": 0.99})
    recording.recorder.earlier([*recording.records.values(), stale])
    [event] = recording.events("scored_earlier")
    keys = ("layer", "layer_index", "best", "best_accuracy", "scores")
    said = [{key: one[key] for key in keys} for one in recording.events("cells_done")]
    assert event == {"model": "a", "layers": said}


def test_all_else_that_happens_is_an_event_of_its_kind_and_no_record(recording: Recording) -> None:
    recorder = recording.recorder
    skipped = (Skipped("u1", "/audio/u1.flac", "truncated"),)
    report = ShardReport(0, 11, skipped, 2.5, 100, 90, 4096, forward_seconds=1.5, copied=4)
    recorder.shard("a", 3, report)
    recorder.compared(0.5, "similarity")
    recorder.warning("mind the disk")
    recorder.retry("a / stem", 2, "RuntimeError: died")
    assert not recorder.any_failed
    recorder.failure("extract", "a", "shard 3", "OSError: gone")
    assert recorder.any_failed
    assert recording.events("shard_done") == [
        {"model": "a", "shard": 3, "utterances": 11, "skipped": 1, "copied": 4, "seconds": 2.5,
         "forward_seconds": 1.5}
    ]  # fmt: skip
    assert recording.events("compared") == [{"seconds": 0.5, "analysis": "similarity"}]
    assert recording.events("warning") == [{"message": "mind the disk"}]
    assert recording.events("retry") == [
        {"where": "a / stem", "attempt": 2, "error": "RuntimeError: died"}
    ]
    assert recording.events("failure") == [
        {"stage": "extract", "model": "a", "where": "shard 3", "error": "OSError: gone"}
    ]
    assert (recorder.shards, recorder.scored, recording.lines) == (1, 0, 0)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("first line\nsecond line"), "ValueError: first line"),
        (ValueError(), "ValueError"),
        (KeyError("name"), "KeyError: 'name'"),
        (OSError(errno.EIO, "Input/output error"), "OSError: [Errno 5] Input/output error"),
        (None, "NoneType: None"),
    ],
)
def test_an_error_is_one_line_in_a_table(error: BaseException | None, line: str) -> None:
    assert reason(error) == line


def test_a_long_error_is_shortened_and_a_secret_hidden() -> None:
    shortened = reason(ValueError("word " * 1000))
    assert len(shortened) <= len("ValueError: ") + REASON_LENGTH
    assert shortened.endswith(" …")
    assert "hunter2" not in reason(ValueError("cannot log in with password=hunter2"))


# In which order, and once


def test_layers_that_came_back_together_are_on_the_disk_with_one_sync(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    monkeypatch.setattr("sweep.state.ledger.os.fsync", synced.append)
    tasks = [layer("a", "stem"), layer("a", "block"), layer("b", "stem")]
    recording.recorder.layers([(task, all_done(task), FILE) for task in tasks])
    assert len(synced) == 1
    assert recording.lines == 12
    assert [event["layer"] for event in recording.events("cells_done")] == ["stem", "block", "stem"]
    assert recording.recorder.scored == 12


def test_cells_are_told_of_when_they_are_on_the_disk(recording: Recording) -> None:
    on_disk = []
    recording.log.listeners.append(lambda event: on_disk.append((event["kind"], recording.lines)))
    task = layer("a", "stem")
    recording.recorder.layers([(task, all_done(task), FILE)])
    recording.recorder.failed_task(layer("a", "block"), "broken")
    assert on_disk == [("cells_done", 4), ("failure", 8), ("cells_done", 8)]


def test_what_found_the_disk_full_was_not_told_of_and_can_be_recorded_again(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    task = layer("a", "stem")
    scored = [(task, all_done(task), FILE)]
    with monkeypatch.context() as patch:
        patch.setattr("sweep.state.ledger.os.fsync", no_room)
        with pytest.raises(OSError, match="No space left"):
            recording.recorder.layers(scored)
    assert (recording.lines, recording.heard, recording.recorder.scored) == (0, [], 0)
    assert dict(recording.ledger.records) == {}
    recording.recorder.layers(scored)
    assert recording.lines == 4
    assert len(recording.events("cells_done")) == 1


def test_a_layer_that_is_recorded_twice_is_read_once_and_the_last_counts(
    recording: Recording,
) -> None:
    task = layer("a", "stem")
    recording.recorder.failed_task(task, "broken")
    for _ in range(2):
        recording.recorder.layers([(task, all_done(task), FILE)])
    assert len(recording.records) == 4
    assert {record.status for record in recording.records.values()} == {"done"}
    assert {one.status for one in recording.ledger.records.values()} == {"done"}
