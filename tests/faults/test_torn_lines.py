"""Lines that a crash tore, or a disk damaged, between two runs: their cells run again, no other."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import MakeSweep
from tests.faults.sweeps import Sweep

pytestmark = pytest.mark.usefixtures("no_plots")


def tear(path: Path, kept: int) -> None:
    """Leave ``kept`` bytes of the last line, counted from its end if negative."""
    content = path.read_bytes()
    before, last = content[:-1].rpartition(b"\n")[0::2]
    os.truncate(path, len(before) + 1 + (kept if kept >= 0 else len(last) + 1 + kept))


def damage(path: Path, kept: int) -> None:
    """Cut the second line, with a newline after it."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1][:kept] + b"\n"
    path.write_bytes(b"".join(lines))


@pytest.mark.parametrize(
    ("harm", "kept", "said"),
    [
        (tear, -1, "ledger.jsonl: last line: "),  # all but the newline
        (tear, 40, "ledger.jsonl: last line: 40 bytes torn by a crash; its cells run again"),
        (damage, 40, "ledger.jsonl: line 2: "),
    ],
    ids=["newline", "half", "middle"],
)
def test_a_damaged_line_of_the_ledger_costs_its_cell_and_no_other(
    make_sweep: MakeSweep,
    undisturbed: Sweep,
    harm: Callable[[Path, int], None],
    kept: int,
    said: str,
) -> None:
    sweep = make_sweep("sweep")
    sweep.here()
    lines, shards = sweep.ledger(), sweep.shards()
    harm(sweep.folder.ledger, kept)
    again = sweep.here()
    assert (again.status, again.ran_cells, again.ran_shards) == ("done", 1, 0)
    [warning] = [event["message"] for event in sweep.events("warning")]
    assert warning.startswith(said)
    assert len(set(lines) & set(sweep.ledger())) == len(lines) - 1
    assert sweep.shards() == shards
    assert sweep.tables() == undisturbed.tables()


def test_a_torn_event_is_cut_off_and_the_log_goes_on(
    make_sweep: MakeSweep, undisturbed: Sweep
) -> None:
    sweep = make_sweep("sweep")
    sweep.here(only="a/*")
    before = sweep.folder.events.read_bytes()
    tear(sweep.folder.events, 25)
    assert sweep.here().status == "done"
    assert sweep.folder.events.read_bytes().startswith(before[: before.rindex(b"\n{") + 1])
    assert len(sweep.events("run_finished")) == 1  # the other is the one that was torn
    assert sweep.tables() == undisturbed.tables()
