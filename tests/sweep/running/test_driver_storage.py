"""What the scheduler does about full disks, and about shards that are damaged or gone."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from jobs.activations.cache_layout import data_path, manifest_path
from sweep.signals import StopSignal
from sweep.state.ledger import Ledger
from tests.support.driven_run import (
    COMPARED,
    EVERYTHING,
    JITTER,
    LAYERS,
    PLENTY,
    SHARDS,
    SKETCHES,
    TILES,
    DrivenRun,
    extractions,
    probings,
    undisturbed,
)
from tests.support.fake_executor import (
    DISK_FULL,
    JOB_SECONDS,
    MISTAKE,
    NODE_DISK_FULL,
    Act,
    Fault,
    always,
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


@pytest.mark.parametrize("name", ["extract a/train/1", "probe a/block"])
@pytest.mark.parametrize("fault", [DISK_FULL, NODE_DISK_FULL])
def test_a_full_disk_costs_no_attempt_and_nothing_is_sent_meanwhile(
    run: DrivenRun, name: str, fault: Fault
) -> None:
    executor = run.executor(script={name: [fault] * 7})
    assert run.drive(executor) == "done"
    run.assert_whole()
    assert run.events("retry") == []
    for first, second in zip(executor.times(name), executor.times(name)[1:], strict=False):
        full = first + JOB_SECONDS
        assert second - full >= 60
        assert not [one for one in executor.sent if full + JITTER < one.at < full + 60 - JITTER]
    messages = [event["message"] for event in run.events("warning")]
    assert sum("disk full" in message for message in messages) == 7


def test_a_disk_that_is_seen_to_be_full_is_waited_for_until_it_has_room(run: DrivenRun) -> None:
    def fill(job: object) -> Any:
        run.free = 0
        return DISK_FULL(job)  # type: ignore[arg-type]

    sleep = run.clock.sleep

    def tidied_up(seconds: float) -> None:
        sleep(seconds)
        if run.clock.now > 1000:
            run.free = PLENTY

    run.clock.sleep = tidied_up  # type: ignore[method-assign]
    executor = run.executor(script={"probe a/block": [fill]})
    assert run.drive(executor) == "done"
    [_, second] = executor.times("probe a/block")
    others = 2 * JOB_SECONDS  # a shard and a layer that are sent first
    assert 1000 <= second <= 1000 + others + JITTER
    run.assert_whole()


def test_a_disk_that_is_nearly_full_is_left_to_what_was_extracted(run: DrivenRun) -> None:
    stop = StopSignal()

    def fill(job: object) -> None:
        run.free = 2**20

    script: dict[str, Any] = {
        extractions("a")[-1]: [fill],
        probings("a")[-1]: [stopping(stop)],
    }
    executor = run.executor(script=script)
    run.drive(executor, stop)
    assert executor.names_sent("probe a") == probings("a")
    assert not [line for line in executor.log if line.startswith("send extract b")]
    assert any("extraction waits" in event["message"] for event in run.events("warning"))


def full_for(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the ledger's disk refuse the first writes."""
    append, left = Ledger.append, [n]

    def refuse(self: Ledger, records: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise DISK_FULL.error
        append(self, records)

    monkeypatch.setattr(Ledger, "append", refuse)


def test_scores_that_find_the_disk_full_are_recorded_when_it_has_room(
    run: DrivenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_for(3, monkeypatch)
    executor = run.executor(places=3, batch=3)
    assert run.drive(executor) == "done"
    assert sorted(executor.names_sent()) == sorted(EVERYTHING)
    run.assert_whole()
    assert run.clock.now >= 3 * 60


def test_a_stop_while_the_ledgers_disk_is_full_leaves_the_cells_to_the_next_run(
    run: DrivenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = StopSignal()
    with monkeypatch.context() as patch:
        full_for(10**9, patch)
        name = probings("a")[0]
        executor = run.executor(places=1, script={name: [stopping(stop)]})
        assert run.drive(executor, stop) == "interrupted"
    assert run.lines == []
    assert run.drive(run.executor()) == "done"
    run.assert_whole()


def damaging(run: DrivenRun, model: str, shard: str) -> Act:
    """An act: a byte of a shard's tensors is changed just before the job runs."""

    def act(job: object) -> None:
        path = data_path(*run.shard_place(model, shard))
        assert isinstance(path, Path)
        data = bytearray(path.read_bytes())
        data[-1] ^= 0x40
        path.write_bytes(data)

    return act


def deleting(run: DrivenRun, model: str, *shards: str) -> Act:
    """An act: shards disappear just before the job runs."""

    def act(job: object) -> None:
        for shard in shards:
            for path in (data_path, manifest_path):
                path(*run.shard_place(model, shard)).unlink()  # type: ignore[union-attr]

    return act


@pytest.mark.parametrize("places", [1, 3])
@pytest.mark.parametrize("shard", SHARDS)
def test_a_damaged_shard_is_extracted_again_and_changes_no_number(
    run: DrivenRun, reference: pd.DataFrame, shard: str, places: int
) -> None:
    # Tensors lie in the order of their names: the last byte is of one of the three layers.
    script = {"probe a/stem": [damaging(run, "a", shard)]}
    executor = run.executor(places=places, script=script)
    assert run.drive(executor) == "done"
    extracted = Counter(executor.names_sent("extract"))
    assert extracted == Counter([*extractions("a"), *extractions("b"), f"extract a/{shard}"])
    folder, index = run.shard_place("a", shard)
    assert len(list(folder.glob(f"shard-{index:05d}*.corrupt"))) == 2
    run.assert_whole()
    pd.testing.assert_frame_equal(run.metrics(), reference)


@pytest.mark.parametrize("places", [1, 3])
def test_shards_that_were_deleted_are_extracted_once_however_many_layers_miss_them(
    run: DrivenRun, reference: pd.DataFrame, places: int
) -> None:
    script = {"probe a/stem": [deleting(run, "a", *SHARDS[1:])]}
    executor = run.executor(places=places, script=script)
    assert run.drive(executor) == "done"
    extracted = Counter(executor.names_sent("extract a"))
    assert extracted == Counter([*extractions("a"), *extractions("a")[1:]])
    assert len(executor.times("probe a/stem")) == 2  # all are looked for when one is missed
    pd.testing.assert_frame_equal(run.metrics(), reference)


def test_no_layer_is_probed_while_a_shard_is_being_mended(run: DrivenRun) -> None:
    executor = run.executor(script={"probe a/stem": [deleting(run, "a", "test/0")]})
    run.drive(executor)
    mended = [at for at, line in enumerate(executor.log) if line == "back extract a/test/0"][1]
    lost = executor.log.index("back probe a/stem")
    assert not [line for line in executor.log[lost + 1 : mended] if line.startswith("send probe a")]


def test_a_shard_that_is_damaged_time_and_again_fails_the_layer(run: DrivenRun) -> None:
    script = {"probe a/stem": always(deleting(run, "a", "train/0"))}
    executor = run.executor(script=script)
    assert run.drive(executor) == "failed"
    assert len(executor.times("extract a/train/0")) == 3
    assert run.layers_with("failed") >= {"a/stem"}
    assert run.layers_with("done") >= {f"b/{layer}" for layer in LAYERS}


def test_a_shard_found_damaged_at_the_start_is_extracted_again(
    run: DrivenRun, reference: pd.DataFrame
) -> None:
    run.drive(run.executor(script={"probe a/stem": [MISTAKE]}))
    path = data_path(*run.shard_place("a", "validation/0"))
    assert isinstance(path, Path)
    path.write_bytes(path.read_bytes()[:-5])
    executor = run.executor()
    assert run.drive(executor) == "done"
    assert executor.names_sent() == ["extract a/validation/0", "probe a/stem"]
    assert any("extracted again" in event["message"] for event in run.events("warning"))
    pd.testing.assert_frame_equal(run.metrics(), reference)


def test_a_sketch_that_trips_over_a_shard_has_it_extracted_again(make_run: MakeRun) -> None:
    run = make_run(**COMPARED)
    executor = run.executor(script={"sketch a/stem": [deleting(run, "a", "test/0")]})
    assert run.drive(executor) == "done"
    assert len(executor.times("extract a/test/0")) == 2
    assert len(run.events("compared")) == len(SKETCHES) + len(TILES)


def test_a_sketch_of_a_model_that_is_mended_waits_for_it(make_run: MakeRun) -> None:
    run = make_run(**COMPARED)
    executor = run.executor(script={"probe b/pooling": [deleting(run, "b", "test/0")]})
    assert run.drive(executor) == "done"
    run.assert_whole()
    assert sorted(executor.names_sent("tile")) == TILES
