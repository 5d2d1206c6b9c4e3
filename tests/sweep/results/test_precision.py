"""Reported errors of computing in less than float32."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sweep.results.run import Run
from sweep.running.options import RunOptions
from sweep.running.run import run_sweep
from sweep.state.events import EventLog
from tests.conftest import Values
from tests.support.no_figures import draw_nothing


def test_the_report_states_the_error_of_bf16_against_float32(
    spec_values: Values,
    write_spec: Callable[[Values], Path],
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draw_nothing(monkeypatch)
    exact, _ = spec_values["models"]
    spec_values |= {
        "models": [exact, {**exact, "name": "half", "precision": "bf16"}],
        "layers": ["stem", "embedding"],
        "probes": [{"kind": "ridge"}],
        "controls": [],
        "baselines": ["mean"],
    }
    options = RunOptions(where="inline", out=tmp_path / "out", cache=cache)
    with EventLog() as events:
        assert run_sweep(write_spec(spec_values), options, events).status == "done"
    run = Run.open(tmp_path / "out")
    told = json.loads(run.folder.provenance.read_text())["precision"]
    assert set(told) == {"half"}
    assert told["half"]["precision"] == "bf16"
    # An independent look: the stored activations of both models, of all utterances.
    (ids, in_half), (same_ids, in_full) = (run.activations(m, "embedding") for m in ("half", "a"))
    assert ids == same_ids
    off = np.linalg.norm(in_half - in_full, axis=1) / np.linalg.norm(in_full, axis=1)
    assert 1e-4 < np.median(off) < 0.2
    assert told["half"]["largest"] > np.median(off) / 3
    assert (
        "half was computed in bf16: against float32"
        in (run.folder.tables / "models.md").read_text()
    )
