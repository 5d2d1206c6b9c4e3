"""The scheduler from outside: what is handed out when, and that no order changes a number.

Extraction and scores are made up, and the clock is moved by waiting alone.
"""

import random
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from sweep.signals import StopSignal
from sweep.state.ledger import Ledger, Record
from tests.support.driven_run import (
    COMPARED,
    EVERYTHING,
    LAYERS,
    SKETCHES,
    TILES,
    DrivenRun,
    extractions,
    probings,
    undisturbed,
)
from tests.support.fake_executor import (
    BROKEN_STORAGE,
    DISK_FULL,
    LOST_WORKER,
    OUT_OF_MEMORY,
    TIMED_OUT,
    Act,
    FakeExecutor,
    stopping,
)

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


def before(executor: FakeExecutor, first: str, second: str) -> bool:
    """Whether one line of the log comes before another; both are there."""
    return executor.log.index(first) < executor.log.index(second)


def test_all_is_done_once_in_the_order_of_the_plan(run: DrivenRun) -> None:
    executor = run.executor()
    assert run.drive(executor) == "done"
    assert sorted(executor.names_sent()) == sorted(EVERYTHING)
    assert executor.names_sent("extract") == [*extractions("a"), *extractions("b")]
    assert executor.names_sent("probe") == [*probings("a"), *probings("b")]
    run.assert_whole()


@pytest.mark.parametrize("places", [1, 2, 5, 100])
def test_a_model_is_probed_when_its_last_shard_is_there(run: DrivenRun, places: int) -> None:
    executor = run.executor(places=places)
    run.drive(executor)
    for model in "ab":
        for probing in probings(model):
            assert all(
                before(executor, f"back {shard}", f"send {probing}") for shard in extractions(model)
            )


def test_probes_of_a_model_do_not_wait_for_the_extraction_of_others(run: DrivenRun) -> None:
    executor = run.executor()
    run.drive(executor)
    assert executor.log.index(f"back {probings('a')[0]}") < executor.log.index(
        f"back {extractions('b')[-1]}"
    )


def test_a_model_that_hangs_does_not_keep_another_from_being_probed(run: DrivenRun) -> None:
    stop = StopSignal()
    last = probings("a")[-1]
    executor = run.executor(
        places=2, held={extractions("b")[0]}, script={last: [stopping(stop)]}
    )  # fmt: skip
    assert run.drive(executor, stop) == "interrupted"
    assert run.layers_with("done") == {f"a/{layer}" for layer in LAYERS}


def test_sketches_wait_for_the_models_and_tiles_for_the_sketches(make_run: MakeRun) -> None:
    run = make_run(**COMPARED)
    executor = run.executor(places=3)
    assert run.drive(executor) == "done"
    assert executor.names_sent("sketch") == SKETCHES
    assert executor.names_sent("tile") == TILES
    for shard in (*extractions("a"), *extractions("b")):
        assert before(executor, f"back {shard}", f"send {SKETCHES[0]}")
    for sketch in SKETCHES:
        assert before(executor, f"back {sketch}", f"send {TILES[0]}")
    assert len(run.events("compared")) == len(SKETCHES) + len(TILES)


@pytest.mark.parametrize("places", [1, 3])
def test_what_is_in_flight_never_exceeds_the_places(make_run: MakeRun, places: int) -> None:
    run = make_run(**COMPARED)
    executor = run.executor(places=places)  # which asserts that there is room for what it is given
    run.drive(executor)
    assert places < executor.most_in_flight <= 2 * places


def test_free_places_are_filled_at_once(run: DrivenRun) -> None:
    executor = run.executor(places=100)
    run.drive(executor)
    assert executor.log[:8] == [f"send {name}" for name in (*extractions("a"), *extractions("b"))]


def test_a_model_is_released_after_its_last_shard(run: DrivenRun) -> None:
    executor = run.executor()
    run.drive(executor)
    released = [line for line in executor.log if line.startswith("release")]
    assert released == ["release a", "release b last"]
    for model, line in zip("ab", released, strict=True):
        assert before(executor, f"back {extractions(model)[-1]}", line)
        assert before(executor, line, f"send {probings(model)[0]}")


def test_help_for_stragglers_is_asked_for_when_no_shard_is_left_to_send(run: DrivenRun) -> None:
    executor = run.executor()
    run.drive(executor)
    assert before(executor, f"send {extractions('b')[-1]}", "help_stragglers")
    assert "help_stragglers" in executor.log


def test_scores_that_come_back_together_are_written_together(
    run: DrivenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, writes = Ledger.append, []

    def counted(ledger: Ledger, records: Iterable[Record]) -> None:
        records = list(records)
        writes.append(len(records))
        append(ledger, records)

    monkeypatch.setattr(Ledger, "append", counted)
    run.drive(run.executor(places=3, batch=100, pick=lambda names: names[-1]))
    assert sum(writes) == len(run.cells)
    assert max(writes) == len(LAYERS) * 4  # all cells of a model


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_the_last_may_come_back_first(run: DrivenRun, reference: pd.DataFrame, batch: int) -> None:
    executor = run.executor(places=4, batch=batch, pick=lambda names: names[-1])
    assert run.drive(executor) == "done"
    run.assert_whole()
    pd.testing.assert_frame_equal(run.metrics(), reference)


@pytest.mark.parametrize("seed", range(8))
def test_chance_order_faults_and_interruptions_change_no_number(
    run: DrivenRun, reference: pd.DataFrame, seed: int
) -> None:
    chance = random.Random(seed)
    status = "interrupted"
    for _ in range(30):
        if status == "done":
            break
        stop = StopSignal()
        faults = [LOST_WORKER, TIMED_OUT, OUT_OF_MEMORY, BROKEN_STORAGE, DISK_FULL]
        script: dict[str, list[Act]] = {
            name: chance.choices(faults, k=chance.randrange(3)) for name in EVERYTHING
        }
        if chance.random() < 0.7:
            script[chance.choice(EVERYTHING)].append(stopping(stop))
        executor = run.executor(
            places=chance.randint(1, 4),
            batch=chance.randint(1, 4),
            pick=chance.choice,
            script=script,
        )
        status = run.drive(executor, stop)
    assert status == "done"
    run.assert_whole()
    pd.testing.assert_frame_equal(run.metrics(), reference)
