import os
import signal
import subprocess
import sys

import pytest

from sweep.signals import StopSignal, Terminated, sigterm_interrupts

ENDING = """
import atexit, os, signal, sys
from sweep.signals import ignore_signals_at_exit, end_with

class Late:
    def __del__(self, kill=os.kill, pid=os.getpid()):
        kill(pid, {number})  # when Python has taken its handlers away

ignore_signals_at_exit()
sys.kept_to_the_end = Late()
if {early}:
    atexit.register(os.kill, os.getpid(), {number})
end_with(7)
sys.exit(7)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("early", [False, True])
def test_a_signal_while_the_process_ends_changes_no_exit_code(number: int, early: bool) -> None:
    code = ENDING.format(number=int(number), early=early)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (7, b"")


def test_the_first_signal_is_remembered_and_raises_nothing() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopSignal() as stop:
        assert stop.received is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def test_sigterm_interrupts_as_ctrl_c_does_but_for_the_time_that_somebody_listens() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), sigterm_interrupts():
        with StopSignal() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received == signal.SIGTERM
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


STUCK = """
import atexit
from sweep.signals import exit_at_once_if_asked, exit_at_once
atexit.register(print, "Python ended it")
with exit_at_once_if_asked():
    print("done")
    if {stuck}:
        exit_at_once()
    raise SystemExit(3)
"""


@pytest.mark.parametrize(("stuck", "said"), [(False, "done\nPython ended it\n"), (True, "done\n")])
def test_a_process_with_a_library_that_is_stuck_leaves_at_once_with_its_code(
    stuck: bool, said: str
) -> None:
    command = [sys.executable, "-c", STUCK.format(stuck=stuck)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, said, "")
