"""Small multiples: a grid of panels of curves, one row per target, one column per network.

Networks with the same layers share a column, and the rows of a single column flow over the width.
Everything is laid out in inches, so that a figure has exactly its width and no text is cut.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pandas as pd
from matplotlib.figure import Figure

from sweep.report.figures.captions import caption_of, wrapped
from sweep.report.figures.columns import Column
from sweep.report.figures.curve_panel import draw_curves
from sweep.report.figures.keys import keys_of, write_keys
from sweep.report.figures.layer_names import draw_layer_names, draw_ticks, names_height
from sweep.report.figures.lines import GREY, Line, baseline_label
from sweep.report.figures.panel import Panel
from sweep.report.figures.scores import Score, baselines_in, score_of_speaker_mean
from sweep.report.figures.style import COLOURS, TEXT, WIDTH, new_figure, short, text_width

HEAD, TITLE = 9.0, 8.0
"""Sizes of the heading of a figure and of titles of rows, in points."""
_EDGE, _LEFT, _GAP, _BARE = 0.06, 0.52, 0.07, 0.1
"""Inches: left edge of text, left edge of panels, gap between columns, right of panels without
names of references."""
_LINE = 0.13
"""Height in inches of a line of text."""
_TITLE = 0.19
_LEAST, _LEAST_FLOWING = 0.8, 1.9
"""Smallest width of a panel in inches, in a grid and where rows flow."""
_LOWER = 0.85
"""Height of panels of narrow figures relative to wide ones."""
_BOLD = 1.2
"""Width of bold text relative to that of plain text."""
_BETWEEN = 0.12
"""Gap in inches between two rows of panels."""


@dataclass(frozen=True)
class Row:
    """What one row of panels shows."""

    title: str
    rows: pd.DataFrame
    """Points of all models, and baselines."""
    score: Score
    limits: tuple[float, float]
    label: str
    """Of the axis of scores, with its unit."""
    meaning: str = ""
    """Explanation beside the title."""
    brief: str = ""
    """Shorter title, used if the full one does not fit; if empty, the full title is truncated."""


@dataclass(frozen=True)
class Multiples:
    """A figure in small multiples, whatever its width."""

    rows: Sequence[Row]
    columns: Sequence[Column]
    styles: dict[str, Line]
    heading: str = ""
    height: float = 1.0
    """Height of a panel in inches."""
    detailed: bool = False
    notes: Sequence[str] = ()
    """Sentences at the end of the caption."""
    seeds: bool = False
    """True if bands of untrained models are ranges over seeds."""

    def draw(self, width: float) -> Figure:
        """Draw the figure ``width`` inches wide; call it within ``figure_style``."""
        return _draw(self, _layout(self, width))


@dataclass(frozen=True)
class _Layout:
    width: float
    height: float
    """Height of a panel."""
    panel: float
    """Width of a panel."""
    across: int
    """Panels side by side."""
    named: bool
    """True if references are named at the right of panels, False if in the key."""
    flowing: bool
    """True if rows flow, as there is a single column."""
    gap: float
    lines: Sequence[Sequence[tuple[Row, Column]]] = field(default_factory=list)
    """Panels of each line."""


def _layout(figure: Multiples, width: float) -> _Layout:
    flowing = len(figure.columns) == 1
    height = figure.height * (1.0 if width >= WIDTH else _LOWER)
    right = max(text_width(name, TEXT) for name in _references(figure)) + 0.1
    if flowing:
        gap = right + _LEFT + 0.05
        across = max(
            1, min(len(figure.rows), int((width - _LEFT - right + gap) / (_LEAST_FLOWING + gap)))
        )
        panel = (width - _LEFT - right - gap * (across - 1)) / across
        lines = [
            [(row, figure.columns[0]) for row in figure.rows[start : start + across]]
            for start in range(0, len(figure.rows), across)
        ]
        return _Layout(width, height, panel, across, True, True, gap, lines)
    n = len(figure.columns)
    at_once = {
        named: max(1, int((width - _LEFT - beside + _GAP) / (_LEAST + _GAP)))
        for named, beside in ((True, right), (False, _BARE))
    }
    named = width >= WIDTH and math.ceil(n / at_once[True]) <= math.ceil(n / at_once[False])
    across = math.ceil(n / math.ceil(n / at_once[named]))
    panel = (width - _LEFT - (right if named else _BARE) - _GAP * (across - 1)) / across
    lines = [
        [(row, column) for column in figure.columns[start : start + across]]
        for start in range(0, n, across)
        for row in figure.rows
    ]
    return _Layout(width, height, panel, across, named, False, _GAP, lines)


def _references(figure: Multiples) -> Iterator[str]:
    """Names at the right of panels, with room for an arrow."""
    for row in figure.rows:
        yield f"{row.score.knows_nothing} ▼"
        if row.score.full is not None:
            yield f"{row.score.full[1]} ▼"
        yield from (f"{baseline_label(model)} ▼" for model in baselines_in(row.rows))
        if figure.detailed and score_of_speaker_mean(row.score, row.rows) is not None:
            yield "speaker mean ▼"


def _titles(figure: Multiples, layout: _Layout, number: int) -> bool:
    """Return whether the line has titles of its columns above."""
    if layout.flowing:
        return False
    return number % len(figure.rows) == 0


def _last(figure: Multiples, layout: _Layout, number: int) -> bool:
    """Return whether the line has names of layers below."""
    return layout.flowing or (number + 1) % len(figure.rows) == 0


def _title_lines(layout: _Layout, row: Row) -> int:
    """Number of lines of a row's title: 2 if its meaning does not fit beside it; 0 without."""
    if not row.title:
        return 0
    room = layout.panel + _LEFT if layout.flowing else layout.width
    both = text_width(row.title, TITLE) * _BOLD + text_width(row.meaning, TEXT) + 0.25
    return 2 if row.meaning and both > room else 1


