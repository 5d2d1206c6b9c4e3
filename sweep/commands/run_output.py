"""Output of a finished run on standard output."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs.storage.regular_files import read_regular
from sweep.progress.wording import printable
from sweep.report.tables import markup
from sweep.results.claims import Claims, read_claims
from sweep.state.run_folder import RunFolder
from sweep.wording import counted

if TYPE_CHECKING:
    from sweep.running.run import RunResult
    from sweep.running.up_to_date import UpToDate

MOST_FINDINGS = 12
"""Number of sentences that are printed; the rest are counted."""


def print_result(result: "RunResult") -> None:
    """Print the comparison tables of a run, its findings, and what was done."""
    if result.run is not None:
        from sweep.report.tables.model_tables import models_tables

        _print_report(models_tables(result.run.models), result.folder)
    if result.status == "done" and result.done == result.planned and not result.ran_cells:
        done = _all_done(result.done)
        print(f"nothing to do: {done}, no extraction and no probe ran")
    else:
        cells, shards = counted(result.ran_cells, "cell"), counted(result.ran_shards, "shard")
        # A comparison of layers can fail, too, although it is not a cell.
        beside = result.status == "failed" and not result.failed
        why = f"; what failed: {result.folder.events}" if beside else ""
        done = f"{counted(result.done, 'cell')} done, {result.failed} failed"
        print(f"{result.status}: {done}; ran {cells} and extracted {shards}{why}")


def print_up_to_date(found: "UpToDate") -> None:
    """Print the comparison tables and findings of a run that was left as it is."""
    _print_report(found.comparison, found.folder)
    done = _all_done(found.done)
    print(f"nothing to do: {done}, and neither code nor inputs have changed")
    print("the report was not rebuilt")


def find_claims(folder: RunFolder) -> Claims:
    """Return the headlines and findings as of the last report; none if there is no report."""
    if not folder.findings.exists():
        return Claims()
    return read_claims(read_regular(folder.findings).decode(errors="replace"))


def print_findings(folder: RunFolder) -> None:
    """Print the headlines, and the findings in short form, as of the last report."""
    claims = find_claims(folder)
    for sentence in claims.headlines:
        print(printable(sentence))
    for sentence in claims.findings[:MOST_FINDINGS]:
        print(printable(_main_clause(sentence)))
    if len(claims.findings) > MOST_FINDINGS:
        print(f"and {len(claims.findings) - MOST_FINDINGS} more, in full: {folder.findings}")


def print_table(table: Table) -> None:
    """Print a table as wide as the terminal; in a file or a pipe, without line wrapping."""
    width = None if sys.stdout.isatty() else 200
    Console(highlight=False, width=width).print(table)


def _print_report(comparison: Iterable[markup.Table], folder: RunFolder) -> None:
    for table in comparison:
        print_table(_comparison(table))
    print_findings(folder)
    print(f"report: {folder.report}")


def _all_done(cells: int) -> str:
    return f"all {cells} cells are done" if cells > 1 else "the only cell is done"


def _main_clause(finding: str) -> str:
    """Shorten a finding by the layers that do not differ from the best one."""
    return finding.partition("; ")[0].removesuffix(".") + "."


def _comparison(comparison: markup.Table) -> Table:
    """Select the columns of a comparison table that fit a terminal; ``models.md`` has all."""
    shown = [
        position
        for position, name in enumerate(comparison.header)
        if not name.endswith((" on embedding", " of best layer", " over layers"))
    ]
    table = Table()
    for position in shown:
        justify: Literal["right", "left"] = "right" if comparison.numeric[position] else "left"
        fixed = comparison.numeric[position] or comparison.header[position] == "Probe"
        table.add_column(comparison.header[position], justify=justify, no_wrap=fixed)
    for row in comparison.rows:
        table.add_row(*(Text(printable(row[position].text)) for position in shown))
    return table
