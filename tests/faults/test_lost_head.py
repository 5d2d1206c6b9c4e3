"""The head of a cluster that is gone in the middle of a sweep, and with it all that Ray knew."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ray_nodes
from tests.faults.conftest import MakeSweep
from tests.faults.sweeps import Sweep, session, wait_for, with_signal

SOON = "from sweep import head\nhead.SILENT_SECONDS = 2.0"


@pytest.fixture
def clusters(tmp_path: Path, token: None) -> Iterator[tuple[ray_nodes.Head, ray_nodes.Head]]:
    """The one that is lost, and the one that is started after it."""
    with (
        ray_nodes.head(tmp_path / "one", cpus=1) as one,
        ray_nodes.head(tmp_path / "two", cpus=1) as two,
    ):
        yield one, two


@pytest.mark.slow
@pytest.mark.parametrize("what", ["gcs_server", "ray"])
def test_a_run_whose_head_is_gone_says_so_and_goes_on_with_another(
    make_sweep: MakeSweep, undisturbed: Sweep, clusters: tuple[ray_nodes.Head, ray_nodes.Head],
    what: str,
) -> None:  # fmt: skip
    sweep = make_sweep("sweep")
    one, two = clusters
    with sweep.driver("--address", one.address, before=SOON) as driver:
        wait_for(sweep.shards, driver)
        for process in session(one.pid):  # all of the node, or what it asks alone
            if what in process.command:
                with_signal(process.pid, signal.SIGKILL)
        _, said = driver.communicate(timeout=240)
    assert driver.returncode == 3, said
    told = said + "".join(event["message"] for event in sweep.events("warning"))
    assert "start the cluster again and run the same command" in told
    assert "Traceback" not in said
    kept = sweep.shards()
    with sweep.driver("--address", two.address) as again:
        _, said = again.communicate(timeout=240)
        assert again.returncode == 0, said
    assert {name: sweep.shards()[name] for name in kept} == kept
    assert sweep.tables() == undisturbed.tables()
