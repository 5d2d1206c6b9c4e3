"""A lease that nobody holds any more: of this machine it is nothing, of others a person decides."""

import json
import os
from dataclasses import asdict, replace
from typing import Any

import pytest

from sweep.errors import RunIsLocked
from sweep.state import local_lease
from sweep.state.lease import Holder
from tests.faults.conftest import MakeSweep
from tests.faults.sweeps import Sweep

pytestmark = pytest.mark.usefixtures("no_plots")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_lease, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(local_lease, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(local_lease, "STALE_SECONDS", 0.5)


def leave_lease(sweep: Sweep, **values: Any) -> None:
    """As a driver that died in the middle of its work leaves it."""
    holder = replace(Holder(), **values)
    sweep.folder.lock.write_text(json.dumps(asdict(holder)))


def test_a_driver_that_died_here_is_followed_without_a_word_whoever_has_its_pid(
    make_sweep: MakeSweep, undisturbed: Sweep
) -> None:
    sweep = make_sweep("sweep")
    sweep.here(only="a/*")
    for pid in (os.getpid(), 1, 2**22 + 1):
        leave_lease(sweep, pid=pid, started="7", beat=12)
        assert sweep.here().status == "done"
    assert sweep.tables() == undisturbed.tables()


@pytest.mark.usefixtures("impatient")
def test_a_driver_that_fell_silent_elsewhere_is_followed_when_told_so_and_not_before(
    make_sweep: MakeSweep, undisturbed: Sweep
) -> None:
    sweep = make_sweep("sweep")
    sweep.here(only="a/*")
    finished = sweep.ledger()
    leave_lease(sweep, host="far", machine="another boot", pid=7, beat=12)
    with pytest.raises(RunIsLocked, match=r"held by process 7 on far .*--unlock"):
        sweep.here()
    assert sweep.ledger() == finished
    assert sweep.here(unlock=True).status == "done"
    assert sweep.ledger()[: len(finished)] == finished
    assert sweep.tables() == undisturbed.tables()
