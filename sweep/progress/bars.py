"""Progress of work outside runs, on standard error: bars on a terminal, else plain lines."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from jobs.progress import ProgressCallback
from sweep.progress.state import Stage
from sweep.progress.status import stage_line
from sweep.progress.wording import printable, rate_text

PLAIN_SECONDS = 5.0
"""Seconds between two plain lines about the same work, and before the first."""


@contextmanager
def bars_on_stderr() -> Iterator[ProgressCallback]:
    """Yield a function that shows on standard error the progress that it is called with."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines()
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(printable(what), total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield report


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Units a second."""
        return Text(rate_text(task.finished_speed or task.speed))


class _Lines:
    """Prints a line every few seconds, and one at the end if there was one before."""

    def __init__(self) -> None:
        self._stages: dict[str, Stage] = {}
        self._shown: dict[str, datetime] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        now = datetime.now(UTC)
        stage = self._stages.setdefault(what, Stage(what, started=now))
        stage.total, stage.finished = total, done
        last = self._shown.get(what)
        since = (now - (last or stage.started or now)).total_seconds()
        if since >= PLAIN_SECONDS or (last is not None and done == total):
            self._shown[what] = now
            print(printable(stage_line(stage, now)), file=sys.stderr, flush=True)
