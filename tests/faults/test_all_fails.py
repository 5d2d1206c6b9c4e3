"""Work that fails all alike is not gone through to its end; and what was left is done later."""

from dataclasses import replace
from typing import Any

import pytest

from jobs.probes import PROBES
from tests.faults.conftest import MakeSweep
from tests.faults.sweeps import Sweep
from tests.support.no_figures import draw_nothing

pytestmark = pytest.mark.usefixtures("no_plots")


@pytest.fixture
def broken_probe(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    def raises(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("the probe's own mistake")

    monkeypatch.setitem(PROBES, "ridge", replace(PROBES["ridge"], fit_predict=raises))
    return monkeypatch


def test_when_everything_fails_alike_the_run_stops_early_and_says_how_to_go_on(
    make_sweep: MakeSweep, undisturbed: Sweep, broken_probe: pytest.MonkeyPatch
) -> None:
    sweep = make_sweep("sweep")
    result = sweep.here(overrides=["compute.give_up_after=3"])
    n_layers = len(undisturbed.ledger()) // 2
    assert result.status == "failed"
    assert result.failed == n_layers + 1  # all of the first model, and the first of the second
    errors = [event["error"] for event in sweep.events("failure")]
    [stopped] = [error for error in errors if "--set compute.give_up_after=null" in error]
    assert "the probe's own mistake" in stopped
    broken_probe.undo()
    draw_nothing(broken_probe)
    assert sweep.here().status == "done"
    assert sweep.tables() == undisturbed.tables()


def test_it_can_be_told_to_go_on_regardless(
    make_sweep: MakeSweep, undisturbed: Sweep, broken_probe: pytest.MonkeyPatch
) -> None:
    sweep = make_sweep("sweep")
    result = sweep.here(overrides=["compute.give_up_after=null"])
    assert result.failed == len(undisturbed.ledger())
