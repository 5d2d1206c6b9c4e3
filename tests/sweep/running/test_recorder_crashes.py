"""What a finished cell leaves on disk before it counts, and what a driver that is killed between
two steps leaves to the next one."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from jobs.probing.job import probe_layer
from jobs.probing.saved_probes import card_path, load_probe
from jobs.protocol.predictions import read_predictions
from sweep.state.events import Event
from sweep.state.ledger import Ledger, Record
from tests.support.driven_run import EVERYTHING, DrivenRun, extractions, probings, undisturbed
from tests.support.fake_executor import LOST_WORKER, MISTAKE


class Killed(BaseException):
    """The driver's process ends here."""


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The scores of a run that nothing happened to."""
    return undisturbed(tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture
def saving(tmp_path: Path) -> DrivenRun:
    """A run that keeps its probes."""
    return DrivenRun.make(tmp_path / "run", save_probes=True)


def has_files(run: DrivenRun, record: Record) -> bool:
    """Whether a finished cell's predictions, and its probe if it is to be kept, can be read."""
    predicted = read_predictions(run.folder.predictions / record.predictions)
    if record.control == "none":
        load_probe(card_path(run.folder.probes, record.cell_id))
    return record.cell_id in predicted


def test_files_of_a_cell_are_whole_before_its_line_is_in_the_ledger(
    saving: DrivenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Ledger.append
    checked: list[str] = []

    def check(ledger: Ledger, records: Any) -> None:
        records = list(records)
        assert all(has_files(saving, record) for record in records)
        checked.extend(record.cell_id for record in records)
        append(ledger, records)

    monkeypatch.setattr(Ledger, "append", check)
    saving.drive(saving.executor(places=3, batch=3, probe=probe_layer))
    assert sorted(checked) == sorted(saving.cells)


def test_a_cell_that_failed_leaves_no_files(
    saving: DrivenRun,
) -> None:
    script = {"extract a/train/0": [MISTAKE], "probe b/stem": [MISTAKE]}
    saving.drive(saving.executor(script=script, probe=probe_layer))
    for record in saving.records.values():
        if record.status == "done":
            assert has_files(saving, record)
        else:
            assert record.predictions == ""
            assert not card_path(saving.folder.probes, record.cell_id).exists()
    files = {record.predictions for record in saving.records.values()} - {""}
    assert {path.name for path in saving.folder.predictions.iterdir()} == files
    assert len(files) == 2


def test_a_cell_whose_saved_probe_is_gone_runs_again_to_the_same_scores(saving: DrivenRun) -> None:
    saving.drive(saving.executor(probe=probe_layer))
    before = saving.metrics()
    lost = next(one for one in saving.records.values() if one.control == "none")
    card_path(saving.folder.probes, lost.cell_id).unlink()
    executor = saving.executor(probe=probe_layer)
    assert saving.drive(executor) == "done"
    assert executor.names_sent() == [f"probe {lost.model}/{lost.layer}"]
    assert all(has_files(saving, record) for record in saving.records.values())
    assert len(saving.lines) == len(saving.cells) + 1
    pd.testing.assert_frame_equal(saving.metrics(), before)


def test_a_shard_is_whole_before_it_is_told_of(tmp_path: Path) -> None:
    run = DrivenRun(tmp_path / "run")
    told: list[str] = []

    def listen(event: Event) -> None:
        if event["kind"] == "shard_done":
            name = extractions(event["model"])[event["shard"]]
            assert run.has_shard(event["model"], name.partition("/")[2])
            told.append(name)

    run.drive(run.executor(places=2), listeners=[listen])
    assert sorted(told) == sorted(name for name in EVERYTHING if name.startswith("extract"))


def kill_at_append(after: int, torn: int | None) -> Any:
    """In place of ``Ledger.append``: the process dies at one of the appends.

    Args:
        after: appends that go well.
        torn: bytes of the append's lines that reach the disk nevertheless; None: all of them.
    """
    append, left = Ledger.append, [after]

    def dying(ledger: Ledger, records: Sequence[Record]) -> None:
        if left[0]:
            left[0] -= 1
            append(ledger, records)
            return
        size = os.fstat(ledger._file.fileno()).st_size
        append(ledger, records)
        if torn is not None:
            os.ftruncate(ledger._file.fileno(), size + torn)
        raise Killed

    return dying


@pytest.mark.parametrize("after", [0, 2, 5])
@pytest.mark.parametrize("torn", [0, 1, 700, None])
def test_a_driver_killed_while_it_writes_the_ledger_loses_that_write_at_most(
    tmp_path: Path,
    reference: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    after: int,
    torn: int | None,
) -> None:
    run = DrivenRun(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "append", kill_at_append(after, torn))
        with pytest.raises(Killed):
            run.drive(run.executor())
    following = run.executor()
    assert run.drive(following) == "done"
    lost = 0 if torn is None else 1
    probed = [*probings("a"), *probings("b")]
    assert following.names_sent("probe") == probed[after + 1 - lost :]
    pd.testing.assert_frame_equal(run.metrics(), reference)
    assert len(run.records) == len(run.cells)


@pytest.mark.parametrize("kind", ["shard_done", "cells_done", "retry", "failure"])
@pytest.mark.parametrize("nth", [1, 3])
def test_a_driver_killed_between_a_record_and_its_event_changes_no_table(
    tmp_path: Path, reference: pd.DataFrame, kind: str, nth: int
) -> None:
    run = DrivenRun(tmp_path / "run")
    left = [nth]

    def die(event: Event) -> None:
        if event["kind"] == kind:
            left[0] -= 1
            if not left[0]:
                raise Killed

    script: dict[str, list[Any]] = {}
    if kind == "failure":
        script = {name: [MISTAKE] for name in probings("a")}
    if kind == "retry":
        script = {name: [LOST_WORKER] for name in probings("a")}
    with pytest.raises(Killed):
        run.drive(run.executor(script=script), listeners=[die])
    assert run.drive(run.executor()) == "done"
    pd.testing.assert_frame_equal(run.metrics(), reference)


@pytest.mark.parametrize("name", [extractions("a")[2], probings("a")[1], probings("b")[2]])
def test_a_driver_killed_before_a_result_is_recorded_does_that_job_again(
    tmp_path: Path, reference: pd.DataFrame, name: str
) -> None:
    run = DrivenRun(tmp_path / "run")
    first = run.executor()

    def wait(seconds: float) -> list[Any]:
        outcomes = type(first).wait(first, seconds)
        if any(first.name_of(outcome.job) == name for outcome in outcomes):
            raise Killed
        return outcomes

    first.wait = wait  # type: ignore[method-assign]
    with pytest.raises(Killed):
        run.drive(first)
    following = run.executor()
    assert run.drive(following) == "done"
    # A shard is finished when it is on the disk, a layer when it is in the ledger.
    lost = {*first.in_flight, *([name] if name.startswith("probe") else [])}
    assert set(first.names_sent()) & set(following.names_sent()) == lost
    pd.testing.assert_frame_equal(run.metrics(), reference)
