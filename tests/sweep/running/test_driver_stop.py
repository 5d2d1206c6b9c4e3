"""A run that is stopped, and the next driver: it does what is left and nothing twice."""

import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from jobs.activations.cache_layout import data_path, manifest_path
from sweep.signals import StopSignal
from sweep.state.local_lease import local_watch, run_lock
from tests.support.driven_run import (
    COMPARED,
    EVERYTHING,
    JITTER,
    SHARDS,
    DrivenRun,
    extractions,
    probings,
    undisturbed,
)
from tests.support.fake_executor import JOB_SECONDS, LOST_WORKER, MISTAKE, stopping

MakeRun = Callable[..., DrivenRun]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    return partial(DrivenRun.make, tmp_path / "run")


@pytest.fixture
def run(make_run: MakeRun) -> DrivenRun:
    return make_run()


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The scores of a run that nothing happened to."""
    return undisturbed(tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.parametrize("at", [0, 2, 4, 6, 9, 12])
def test_after_a_stop_nothing_is_sent_and_what_is_out_is_recorded(run: DrivenRun, at: int) -> None:
    stop = StopSignal()
    name = EVERYTHING[at]
    executor = run.executor(places=2, script={name: [stopping(stop)]})
    assert run.drive(executor, stop) == "interrupted"
    stopped_at = executor.log.index(f"back {name}")
    assert not [line for line in executor.log[stopped_at:] if line.startswith("send")]
    assert executor.in_flight == []
    sent = {one.removeprefix("probe ") for one in executor.names_sent("probe")}
    assert run.layers_with("done") == sent


def test_a_stop_request_in_the_runs_folder_stops_it(
    run: DrivenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.state.local_lease.POLL_SECONDS", 0.01)

    def ask(job: object) -> None:
        watch = local_watch(run.folder)
        holder = watch.read()
        assert holder is not None
        watch.ask_to_stop(holder)
        deadline = time.monotonic() + 30
        while not stop.received:
            assert time.monotonic() < deadline, "nobody looked for the request"
            time.sleep(0.005)

    with run_lock(run.folder.lock, run.folder.stop_request), StopSignal() as stop:
        executor = run.executor(script={"probe a/stem": [ask]})
        assert run.drive(executor, stop) == "interrupted"
    assert run.layers_with("done") == {"a/stem"}
    assert not run.folder.stop_request.exists()


def test_what_hangs_is_dropped_ten_seconds_after_a_stop(run: DrivenRun) -> None:
    stop = StopSignal()
    executor = run.executor(
        places=2, held={"probe a/block"}, script={"probe a/stem": [stopping(stop)]}
    )  # fmt: skip
    assert run.drive(executor, stop) == "interrupted"
    assert executor.in_flight == ["probe a/block"]
    back = executor.times("probe a/stem")[0] + JOB_SECONDS
    assert back + 10 <= run.clock.now <= back + 10 + 4 * JITTER
    assert "a/block" not in run.layers_with("done")


def test_what_fails_for_a_moment_after_a_stop_is_left_to_the_next_run(run: DrivenRun) -> None:
    stop = StopSignal()
    executor = run.executor(
        places=2, script={"probe a/stem": [stopping(stop)], "probe a/block": [LOST_WORKER]}
    )
    assert run.drive(executor, stop) == "interrupted"
    assert run.layers_with("failed") == set()
    following = run.executor()
    assert run.drive(following) == "done"
    assert "probe a/block" in following.names_sent()


def test_a_run_that_was_stopped_before_it_began_sends_nothing(run: DrivenRun) -> None:
    stop = StopSignal()
    stopping(stop)(None)  # type: ignore[arg-type]
    executor = run.executor(places=9)
    run.drive(executor, stop)
    assert executor.names_sent() == []


@pytest.mark.parametrize("at", range(1, len(EVERYTHING), 2))
def test_the_next_driver_does_what_is_left_and_nothing_twice(
    make_run: MakeRun, reference: pd.DataFrame, at: int
) -> None:
    run = make_run()
    stop = StopSignal()
    first = run.executor(places=2, script={EVERYTHING[at]: [stopping(stop)]})
    run.drive(first, stop)
    second = run.executor(places=2)
    assert run.drive(second) == "done"
    assert Counter([*first.names_sent(), *second.names_sent()]) == Counter(EVERYTHING)
    run.assert_whole()
    pd.testing.assert_frame_equal(run.metrics(), reference)


def test_when_all_is_done_nothing_is_sent(make_run: MakeRun) -> None:
    run = make_run(**COMPARED)
    run.drive(run.executor())
    executor = run.executor()
    assert run.drive(executor) == "done"
    assert executor.log == []
    run.assert_whole()


def test_cells_that_failed_are_tried_again_by_the_next_run(run: DrivenRun) -> None:
    run.drive(run.executor(script={"probe a/block": [MISTAKE], "extract b/train/0": [MISTAKE]}))
    executor = run.executor()
    assert run.drive(executor) == "done"
    assert set(executor.names_sent()) == {"probe a/block", *extractions("b"), *probings("b")}
    assert run.layers_with("failed") == set()


def test_a_model_whose_cells_are_done_is_not_extracted_again(run: DrivenRun) -> None:
    run.drive(run.executor(script={"probe b/stem": [MISTAKE]}))
    for model in "ab":
        for shard in SHARDS:
            manifest_path(*run.shard_place(model, shard)).unlink()
            data_path(*run.shard_place(model, shard)).unlink()
    executor = run.executor()
    assert run.drive(executor) == "done"
    assert executor.names_sent() == [*extractions("b"), "probe b/stem"]


def test_only_what_is_wanted_is_worked_on(run: DrivenRun) -> None:
    executor = run.executor()
    wanted = run.drive(
        executor, wanted=lambda task, cell: task.layer.name == "stem" and cell.probe == "stiff"
    )
    assert wanted == "done"
    assert executor.names_sent("probe") == ["probe a/stem", "probe b/stem"]
    assert {(record.layer, record.probe) for record in run.records.values()} == {("stem", "stiff")}


def test_cells_whose_predictions_are_gone_run_again(run: DrivenRun) -> None:
    run.drive(run.executor())
    [lost] = {one.predictions for one in run.records.values() if (one.model, one.layer) == (
        "a", "block")}  # fmt: skip
    (run.folder.predictions / lost).unlink()
    executor = run.executor()
    assert run.drive(executor) == "done"
    assert executor.names_sent() == ["probe a/block"]
