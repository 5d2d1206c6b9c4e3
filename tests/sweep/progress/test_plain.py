"""Plain lines: never a minute without a sign of life."""

import io
from datetime import timedelta

from sweep.progress.plain import SILENCE_SECONDS, PlainLines
from sweep.progress.state import Progress
from tests.support.live_states import LAYERS, START, at, begin, running


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


def test_a_silence_ends_with_what_is_going_on():
    clock, stream = Clock(), io.StringIO()
    lines = PlainLines(stream, Progress(), clock)
    for event in begin(LAYERS):
        lines.show(event)
    assert "[0:25] starting Ray on this machine" in stream.getvalue().splitlines()
    for second in range(300):
        clock.now = START + timedelta(seconds=25 + second)
        lines.sign_of_life()
    said = [line for line in stream.getvalue().splitlines() if " ago)" in line]
    assert len(said) == 300 // SILENCE_SECONDS
    assert said[0] == "[0:30] starting Ray on this machine (0:05 ago)"
    assert said[-1] == "[5:00] starting Ray on this machine (4:35 ago)"


def test_a_run_that_ended_is_silent():
    clock, stream = Clock(), io.StringIO()
    lines = PlainLines(stream, Progress(), clock)
    for event in running():
        lines.show(event)
    before = stream.getvalue()
    clock.now = START + timedelta(hours=1)
    lines.sign_of_life()
    assert stream.getvalue() == before


def test_the_thread_ends_with_the_display():
    lines = PlainLines(io.StringIO(), Progress())
    lines.start()
    lines.show(at(0, "warning", message="x"))
    lines.stop()
    assert not lines._thread.is_alive()