def _draw(figure: Multiples, layout: _Layout) -> Figure:
    everything = [panel for line in layout.lines for panel in _panels(figure, layout, line)]
    keys = keys_of(figure.columns, figure.styles, [panel for panel, _ in everything])
    caption = caption_of(
        [panel for panel, _ in everything], layout.width - 2 * _EDGE, figure.notes,
        seeds=figure.seeds,
    )  # fmt: skip
    key_lines = write_keys(None, keys, layout.width, 0.0)
    heading = wrapped(figure.heading, (layout.width - 2 * _EDGE) / _BOLD, HEAD)
    head = 0.16 * len(heading) + 0.08 * bool(heading)
    heights = [_line_height(figure, layout, number) for number in range(len(layout.lines))]
    total = head + _LINE * key_lines + 0.06 + sum(heights) + _LINE * len(caption) + 0.04
    made = new_figure(total, layout.width)
    for number, text in enumerate(heading):
        at = 1 - (0.05 + 0.16 * number) / total
        made.text(_EDGE / layout.width, at, text, va="top", size=HEAD, weight="bold")
    write_keys(made, keys, layout.width, total - head)
    y = total - head - _LINE * key_lines - 0.06
    for number, line in enumerate(layout.lines):
        _draw_line(made, figure, layout, number, line, y)
        y -= heights[number]
    for number, text in enumerate(caption):
        at = (_LINE * (len(caption) - number)) / total
        made.text(_EDGE / layout.width, at, text, va="top", size=TEXT, color="#444444")
    return made


def _line_height(figure: Multiples, layout: _Layout, number: int) -> float:
    line = layout.lines[number]
    overhang = _overhang(layout)
    names = max(names_height(column.depth, layout.panel, overhang) for _, column in line)
    below = names if _last(figure, layout, number) else 0.0
    return _above(figure, layout, number) + layout.height + below + _BETWEEN


def _overhang(layout: _Layout) -> float:
    """Inches by which names of layers may reach beyond a panel."""
    return 0.25 if layout.flowing else layout.gap / 2 - 0.02


