"""A job that never ends: its process is ended for it, and another does the work."""

import signal
from pathlib import Path

import pytest

from sweep.running.options import RunOptions
from sweep.running.run import run_sweep
from sweep.state.events import Event, EventLog
from tests.conftest import Values
from tests.faults.conftest import MakeSweep
from tests.faults.sweeps import PROBING, Process, Sweep, session, wait_for, with_signal
from tests.support import ray_nodes

NETWORK = '''
from pathlib import Path
from time import sleep

import torch

class Network(torch.nn.Module):
    """Linear; whoever finds the trap, takes it and hangs."""

    def __init__(self, trap):
        super().__init__()
        self.trap = Path(trap)
        self.stem = torch.nn.Linear(80, 4)

    def forward(self, x):
        try:
            self.trap.unlink()
        except FileNotFoundError:
            return self.stem(x)
        sleep(3600)
'''


@pytest.mark.slow
def test_a_shard_that_hangs_is_ended_tried_again_and_the_reason_recorded(
    values: Values, cache: Path, tmp_path: Path, no_plots: None
) -> None:
    (tmp_path / "hanging_network.py").write_text(NETWORK)
    trap = tmp_path / "trap"
    model = {
        "name": "a", "kind": "python", "factory": "hanging_network:Network", "input": "fbank",
        "folder": str(tmp_path), "args": {"trap": str(trap)}, "taps": ["stem"], "time_axis": 1,
    }  # fmt: skip
    values |= {"models": [model], "layers": "all", "compute": {"timeout": 0.25}}
    sweep = Sweep.make(values, cache, tmp_path / "sweep")

    def set_the_trap(event: Event) -> None:
        if event["kind"] == "planned":
            trap.touch()

    options = RunOptions(where="local", out=sweep.folder.root, cache=sweep.cache)
    with EventLog([set_the_trap]) as events:
        result = run_sweep(sweep.spec, options, events)
    assert (result.status, result.failed) == ("done", 0)
    assert not trap.exists()
    retries = sweep.events("retry")
    assert retries
    assert all(event["attempt"] == 2 for event in retries)
    late = "no result within 0.25 minutes (compute.timeout)"
    assert any(late in event["error"] for event in retries)


@pytest.mark.slow
def test_layers_that_hang_on_one_node_are_done_on_another(
    slow_layers: None, make_sweep: MakeSweep, token: None, no_plots: None, tmp_path: Path
) -> None:
    sweep, undisturbed = make_sweep("sweep"), make_sweep("undisturbed")
    assert undisturbed.here().status == "done"
    with (
        ray_nodes.head(tmp_path / "cluster", cpus=1) as head,
        ray_nodes.worker(tmp_path / "node", head.address, cpus=1) as node,
        sweep.driver("--address", head.address) as driver,
    ):

        def probing() -> list[Process]:
            return [p for p in session(node) if p.command.startswith(PROBING)]

        stopped = wait_for(probing, driver)[0].pid
        with_signal(stopped, signal.SIGSTOP)
        try:
            _, said = driver.communicate(timeout=600)
        finally:
            with_signal(stopped, signal.SIGKILL)
    assert driver.returncode == 0, said
    assert "is late: done twice" in sweep.folder.driver_log.read_text()
    assert sweep.events("failure") == sweep.events("retry") == []
    assert sweep.tables() == undisturbed.tables()
