"""Lines for a log file, or for a terminal that cannot redraw: what changes, and signs of life."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

from sweep.progress.estimate import time_left
from sweep.progress.state import ENDED, Progress
from sweep.progress.status import stage_line, status_lines
from sweep.progress.wording import clock, printable
from sweep.state.events import Event
from sweep.wording import counted

PLAIN_SECONDS = 5.0
"""Seconds between two plain lines of one stage, by the time of the events."""
PLAIN_MESSAGES = 20
"""Number of warnings, of retries and of failures that get their own plain lines."""
SILENCE_SECONDS = 30.0
"""Seconds without a line after which there is a sign of life."""


class PlainLines:
    """Lines for a log file: what changes, for each stage a line every few seconds, and a sign of
    life after a silence.

    Args:
        stream: where they are written.
        progress: the state, empty at first.
        now: the time.
    """

    def __init__(
        self,
        stream: TextIO,
        progress: Progress,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._stream = stream
        self._progress = progress
        self._now = now
        self._printed = now()
        self._lock = threading.Lock()  # events come from the driver's thread, signs from another
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._keep_alive, daemon=True)
        self._shown: dict[str, datetime] = {}
        self._messages = {"warning": 0, "retry": 0, "failure": 0}

    def start(self) -> None:
        """Watch for silences from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopped.set()
        self._thread.join()

    def show(self, event: Event) -> None:
        """Take in one event and print its lines, often none."""
        with self._lock:
            self._progress.update(event)
            elapsed = self._progress.elapsed()
            self._print(self._lines(event, datetime.fromisoformat(event["time"])), elapsed)

    def sign_of_life(self) -> None:
        """Print what is going on, unless something was printed a short while ago."""
        with self._lock:
            now = self._now()
            silent = (now - self._printed).total_seconds()
            if silent < SILENCE_SECONDS or self._progress.status in ENDED:
                return
            progress = self._progress
            running = [s for s in progress.stages.values() if s.started and not s.ended and s.total]
            parts = [stage_line(stage, now) for stage in running]
            left = time_left(progress, now)
            if left is not None:
                about = "about" if left.complete else "at least"
                parts.append(f"{about} {clock(left.seconds)} left")
            if progress.activity_since is not None:
                ago = clock((now - progress.activity_since).total_seconds())
                parts.append(f"{progress.activity} ({ago} ago)")
            self._print([" · ".join(parts)] if parts else [], progress.elapsed(now))

    def _keep_alive(self) -> None:
        while not self._stopped.wait(SILENCE_SECONDS / 6):
            self.sign_of_life()

    def _print(self, lines: list[str], elapsed: float) -> None:
        for line in lines:
            print(f"[{clock(elapsed)}] {printable(line)}", file=self._stream, flush=True)
        if lines:
            self._printed = self._now()

    def _lines(self, event: Event, now: datetime) -> list[str]:
        match event["kind"]:
            case "planned":
                return [f"{event['run']}: {counted(len(event['models']), 'model')}"]
            case "stage_started":
                return [f"{event['stage']} started"]
            case "stage_progress":
                return self._due(event["stage"], now)
            case "activity":
                return [event["message"]]
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
