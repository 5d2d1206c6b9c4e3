"""A clock that jumps by hours while a sweep runs: nobody waits, gives up or is taken for dead."""

import itertools
import json
from datetime import datetime

from sweep.progress.state import Progress
from tests.faults.conftest import MakeSweep
from tests.faults.sweeps import Sweep

WRONG_CLOCK = '''
import datetime, itertools, sys, time

real_time, hours = time.time, itertools.cycle((0, 7, -5, 30, -2, 11, -26))
def jumping():
    """Seconds: another wrong hour each time that the clock is asked."""
    return real_time() + 3600 * next(hours)

class JumpingClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(jumping(), tz)

time.time = jumping
import sweep.commands.app, sweep.commands.print_status, sweep.progress.display
import sweep.running.run, sweep.state.events
for name, module in list(sys.modules.items()):
    if name.split(".")[0] in ("jobs", "sweep") and hasattr(module, "datetime"):
        module.datetime = JumpingClock
'''
"""The driver, and Ray's part of its process: both ways in which they ask for the time of day."""


def test_a_sweep_under_a_clock_that_jumps_is_that_of_one_under_a_good_clock(
    make_sweep: MakeSweep, undisturbed: Sweep
) -> None:
    sweep = make_sweep("sweep")
    with sweep.driver("--local", before=WRONG_CLOCK) as driver:
        _, said = driver.communicate(timeout=600)
    assert driver.returncode == 0, said
    assert "Traceback" not in said
    assert sweep.events("retry") == sweep.events("failure") == []
    assert sweep.tables() == undisturbed.tables()
    check_times(sweep)


def check_times(sweep: Sweep) -> None:
    """Events are in order, and what is told of the run's length is true."""
    lines = sweep.folder.events.read_text().splitlines()
    events = [json.loads(line) for line in lines]
    times = [datetime.fromisoformat(event["time"]) for event in events]
    assert all(one <= next_one for one, next_one in itertools.pairwise(times))
    progress = Progress()
    for event in events:
        progress.update(event)
    assert abs(progress.elapsed() - events[-1]["seconds"]) < 60