def _above(figure: Multiples, layout: _Layout, number: int) -> float:
    """Height above the panels of a line, with room for a name that reaches above."""
    lines = max(_title_lines(layout, row) for row, _ in layout.lines[number])
    title = _TITLE + _LINE * (lines - 1) if lines else 0.0
    return title + _LINE * 1.2 * _titles(figure, layout, number) + 0.12


def _panels(
    figure: Multiples, layout: _Layout, line: Sequence[tuple[Row, Column]]
) -> Iterator[tuple[Panel, Column]]:
    for position, (row, column) in enumerate(line):
        baselines = baselines_in(row.rows)
        own = row.rows[row.rows["model"].isin([*column.models, *baselines])]
        others = row.rows[row.rows["model"].isin(column.others)]
        at_end = position == len(line) - 1
        yield (
            Panel(
                own, row.score, row.limits, (layout.panel, layout.height),
                detailed=figure.detailed,
                named_references=layout.named and (layout.flowing or at_end),
                context=others if len(others) else None,
            ),
            column,
        )  # fmt: skip


def _draw_line(
    made: Figure,
    figure: Multiples,
    layout: _Layout,
    number: int,
    line: Sequence[tuple[Row, Column]],
    top: float,
) -> None:
    """Draw a line of panels whose upper edge with titles is at ``top``."""
    width, total = layout.width, float(made.get_figheight())
    titled = _titles(figure, layout, number)
    y = top - _above(figure, layout, number) - layout.height
    for position, (panel, column) in enumerate(_panels(figure, layout, line)):
        row = line[position][0]
        x = _LEFT + position * (layout.panel + layout.gap)
        axes = made.add_axes((x / width, y / total, layout.panel / width, layout.height / total))
        if _last(figure, layout, number):
            draw_layer_names(axes, column.depth, layout.panel, _overhang(layout))
        else:
            draw_ticks(axes, column.depth, layout.panel)
        draw_curves(axes, panel, column.depth, _own_styles(figure.styles, column))
        if position == 0 or layout.flowing:
            axes.set_ylabel(row.label, size=TEXT)
            axes.yaxis.set_label_coords(-0.4 / layout.panel, 0.5)
        else:
            axes.tick_params(labelleft=False)
        if titled:
            title = _cut(column.title, layout.panel, TEXT, bold=True)
            made.text((x + layout.panel / 2) / width, (top - 0.02) / total, title, va="top",
                      ha="center", size=TEXT, weight="bold")  # fmt: skip
        if position == 0 or layout.flowing:
            _write_title(made, layout, row, x, top - _LINE * 1.2 * titled)


def _write_title(made: Figure, layout: _Layout, row: Row, x: float, top: float) -> None:
    if not row.title:
        return
    width, total = layout.width, float(made.get_figheight())
    room = (layout.panel + _LEFT if layout.flowing else width) - _EDGE
    left = x - _LEFT + _EDGE
    fits = text_width(row.title, TITLE) * _BOLD <= room
    title = _cut(row.title if fits else row.brief or row.title, room, TITLE, bold=True)
    made.text(left / width, (top - 0.02) / total, title, va="top", size=TITLE, weight="bold")
    if not row.meaning:
        return
    grey = {"size": TEXT, "color": "#444444", "va": "top"}
    if _title_lines(layout, row) == 2:
        made.text(left / width, (top - 0.16) / total, row.meaning, **grey)  # type: ignore[arg-type]
    else:
        beside = left + text_width(title, TITLE) * _BOLD + 0.12
        made.text(beside / width, (top - 0.03) / total, row.meaning, **grey)  # type: ignore[arg-type]


def _own_styles(styles: dict[str, Line], column: Column) -> dict[str, Line]:
    """Styles in which a network that stands alone has a colour, however many there are."""
    if len(column.networks) > 1 or all(styles[model][0] != GREY for model in column.models):
        return styles
    return styles | {model: (COLOURS[0], styles[model][1]) for model in column.models}


def _cut(text: str, room: float, size: float, *, bold: bool = False) -> str:
    """Shorten ``text`` to ``room`` inches."""
    length = len(text)
    factor = _BOLD if bold else 1.0
    while length > 4 and text_width(short(text, length), size) * factor > room:
        length -= 1
    return short(text, length)
