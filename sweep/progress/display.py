"""Displays of a running sweep: a live view, plain lines or JSON lines, drawn from events.

A display writes to the stream it is given (standard error, for a run) and never to standard
output, which is for data.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Literal, TextIO

from sweep.progress.live import LiveView
from sweep.progress.state import Progress
from sweep.progress.status import stage_line, status_lines
from sweep.progress.wording import clock, printable
from sweep.state.events import Event, Listener
from sweep.wording import counted

Kind = Literal["rich", "plain", "json", "none"]
PLAIN_SECONDS = 5.0
"""Seconds between two plain lines of one stage, by the time of the events."""
PLAIN_MESSAGES = 20
"""Number of warnings, of retries and of failures that get their own plain lines."""


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Display:
    """A listener of an ``EventLog``, to be started before the first event and stopped at the end.

    As a context manager it does both. The last view stays on the screen.
    """

    show: Listener
    start: Callable[[], None] = _nothing
    stop: Callable[[], None] = _nothing

    def __call__(self, event: Event) -> None:
        """Take in one event."""
        self.show(event)

    def __enter__(self) -> "Display":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def make_display(kind: Kind | None, stream: TextIO) -> Display:
    """Make a display on ``stream``; without a ``kind``, rich on a terminal and plain lines
    elsewhere."""
    match kind or ("rich" if stream.isatty() else "plain"):
        case "rich":
            view = LiveView(stream, Progress())
            return Display(view.update, view.start, view.stop)
        case "plain":
            return Display(PlainLines(stream, Progress()).show)
        case "json":
            return Display(lambda event: print(json.dumps(event), file=stream, flush=True))
        case _:
            return Display(lambda event: None)


class PlainLines:
    """Lines for a log file: what changes, and for each stage a line every few seconds."""

    def __init__(self, stream: TextIO, progress: Progress) -> None:
        self._stream = stream
        self._progress = progress
        self._shown: dict[str, datetime] = {}
        self._messages = {"warning": 0, "retry": 0, "failure": 0}

    def show(self, event: Event) -> None:
        """Take in one event and print its lines, often none."""
        self._progress.update(event)
        elapsed = clock(self._progress.elapsed())
        for line in self._lines(event, datetime.fromisoformat(event["time"])):
            print(f"[{elapsed}] {printable(line)}", file=self._stream, flush=True)

    def _lines(self, event: Event, now: datetime) -> list[str]:
        match event["kind"]:
            case "planned":
                return [f"{event['run']}: {counted(len(event['models']), 'model')}"]
            case "stage_started":
                return [f"{event['stage']} started"]
            case "stage_progress":
                return self._due(event["stage"], now)
            case "stage_finished":
                return [stage_line(self._progress.stages[event["stage"]], now)]
            case "shard_done":
                return self._due("extract", now)
            case "cells_done":
                return self._due("probe", now)
            case "compared":
                return self._due(event.get("analysis", "similarity"), now)
            case "warning" | "retry" as kind:
                return self._message(kind, f"{kind}: ", self._progress.warnings[-1])
            case "failure":
                return self._new_causes()
            case "run_finished":
                return status_lines(self._progress, now)
        return []

    def _due(self, name: str, now: datetime) -> list[str]:
        """Return the line of a stage, unless its last one is too recent; the last unit always has
        one."""
        stage, last = self._progress.stages[name], self._shown.get(name)
        recent = last is not None and (now - last).total_seconds() < PLAIN_SECONDS
        if recent and stage.done < stage.total:
            return []
        self._shown[name] = now
        return [stage_line(stage, now)]

    def _new_causes(self) -> list[str]:
        """Describe causes of failures when they first appear; the end has all of them."""
        new = list(self._progress.causes)[self._messages["failure"] :]
        lines: list[str] = []
        for cause in new:
            lines += self._message("failure", "FAILED: ", cause.line())
        return lines

    def _message(self, kind: str, start: str, message: str) -> list[str]:
        self._messages[kind] += 1
        if self._messages[kind] > PLAIN_MESSAGES:
            more = self._messages[kind] == PLAIN_MESSAGES + 1
            return [f"{start}more follow, all of them in events.jsonl"] if more else []
        return [start + message]
