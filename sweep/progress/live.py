"""The live view on a terminal: the state of a run, redrawn in place at its bottom."""

import threading
from datetime import UTC, datetime
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from sweep.progress.state import Progress
from sweep.progress.view import view
from sweep.state.events import Event

REFRESHES_PER_SECOND = 1.0
"""Clocks show seconds; more often takes more than 1 % of a core."""


class LiveView:
    """Live view, never higher or wider than the terminal, so that redrawing does not scroll."""

    def __init__(self, stream: TextIO, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()  # events come from the driver's thread, refreshes from Live's
        self._console = Console(file=stream, highlight=False)
        self._drawn: Group | None = None
        self._width = self._console.width
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=REFRESHES_PER_SECOND,
            redirect_stdout=False,  # data stays on standard output
        )

    def start(self) -> None:
        """Draw, and keep drawing from a separate thread."""
        self._live.start(refresh=True)

    def stop(self) -> None:
        """Draw a last time and leave that on the screen."""
        self._live.stop()

    def update(self, event: Event) -> None:
        """Take in one event; it is seen at the next refresh."""
        with self._lock:
            self._progress.update(event)

    def _render(self) -> Group:
        console = self._console
        width, height = console.size
        self._note_width(width)
        with self._lock:
            now = self._progress.moment(datetime.now(UTC))
            ascii_only = console.options.ascii_only
            self._drawn = view(self._progress, now, width, height - 1, ascii_only=ascii_only)
        return self._drawn

    def _note_width(self, width: int) -> None:
        """Account for lines that a terminal has wrapped since they were drawn in a wider one.

        Rich moves up by the lines that it drew, and would leave the rest on the screen.
        """
        if width < self._width and self._drawn is not None:
            lines = [line.plain for line in self._drawn.renderables if isinstance(line, Text)]
            rows = sum(max(1, -(-cell_len(line) // width)) for line in lines)
            self._live._live_render._shape = (width, rows)
        self._width = width
