"""``sweep plan``: minutes on this machine, what they are known from, and the table."""

import io
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from jobs.probes import (
    CcaSettings,
    KnnSettings,
    LogisticSettings,
    ProbeSettings,
    RidgeSettings,
)
from sweep.commands.fitted_table import fitted
from sweep.commands.plan_costs import (
    ModelCost,
    costs_table,
    jobs_at_a_time,
    minutes_lines,
    minutes_of,
    minutes_text,
    with_minutes,
)
from sweep.commands.time_tasks import TaskSeconds
from sweep.commands.time_work import Timings, fit_seconds
from sweep.spec.schema import Compute
from tests.support.tiny_run import tiny_run

COST = ModelCost("a", 12, 100, 600.0, 1.5, 0.04, 2**30, cells=50, stale=20, failed=5)


def test_minutes_are_rates_times_what_is_left_over_jobs_at_a_time() -> None:
    timings = Timings(models={"a": 0.5}, probes={"ridge": 0.2, "mlp": 3.0})
    cost = with_minutes(COST, Counter(ridge=30, mlp=20), 5, 2, timings, Compute())
    places = jobs_at_a_time(1)
    assert cost.extraction_minutes == pytest.approx(300 / places / 60)
    assert cost.probe_minutes == pytest.approx((6 + 60) / places / 60)
    assert cost.minutes == pytest.approx((300 + 66) / places / 60)
    assert COST.new == 25


def test_minutes_include_loading_and_what_layers_take_beside_fits() -> None:
    timings = Timings(
        models={"a": 0.5}, loads={"a": 9.0}, probes={"ridge": 0.0}, reads={"a": 0.1},
        task=TaskSeconds(layer=0.3, cell=0.02),
    )  # fmt: skip
    cost = with_minutes(COST, Counter(ridge=50), 5, 2, timings, Compute())
    places = jobs_at_a_time(1)
    assert cost.extraction_minutes == pytest.approx((9 + 300 / places) / 60)
    assert cost.probe_minutes == pytest.approx((5 * (0.3 + 2 * 0.1) + 50 * 0.02) / places / 60)


def test_what_was_not_timed_makes_the_total_a_lower_bound() -> None:
    known = Timings(models={"a": 0.5}, probes={"ridge": 1})
    timed = with_minutes(COST, Counter(ridge=30), 5, 2, known, Compute())
    untimed = with_minutes(COST, Counter(mlp=1), 5, 2, known, Compute())
    assert untimed.minutes is None and minutes_of([timed, untimed]) is None
    said = ["8 utterances through a (0.10 s on cpu)"] * 8
    first, covered, second = minutes_lines([timed, untimed], said)
    assert "not checks of the corpus, Ray's start" in covered
    assert first.startswith("on this machine: more than ")
    assert second.endswith(" and 2 more")
    assert next(minutes_lines([timed], said)).startswith("on this machine: about ")
    assert list(minutes_lines([timed], [])) == []


@pytest.mark.parametrize(
    ("minutes", "text"), [(0, "0 s"), (0.5, "30 s"), (12.4, "12 min"), (90, "1.5 h")]
)
def test_minutes_are_said_in_a_unit_that_reads_well(minutes: float, text: str) -> None:
    assert minutes_text(minutes) == text


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_table_is_whole_at_any_width(width: int) -> None:
    console = Console(file=io.StringIO(), width=width)
    for part in fitted(costs_table([COST]), width):
        console.print(part)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for value in ("a", "12", "25", "20", "5", "100", "0.04", "1 GiB"):
        assert value in text
    assert "…" not in text


def test_a_plan_says_what_it_timed_and_times_nothing_when_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.commands.time_work.BUDGET_SECONDS", 1e6)  # a busy machine is slow
    options = ("spec.yaml", "--out", "run", "--cache", "cache")
    with tiny_run(tmp_path / "home") as run:
        said = run.sweep("plan", *options).stdout
        assert "on this machine: about " in said, said
        assert "8 utterances through b (" in said
        assert "a fit of ridge to " in said
        assert "timed" not in run.sweep("plan", *options, "--no-timing").stdout
        assert not list(run.cache.glob("activations/*"))  # it is a folder that is removed
        assert run.run().exit_code == 0
        assert "timed" not in run.sweep("plan", *options).stdout


@pytest.mark.parametrize("rows", [15, 40, 400])
@pytest.mark.parametrize(
    ("settings", "classes"),
    [
        (RidgeSettings(), False),
        (CcaSettings(), False),
        (LogisticSettings(), True),
        (KnnSettings(), True),
    ],
)
def test_a_fit_is_timed_on_as_few_rows_as_a_corpus_may_have(
    settings: ProbeSettings, classes: bool, rows: int
) -> None:
    assert fit_seconds(settings, classes, rows, 8, 2) > 0
