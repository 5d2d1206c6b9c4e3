"""Comparison tables at any width: as they are, stacked by target, or as records; nothing is cut."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from sweep.progress.wording import printable
from sweep.report.tables.markup import MISSING, Cell, Table

FAILED = "failed"
_TARGET, _MODEL, _BEST = "Target", "Model", "Best layer"


def terminal_columns(table: Table) -> Table:
    """Select the columns that are shown on a terminal; ``models.md`` has all."""
    left_out = (" on embedding", " of best layer", " over layers")
    return _columns(table, [name for name in table.header if not name.endswith(left_out)])


def with_failed(table: Table, models: Sequence[str]) -> Table:
    """Add rows for models none of whose cells have scores, below each target's last row."""
    rows: list[tuple[Cell, ...]] = []
    for target, group in list(_groups(table)) or [("", table)]:
        rows += group.rows
        rows += [tuple(_failed_row(table.header, target, name)) for name in models]
    return replace(table, rows=tuple(rows))


def fitted(table: Table, width: int) -> Iterator[RenderableType]:
    """Lay out a table in ``width`` columns, as compact as it has to be.

    A table that is too wide is stacked: a table for each target, under a line with the values that
    all of its rows share. Where one of them is still too wide, each row is a block of lines.
    """
    whole = _drawn(table)
    if _width_of(whole) <= width:
        yield whole
        return
    for number, (target, group) in enumerate(_groups(table)):
        if number:
            yield Text()
        shared = _shared(group)
        about = [f"{name} {value}" for name, value in shared.items() if name != _TARGET]
        heading = " · ".join([*([target] if target else []), *about])
        if heading:
            yield Text(printable(heading), style="bold")
        rest = _columns(group, [name for name in group.header if name not in shared])
        narrow = _drawn(rest)
        if _width_of(narrow) <= width:
            yield narrow
        else:
            yield from _records(rest)


def _columns(table: Table, names: Collection[str]) -> Table:
    kept = [position for position, name in enumerate(table.header) if name in names]

    def pick(values: Sequence[Cell]) -> tuple[Cell, ...]:
        return tuple(values[position] for position in kept)

    return Table(
        tuple(table.header[position] for position in kept),
        tuple(table.numeric[position] for position in kept),
        tuple(map(pick, table.rows)),
    )


def _groups(table: Table) -> Iterator[tuple[str, Table]]:
    """Split a table by target; a table of a single target names none."""
    if _TARGET not in table.header:
        yield "", table
        return
    place = table.header.index(_TARGET)
    for target in dict.fromkeys(row[place].text for row in table.rows):
        rows = tuple(row for row in table.rows if row[place].text == target)
        yield target, replace(table, rows=rows)


def _shared(table: Table) -> dict[str, str]:
    """Values that all rows with a value share, by the name of their column."""
    shared = {}
    for position, name in enumerate(table.header):
        values = {row[position].text for row in table.rows} - {MISSING}
        if len(values) == 1 and name != _MODEL and not name.startswith(_BEST):
            shared[name] = values.pop()
    return shared


def _failed_row(header: Sequence[str], target: str, model: str) -> Iterator[Cell]:
    for name in header:
        if name == _TARGET:
            yield Cell(target)
        elif name == _MODEL:
            yield Cell(model)
        else:
            yield Cell(FAILED if name.startswith(_BEST) else MISSING)


def _drawn(table: Table) -> RichTable:
    drawn = RichTable(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for position, name in enumerate(table.header):
        justify: Literal["right", "left"] = "right" if table.numeric[position] else "left"
        body = max((cell_len(row[position].text) for row in table.rows), default=0)
        drawn.add_column(_folded(printable(name), body), justify=justify, no_wrap=True)
    targets = [row[0].text for row in table.rows] if _TARGET in table.header[:1] else []
    for number, row in enumerate(table.rows):
        style = "red" if any(cell.text == FAILED for cell in row) else ""
        last = len(set(targets[number : number + 2])) > 1  # of its target
        drawn.add_row(*(Text(printable(cell.text)) for cell in row), style=style, end_section=last)
    return drawn


def _folded(title: str, width: int) -> Text:
    """Break a title into lines about as wide as the values below it."""
    lines: list[str] = []
    for word in re.findall(r"\[[^]]*\]|\S+", title):
        if lines and cell_len(f"{lines[-1]} {word}") <= max(width, 8):
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return Text("\n".join(lines))


def _records(table: Table) -> Iterator[RenderableType]:
    """A block for each row: its model, and its values below, wrapped where they are too long."""
    for row in table.rows:
        values = dict(zip(table.header, (printable(cell.text) for cell in row), strict=True))
        title = values.pop(_MODEL, "")
        if title:
            yield Text(title, overflow="fold")
        known = (f"{name}: {value}" for name, value in values.items() if value != MISSING)
        yield Padding(Text("\n".join(known), overflow="fold"), (0, 0, 0, 2), expand=False)


def _width_of(table: RichTable) -> int:
    console = Console(width=10_000)
    return console.measure(table).maximum
