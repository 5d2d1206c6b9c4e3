"""A machine whose memory is full: Ray ends the processes that work, again and again."""

import re

import pytest

from tests.faults.conftest import MakeSweep
from tests.faults.sweeps import Sweep


@pytest.mark.slow
def test_what_ray_ends_for_memory_is_tried_thrice_and_fails_with_that_reason(
    make_sweep: MakeSweep, undisturbed: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = make_sweep("sweep")
    with monkeypatch.context() as full:  # by Ray's reckoning, whatever is in use is too much
        full.setenv("RAY_memory_usage_threshold", "0.001")
        full.setenv("RAY_memory_monitor_refresh_ms", "100")
        with sweep.driver("--local", "--only", "a/*") as driver:
            out, err = driver.communicate(timeout=600)
    assert driver.returncode == 1, err
    assert "Traceback" not in err
    [failure] = [event for event in sweep.events("failure") if event["stage"] == "extract"]
    assert failure["error"].startswith("OutOfMemoryError")
    assert max(event["attempt"] for event in sweep.events("retry")) == 3
    notes = (sweep.folder.tables / "models.md").read_text()
    n_cells = len(undisturbed.ledger()) // 2
    assert re.search(rf"^- a: {n_cells} cells of .* failed: extraction failed: OutOf", notes, re.M)
    assert f"0 cells done, {n_cells} failed" in out
    assert sweep.here().status == "done"
    assert sweep.tables() == undisturbed.tables()
