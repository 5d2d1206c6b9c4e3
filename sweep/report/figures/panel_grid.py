"""Panels of equal size in rows, with a heading and a key above them and a note below."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sweep.report.figures.captions import wrapped
from sweep.report.figures.keys import Key, write_keys
from sweep.report.figures.style import TEXT, new_figure, short, text_width
from sweep.report.tables.markup import one_line

_EDGE, _LEFT, _RIGHT, _LEAST = 0.06, 0.6, 0.12, 1.6
"""Inches: left of text, left of panels, right of them, and the smallest width of a panel."""
_GAP, _SHARED_GAP = 0.46, 0.2
"""Inches between panels with an axis of their own, and with a shared one."""
_HEADING, _KEYS, _TITLE, _AXIS, _NOTE = 0.16, 0.13, 0.24, 0.42, 0.13
"""Heights in inches: of a line of the heading, of the key and of the note, of a panel's title, and
of the axis below a panel."""
_HEADING_SIZE, _TITLE_SIZE = 9.0, 8.0
"""Points."""
_BOLD = 1.2
"""Width of bold text relative to that of plain text."""


@dataclass(frozen=True)
class PanelGrid:
    """A figure with panels of equal size, which can be drawn at any width."""

    heading: str
    keys: Sequence[Key]
    titles: Sequence[str]
    """Title of each panel."""
    draw_panel: Callable[[Axes, int], None]
    """Draws one panel, given its position from 0."""
    label: str
    """Name of the vertical axis."""
    height: float
    """Height of a panel in inches."""
    shared: bool = False
    """True if panels side by side have the same vertical axis."""
    note: str = ""
    most: int = 3
    """Maximum number of panels side by side."""

    def draw(self, width: float) -> Figure:
        """Draw the figure ``width`` inches wide; call it within ``figure_style``."""
        gap = _SHARED_GAP if self.shared else _GAP
        room = int((width - _LEFT - _RIGHT + gap) / (_LEAST + gap))
        most = max(1, min(self.most, room))
        across = math.ceil(len(self.titles) / math.ceil(len(self.titles) / most))
        panel = (width - _LEFT - _RIGHT - gap * (across - 1)) / across
        heading = wrapped(self.heading, (width - 2 * _EDGE) / _BOLD, _HEADING_SIZE)
        note = wrapped(self.note, width - 2 * _EDGE, TEXT)
        keys = _HEADING * len(heading) + 0.06
        head = keys + _KEYS * write_keys(None, self.keys, width, 0.0) + 0.04
        row = _TITLE + self.height + _AXIS
        total = head + row * math.ceil(len(self.titles) / across) + _NOTE * len(note)
        figure = new_figure(total, width)
        for number, text in enumerate(heading):
            y = 1 - (0.05 + _HEADING * number) / total
            figure.text(_EDGE / width, y, text, va="top", size=_HEADING_SIZE, weight="bold")
        write_keys(figure, self.keys, width, total - keys)
        for number, title in enumerate(self.titles):
            x = _LEFT + number % across * (panel + gap)
            y = total - head - row * (number // across) - _TITLE - self.height
            axes = figure.add_axes((x / width, y / total, panel / width, self.height / total))
            shown = short(one_line(title), int(panel / text_width("n", _TITLE_SIZE)))
            axes.set_title(shown, loc="left", size=_TITLE_SIZE, pad=3)
            self.draw_panel(axes, number)
            if number % across == 0:
                axes.set_ylabel(self.label)
            elif self.shared:
                axes.tick_params(labelleft=False)
        for number, text in enumerate(note):
            y = _NOTE * (len(note) - number) / total
            figure.text(_EDGE / width, y, text, va="top", size=TEXT, color="#444444")
        return figure
