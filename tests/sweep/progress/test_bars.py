"""Progress outside runs: bars on a terminal, lines elsewhere, nothing on standard output."""

import os
import pty
import re
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sweep.progress import bars
from sweep.progress.bars import bars_on_stderr


class Clock:
    """A clock that is set by hand."""

    def __init__(self):
        self.seconds = 0.0

    def now(self, zone):
        return datetime(2024, 5, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(bars, "datetime", made)
    return made


def test_without_a_terminal_there_is_a_line_now_and_then_and_one_at_the_end(clock, capsys):
    with bars_on_stderr() as tell:
        for done in range(21):
            clock.seconds = done
            tell("reading files", done, 20)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "reading files 5/20 · 1.0/s · ETA 0:15",
        "reading files 10/20 · 1.0/s · ETA 0:10",
        "reading files 15/20 · 1.0/s · ETA 0:05",
        "reading files 20/20 · 1.0/s",
    ]


def test_every_action_has_lines_of_its_own(clock, capsys):
    with bars_on_stderr() as tell:
        for what in ("reading files", "measuring\x1b[2J pitch"):
            tell(what, 0, 2)
            clock.seconds += 5
            tell(what, 1, 2)
            clock.seconds += 1
            tell(what, 2, 2)
    assert capsys.readouterr().err.splitlines() == [
        "reading files 1/2 · 12.0/min · ETA 0:05", "reading files 2/2 · 20.0/min",
        "measuring [2J pitch 1/2 · 12.0/min · ETA 0:05", "measuring [2J pitch 2/2 · 20.0/min",
    ]  # fmt: skip


def test_what_is_quick_is_not_shown(clock, capsys):
    with bars_on_stderr() as tell:
        for done in range(3):
            clock.seconds += 1
            tell("reading files", done, 2)
    assert capsys.readouterr() == ("", "")


SHOW = """
import time
from sweep.progress.bars import bars_on_stderr
with bars_on_stderr() as tell:
    for done in range(31):
        tell("reading chapters", done, 30)
        time.sleep(0.02)
print("data")
"""


def test_on_a_terminal_there_is_a_bar_with_counts_rate_and_time_left():
    shown = b""
    ours, theirs = pty.openpty()

    def read():
        nonlocal shown
        # The end of a pseudo-terminal is an OSError on Linux.
        try:
            while data := ours_file.read(4096):
                shown += data
        except OSError:
            pass

    with open(ours, "rb", buffering=0) as ours_file:  # noqa: PTH123 (a descriptor, not a path)
        reader = threading.Thread(target=read)
        reader.start()
        said = subprocess.run(
            [sys.executable, "-c", SHOW],
            cwd=Path(bars.__file__).parents[2],
            env={"TERM": "xterm", "COLUMNS": "100"},
            stdout=subprocess.PIPE,
            stderr=theirs,
            check=True,
        )
        os.close(theirs)
        reader.join(timeout=600)
    assert said.stdout == b"data\n"
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    last = text.replace("\r", "\n").strip().splitlines()[-1]
    assert re.fullmatch(r"reading chapters ━+ 30/30 [\d.]+/s 0:00:00", last.strip()), text
