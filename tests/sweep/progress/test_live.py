"""The live view on a terminal: redrawn in place, also after the terminal became narrower."""

import io

from rich.console import Console

from sweep.progress.live import LiveView
from sweep.state.events import EventLog
from tests.support.live_states import failing, running, state


class Terminal(io.StringIO):
    def isatty(self):
        return True


def sized(view, width, height=24):
    view._console = Console(
        file=view._console.file, width=width, height=height, force_terminal=True
    )


def test_lines_that_a_narrower_terminal_wrapped_are_removed_too():
    live = LiveView(Terminal(), state(running(), 90))
    sized(live, 100)
    drawn = live._render()
    lines = [line.plain for line in drawn.renderables]
    sized(live, 50)
    live._render()
    wrapped = sum(len(line) > 50 for line in lines)
    assert wrapped
    assert live._live._live_render._shape == (50, len(lines) + wrapped)


def test_a_terminal_that_became_wider_has_wrapped_nothing():
    live = LiveView(Terminal(), state(running(), 90))
    sized(live, 80)
    live._render()
    sized(live, 120)
    live._render()
    assert live._live._live_render._shape is None


def test_a_terminal_in_ascii_gets_ascii():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    live = LiveView(stream, state(failing()))
    assert all(line.plain.isascii() for line in live._render().renderables)


def test_a_view_that_cannot_be_drawn_does_not_end_the_run():
    live = LiveView(Terminal(), state(running(), 90))
    with EventLog([live.update]) as events:
        events.emit("cells_done", model="a")  # without what it needs
        events.emit("warning", message="x")
    assert events.listeners == []
