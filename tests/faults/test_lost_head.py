"""The head of a cluster that is gone in the middle of a sweep, and with it all that Ray knew."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import MakeSweep
from tests.faults.sweeps import session, wait_for, with_signal
from tests.support import ray_nodes

SOON = (
    "from sweep.executors import head_monitor\n"
    "head_monitor.CONNECT_SECONDS = 0.5\nhead_monitor.SILENT_SECONDS = 3.0"
)


@pytest.fixture
def clusters(tmp_path: Path, token: None) -> Iterator[tuple[ray_nodes.Head, ray_nodes.Head]]:
    """The one that is lost, and the one that is started after it."""
    with (
        ray_nodes.head(tmp_path / "one", cpus=1) as one,
        ray_nodes.head(tmp_path / "two", cpus=1) as two,
    ):
        yield one, two


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "number"),
    [("gcs_server", signal.SIGKILL), ("gcs_server", signal.SIGSTOP), ("ray", signal.SIGKILL)],
    ids=["its server ends", "its server freezes", "the whole node ends"],
)
def test_a_run_whose_head_is_gone_says_so_and_goes_on_with_another(
    slow_layers: None, make_sweep: MakeSweep, no_plots: None,
    clusters: tuple[ray_nodes.Head, ray_nodes.Head], what: str, number: signal.Signals,
) -> None:  # fmt: skip
    sweep, undisturbed = make_sweep("sweep"), make_sweep("undisturbed")
    assert undisturbed.here().status == "done"
    one, two = clusters
    with sweep.driver("--address", one.address, before=SOON) as driver:
        wait_for(sweep.ledger, driver)
        struck = [process.pid for process in session(one.pid) if what in process.command]
        for pid in struck:
            with_signal(pid, number)
        try:
            _, said = driver.communicate(timeout=600)
        finally:
            for pid in struck:
                with_signal(pid, signal.SIGKILL)
    assert driver.returncode == 3, said
    assert "start the cluster again and run the same command" in said
    assert "Traceback" not in said
    assert [event["status"] for event in sweep.events("run_finished")] == ["failed"]
    kept, ledger = sweep.shards(), sweep.ledger()
    with sweep.driver("--address", two.address) as again:
        _, said = again.communicate(timeout=600)
        assert again.returncode == 0, said
    assert {name: sweep.shards()[name] for name in kept} == kept
    assert sweep.ledger()[: len(ledger)] == ledger
    assert sweep.tables() == undisturbed.tables()
