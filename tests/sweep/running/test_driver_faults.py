"""What the scheduler does about work that fails: how often it is tried, and what it costs."""

import itertools
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.support.driven_run import (
    COMPARED,
    EVERYTHING,
    JITTER,
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
    JOB_SECONDS,
    KILLED_FOR_MEMORY,
    LOST_WORKER,
    MISTAKE,
    OUT_OF_MEMORY,
    TIMED_OUT,
    Fault,
    always,
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


RETRIED = [
    pytest.param(LOST_WORKER, [1, 4], id="worker lost"),
    pytest.param(TIMED_OUT, [1, 4], id="timed out"),
    pytest.param(KILLED_FOR_MEMORY, [1, 4], id="killed for its memory"),
    pytest.param(OUT_OF_MEMORY, [1, 4], id="out of memory"),
    pytest.param(BROKEN_STORAGE, [1, 4, 16, 60], id="storage broken"),
    pytest.param(MISTAKE, [], id="mistake in the code"),
]
JOBS = ["extract a/train/1", "probe a/block", "sketch b/pooling", "tile b × b"]


def needed(name: str) -> dict[str, Any]:
    """What the spec must ask for, so that there is a job of this name."""
    return COMPARED if name.startswith(("sketch", "tile")) else {}


@pytest.mark.parametrize("name", JOBS)
@pytest.mark.parametrize(("fault", "waits"), RETRIED)
def test_work_is_tried_as_often_and_as_late_as_its_fault_deserves(
    make_run: MakeRun, name: str, fault: Fault, waits: list[int]
) -> None:
    run = make_run(**needed(name))
    executor = run.executor(script={name: always(fault)})
    assert run.drive(executor) == "failed"
    times = executor.times(name)
    gaps = [second - first - JOB_SECONDS for first, second in itertools.pairwise(times)]
    assert len(gaps) == len(waits)
    for gap, wait in zip(gaps, waits, strict=True):
        assert wait <= gap <= wait + JITTER
    retries = run.events("retry")
    assert [event["attempt"] for event in retries] == list(range(2, len(waits) + 2))
    assert len({event["where"] for event in retries}) <= 1
    assert f"{type(fault.error).__name__}: " in run.events("failure")[0]["error"]


@pytest.mark.parametrize("name", JOBS)
@pytest.mark.parametrize(
    "faults", [[LOST_WORKER, TIMED_OUT], [OUT_OF_MEMORY] * 2, [BROKEN_STORAGE] * 4]
)
def test_work_that_succeeds_in_the_end_leaves_no_trace_in_the_results(
    make_run: MakeRun, reference: pd.DataFrame, name: str, faults: list[Fault]
) -> None:
    run = make_run(**needed(name))
    executor = run.executor(script={name: faults})
    assert run.drive(executor) == "done"
    assert len(executor.times(name)) == len(faults) + 1
    assert run.events("failure") == []
    pd.testing.assert_frame_equal(run.metrics(), reference)


def test_attempts_count_whatever_their_cause(run: DrivenRun) -> None:
    name = "probe a/block"
    executor = run.executor(script={name: [LOST_WORKER, BROKEN_STORAGE, LOST_WORKER]})
    assert run.drive(executor) == "failed"
    assert len(executor.times(name)) == 3


def test_attempts_of_one_layer_are_not_those_of_another(run: DrivenRun) -> None:
    script = {name: [LOST_WORKER] * 2 for name in EVERYTHING}
    assert run.drive(run.executor(script=script)) == "done"
    run.assert_whole()


def test_other_work_goes_on_while_one_waits_for_its_next_attempt(run: DrivenRun) -> None:
    name = "probe a/stem"
    executor = run.executor(script={name: [BROKEN_STORAGE] * 4})
    run.drive(executor)
    last = max(executor.times(name))
    others = [one.at for one in executor.sent if one.name != name]
    assert max(others) < last
    assert executor.times("probe a/block")[0] < executor.times(name)[1]


@pytest.mark.parametrize("fault", [OUT_OF_MEMORY, KILLED_FOR_MEMORY])
def test_a_layer_that_ran_out_of_memory_is_alone_the_next_time(
    run: DrivenRun, fault: Fault
) -> None:
    executor = run.executor(script={"probe a/block": [fault], "probe b/stem": [LOST_WORKER]})
    run.drive(executor)
    assert [one.name for one in executor.sent if one.alone] == ["probe a/block"]
    assert [one.alone for one in executor.sent if one.name == "probe a/block"] == [False, True]


def test_a_layer_that_fails_costs_its_own_cells(run: DrivenRun, reference: pd.DataFrame) -> None:
    assert run.drive(run.executor(script={"probe a/block": [MISTAKE]})) == "failed"
    assert run.layers_with("failed") == {"a/block"}
    failed = [record for record in run.records.values() if record.status == "failed"]
    assert {record.error for record in failed} == {"ValueError: matrix 'x' is singular"}
    others = reference[(reference["model"] != "a") | (reference["layer"] != "block")]
    pd.testing.assert_frame_equal(run.metrics(), others.reset_index(drop=True), check_dtype=False)


@pytest.mark.parametrize("places", [1, 3])
def test_a_model_whose_extraction_fails_costs_its_own_cells(run: DrivenRun, places: int) -> None:
    executor = run.executor(places=places, script={"extract a/train/0": [MISTAKE]})
    assert run.drive(executor) == "failed"
    assert run.layers_with("failed") == {f"a/{layer}" for layer in LAYERS}
    assert run.layers_with("done") == {f"b/{layer}" for layer in LAYERS}
    assert executor.names_sent("probe a") == []
    # Nothing more is extracted for it than what was out already.
    assert executor.names_sent("extract a") == extractions("a")[:places]
    errors = {record.error for record in run.records.values() if record.status == "failed"}
    assert errors == {"extraction failed: ValueError: matrix 'x' is singular"}
    assert next((e["stage"], e["model"]) for e in run.events("failure")) == ("extract", "a")


def test_shards_of_a_failed_model_that_come_back_late_do_not_revive_it(run: DrivenRun) -> None:
    first, *others = extractions("a")
    script: dict[str, Any] = {first: [MISTAKE], others[0]: [LOST_WORKER], others[1]: [MISTAKE]}
    executor = run.executor(places=4, script=script)
    assert run.drive(executor) == "failed"
    assert Counter(executor.names_sent("extract a")) == Counter(extractions("a"))
    assert executor.names_sent("probe a") == []
    assert len(run.lines) == len(run.cells)
    assert [event["where"] for event in run.events("failure") if event["stage"] == "extract"] == [
        "shard 0"
    ]


def test_a_failed_model_costs_the_comparison_its_own_pairs(make_run: MakeRun) -> None:
    run = make_run(**COMPARED)
    executor = run.executor(script={"extract a/test/0": [MISTAKE]})
    assert run.drive(executor) == "failed"
    assert executor.names_sent("sketch") == SKETCHES[3:]
    assert executor.names_sent("tile") == TILES[2:]


def test_a_comparison_that_fails_costs_no_cell(make_run: MakeRun) -> None:
    run = make_run(**COMPARED)
    assert run.drive(run.executor(script={"sketch a/stem": [MISTAKE]})) == "failed"
    run.assert_whole()
    [failure] = run.events("failure")
    assert (failure["stage"], failure["where"]) == ("similarity", "a / stem")


def test_by_default_all_else_is_done_after_a_failure(run: DrivenRun) -> None:
    executor = run.executor(script={"probe a/stem": [MISTAKE]})
    assert run.drive(executor) == "failed"
    assert sorted(executor.names_sent()) == sorted(EVERYTHING)


def test_fail_fast_sends_nothing_more_and_records_what_is_out(run: DrivenRun) -> None:
    executor = run.executor(places=2, script={"probe a/stem": [MISTAKE]})
    assert run.drive(executor, fail_fast=True) == "failed"
    failed_at = executor.log.index("back probe a/stem")
    assert not [line for line in executor.log[failed_at:] if line.startswith("send")]
    assert executor.in_flight == []
    assert run.layers_with("done") == {"a/block"}
    assert run.layers_with("failed") == {"a/stem"}


def test_fail_fast_does_not_mind_what_is_tried_again(run: DrivenRun) -> None:
    executor = run.executor(script={name: [LOST_WORKER] for name in EVERYTHING})
    assert run.drive(executor, fail_fast=True) == "done"


def singular(size: int) -> Fault:
    return Fault(ValueError(f"layer 'l{size}' has a singular matrix of size {size}"))


def test_work_that_fails_alike_everywhere_ends_the_run(run: DrivenRun) -> None:
    names = [*probings("a"), *probings("b")]
    script = {name: [singular(size)] for size, name in enumerate(names)}
    executor = run.executor(script=script)
    assert run.drive(executor, give_up_after=4) == "failed"
    assert executor.names_sent("probe") == names[:4]
    assert "4 layers or models all failed with the same error" in run.events("failure")[-1]["error"]
    assert len(run.lines) == 4 * 4  # what was not tried is not called failed


@pytest.mark.parametrize(
    "script",
    [
        {name: [singular(1)] for name in (*probings("a"), *probings("b")[:2])},
        {name: [singular(1)] for name in (*probings("a")[1:], *probings("b"))},
        {
            **{name: [singular(1)] for name in (*probings("a")[1:], *probings("b"))},
            "probe a/stem": [Fault(KeyError("speaker"))],
        },
    ],
    ids=["one model too few", "one success", "one unlike the others"],
)
def test_work_that_does_not_all_fail_alike_does_not_end_the_run(
    run: DrivenRun, script: dict[str, list[Fault]]
) -> None:
    executor = run.executor(script=script)
    limit = 6 if len(script) == 5 and "probe a/stem" in script else 2
    run.drive(executor, give_up_after=limit)
    assert sorted(executor.names_sent("probe")) == sorted([*probings("a"), *probings("b")])


def test_without_a_limit_all_may_fail(run: DrivenRun) -> None:
    names = [*probings("a"), *probings("b")]
    executor = run.executor(script={name: [MISTAKE] for name in names})
    assert run.drive(executor, give_up_after=None) == "failed"
    assert executor.names_sent("probe") == names


def test_models_whose_extraction_fails_alike_end_the_run(make_run: MakeRun) -> None:
    run = make_run(models="abc")
    script = {f"extract {model}/train/0": [MISTAKE] for model in "abc"}
    executor = run.executor(script=script)
    assert run.drive(executor, give_up_after=2) == "failed"
    assert executor.names_sent() == ["extract a/train/0", "extract b/train/0"]


def test_an_error_of_the_executor_itself_is_not_swallowed(run: DrivenRun) -> None:
    executor = run.executor()

    def wait(seconds: float) -> list[Any]:
        raise ConnectionError("the cluster is gone")

    executor.wait = wait  # type: ignore[method-assign]
    with pytest.raises(ConnectionError, match="is gone"):
        run.drive(executor)
