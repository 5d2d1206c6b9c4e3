"""Displays of a running sweep: a live view, plain lines or JSON lines, drawn from events.

A display writes to the stream it is given (standard error, for a run) and never to standard
output, which is for data.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, TextIO

from sweep.progress.live import LiveView
from sweep.progress.plain import PlainLines
from sweep.progress.state import Progress
from sweep.state.events import Event, Listener

Kind = Literal["rich", "plain", "json", "none"]
NO_CURSOR = ("dumb", "unknown")
"""Values of TERM of terminals that cannot redraw."""


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
    """Make a display on ``stream``; without a ``kind``, rich on a terminal that can redraw, and
    plain lines elsewhere."""
    match kind or ("rich" if _redraws(stream) else "plain"):
        case "rich":
            view = LiveView(stream, Progress())
            return Display(view.update, view.start, view.stop)
        case "plain":
            lines = PlainLines(stream, Progress())
            return Display(lines.show, lines.start, lines.stop)
        case "json":
            return Display(lambda event: print(json.dumps(event), file=stream, flush=True))
        case _:
            return Display(lambda event: None)


def _redraws(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM", "") not in NO_CURSOR
