"""Output of ``sweep compare``."""

import json
from pathlib import Path

from rich.table import Table
from rich.text import Text

from sweep.commands.print_table import print_table
from sweep.comparison.compare import SAME, Comparison
from sweep.comparison.tables import best_places, scores_table, settings_table
from sweep.progress.wording import printable
from sweep.report.tables import markup

MOST_ROWS = 40
"""Rows of a target that are printed; of more, those of the best layers."""


def print_comparison(found: Comparison, page: Path | None, *, as_json: bool = False) -> None:
    """Print the settings that differ, a table for each target, and where the page is."""
    if as_json:
        print(json.dumps(_values(found), indent=1))
        return
    if found.settings:
        print_table(_rich(settings_table(found.labels, found.settings)))
    else:
        print(SAME)
    for target in found.targets:
        rows = found.scores.table[found.scores.table["target"] == target]
        whole = scores_table(found.labels, rows)
        shown = whole
        if len(whole.rows) > MOST_ROWS:
            shown = scores_table(found.labels, best_places(rows))
        print(f"\n{printable(target)}")
        print_table(_rich(shown))
        if len(shown.rows) < len(whole.rows):
            hidden = len(whole.rows) - len(shown.rows)
            print(f"best layers only; {hidden} more rows: --out FOLDER, or --json")
    for note in found.scores.notes:
        print(printable(note))
    if page is not None:
        print(page)


def _rich(table: markup.Table) -> Table:
    shown = Table()
    for name, numeric in zip(table.header, table.numeric, strict=True):
        shown.add_column(printable(name), justify="right" if numeric else "left")
    for row in table.rows:
        shown.add_row(*(Text(printable(cell.text)) for cell in row))
    return shown


def _values(found: Comparison) -> dict[str, object]:
    """Return the comparison as plain values; undefined numbers are null."""
    table = found.scores.table
    return {
        "runs": list(found.labels),
        "settings": {
            row.key: dict(zip(found.labels, row.values, strict=True)) for row in found.settings
        },
        "scores": table.astype(object).where(table.notna(), None).to_dict("records"),
        "notes": list(found.scores.notes),
    }
