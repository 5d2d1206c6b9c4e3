"""Networks that raise, die, run out of memory or give no numbers: the others are scored, and every
failed cell is counted, with its reason."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.probes import PROBES
from sweep.running.options import RunOptions
from sweep.running.run import RunResult, run_sweep
from sweep.state.events import EventLog
from tests.conftest import Values
from tests.faults.conftest import MakeSweep
from tests.faults.networks import Traps
from tests.faults.sweeps import Sweep

pytestmark = pytest.mark.usefixtures("no_plots")


def run(sweep: Sweep, traps: Traps, **options: Any) -> RunResult:
    chosen = {"out": sweep.folder.root, "cache": sweep.cache, **options}
    with EventLog([traps.set_when_planned]) as events:
        return run_sweep(sweep.spec, RunOptions(**chosen), events)


def scores(sweep: Sweep, *but: str) -> list[Any]:
    """The rows of all models ``but`` these."""
    rows: Any = sweep.tables()["metrics.csv"]
    return [row for row in rows if row["model"] not in but]


def filled(row: dict[str, str]) -> dict[str, str]:
    """A row without the columns that only other probes fill."""
    return {name: value for name, value in row.items() if value}


@pytest.fixture
def traps(tmp_path: Path) -> Traps:
    return Traps(tmp_path / "networks")


@pytest.fixture
def trapped(values: Values, traps: Traps, make_sweep: MakeSweep) -> tuple[Sweep, Sweep]:
    """A sweep of a good network and of four that go wrong; and the same, done by good ones."""
    good = values["models"][0]
    trouble = [traps.model(name) for name in ("raises", "dies", "nan")]
    values |= {"models": [good, *trouble, traps.model("memory", once=True)], "layers": ["stem"]}
    undisturbed = make_sweep("undisturbed")
    assert undisturbed.here().status == "done"
    return make_sweep("trapped"), undisturbed


def test_networks_that_go_wrong_fail_with_their_reasons_and_retry_runs_what_failed(
    trapped: tuple[Sweep, Sweep], traps: Traps
) -> None:
    sweep, undisturbed = trapped
    result = run(sweep, traps, where="local")
    assert (result.status, result.done, result.failed) == ("failed", 2, 3)
    assert traps.left() == ["raises", "dies", "nan"]
    failures = {event["model"]: event["error"] for event in sweep.events("failure")}
    assert failures.keys() == {"raises", "dies", "nan"}
    assert "ValueError: a mistake of the network" in failures["raises"]
    assert "died" in failures["dies"].lower()
    assert "are not finite" in failures["nan"]
    tried = {event["where"].partition(" / ")[0] for event in sweep.events("retry")}
    assert tried == {"dies", "memory"}  # what a network raises would be raised again
    assert all(event["attempt"] <= 3 for event in sweep.events("retry"))
    bad = ("raises", "dies", "nan")
    assert scores(sweep) == scores(undisturbed, *bad)
    notes = (sweep.folder.tables / "models.md").read_text()
    for name in bad:
        assert re.search(rf"^- {name}: 1 cells? of .* failed", notes, re.M), notes
    traps.remove()
    again = sweep.here(only_failed=True)
    # What is not finite is what that network gave: it is kept, and fails again.
    assert (again.ran_cells, again.done, again.failed) == (3, 4, 1)
    assert scores(sweep) == scores(undisturbed, "nan")


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many more fits of ridge find too little of it, by numpy's own word."""
    left = [0]
    ridge = PROBES["ridge"]

    def fit(*args: Any, **kwargs: Any) -> Any:
        if left[0]:
            left[0] -= 1
            np.empty(2**58, dtype=np.uint8)
        return ridge.fit_predict(*args, **kwargs)

    monkeypatch.setitem(PROBES, "ridge", replace(ridge, fit_predict=fit))
    monkeypatch.setattr("sweep.state.retry_policy.LONGEST_WAIT", 0.05)
    yield left


def test_a_layer_that_runs_out_of_memory_is_tried_again_alone(
    make_sweep: MakeSweep, undisturbed: Sweep, memory: list[int]
) -> None:
    sweep = make_sweep("sweep")
    memory[0] = 1
    assert sweep.here().status == "done"
    [retry] = sweep.events("retry")
    assert retry["attempt"] == 2
    assert "MemoryError" in retry["error"]
    assert sweep.tables() == undisturbed.tables()


def test_a_probe_that_has_too_little_memory_even_alone_fails_and_the_layers_other_probes_do_not(
    values: Values, make_sweep: MakeSweep, memory: list[int]
) -> None:
    values |= {"models": values["models"][:1], "layers": ["stem", -1]}
    values["probes"].append({"kind": "cca"})
    undisturbed = make_sweep("undisturbed")
    assert undisturbed.here().status == "done"
    sweep = make_sweep("sweep")
    memory[0] = 1000
    result = sweep.here()
    assert (result.status, result.done, result.failed) == ("failed", 2, 2)
    assert [event["attempt"] for event in sweep.events("retry")] == [2, 2]
    failed = [line for line in map(json.loads, sweep.ledger()) if line["status"] == "failed"]
    assert [(line["probe"], "MemoryError" in line["error"]) for line in failed] == [
        ("ridge", True), ("ridge", True),
    ]  # fmt: skip
    expected = [row for row in scores(undisturbed) if row["probe"] == "cca"]
    assert list(map(filled, scores(sweep))) == list(map(filled, expected))
    memory[0] = 0
    assert sweep.here(only_failed=True).ran_cells == 2
    assert sweep.tables() == undisturbed.tables()
