"""Output of a finished run on standard output."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs.storage.regular_files import read_regular
from sweep.commands.fitted_table import fitted, terminal_columns, with_failed
from sweep.commands.names import run_argument, short_path
from sweep.progress.causes import Causes, causes_of
from sweep.progress.wording import printable
from sweep.report.tables import markup
from sweep.results.claims import Claims, read_claims
from sweep.state.control import resume_command, retry_command
from sweep.state.run_folder import RunFolder
from sweep.wording import counted

if TYPE_CHECKING:
    from sweep.results.records import RunRecords
    from sweep.running.run import RunResult
    from sweep.running.up_to_date import UpToDate

MOST_FINDINGS = 12
"""Number of sentences that are printed; the rest are counted."""
MOST_CAUSES = 10
"""Number of causes of failures that are printed; the rest are counted."""
WIDE = 200
"""Columns of a table in a file or a pipe, unless it needs more."""


def print_result(result: "RunResult") -> None:
    """Print the comparison tables of a run, its findings, what failed, what was done, and the
    next command."""
    run = result.run
    if run is not None:
        from sweep.report.tables.model_tables import models_tables

        _print_comparison(models_tables(run.models), failed_models(run))
        print_findings(result.folder)
    if run is not None and result.failed:
        print_causes(causes_of(run.records.values(), run.plan.probes), sys.stdout.isatty())
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
    if run is not None:
        left = result.planned - result.done - result.failed
        for line in next_steps(result.folder, failed=result.failed, left=left):
            print(line)


def print_up_to_date(found: "UpToDate") -> None:
    """Print the comparison tables and findings of a run that was left as it is."""
    _print_comparison(found.comparison)
    print_findings(found.folder)
    done = _all_done(found.done)
    print(f"nothing to do: {done}, and neither code nor inputs have changed")
    print("the report was not rebuilt")
    for line in next_steps(found.folder):
        print(line)


def next_steps(folder: RunFolder, *, failed: int = 0, left: int = 0) -> Iterator[str]:
    """Say where the report of a run is, and the next useful command.

    Args:
        folder: the run.
        failed: number of cells that failed.
        left: number of cells that are still to do.
    """
    if failed:
        again = retry_command(folder, run_argument(folder))
        yield f"fix the cause, then run what failed again: {again}"
    if left:
        yield f"{counted(left, 'cell')} still to do; {resume_command(folder)}"
    if folder.report.exists():
        yield f"report: {short_path(folder.report)}"
        yield f"see it: sweep view {run_argument(folder)}"


def failed_models(run: "RunRecords") -> list[str]:
    """Names of the models that have failed cells and no others, in plan order."""
    statuses: dict[str, set[str]] = {}
    for record in run.records.values():
        statuses.setdefault(record.model, set()).add(record.status)
    return [model.name for model in run.plan.models if statuses.get(model.name) == {"failed"}]


def print_causes(causes: Causes, terminal: bool) -> None:
    """Print a line for each cause of failures, in red on a terminal."""
    console = Console(highlight=False, width=None if terminal else 10_000)
    for cause in list(causes)[:MOST_CAUSES]:
        console.print(Text(f"failed: {cause.line()}", style="red"))
    if len(causes) > MOST_CAUSES:
        print(f"failed: {len(causes) - MOST_CAUSES} more causes, all in events.jsonl")


def find_claims(folder: RunFolder) -> Claims:
    """Return the headlines and findings as of the last report; none if there is no report."""
    if not folder.findings.exists():
        return Claims()
    return read_claims(read_regular(folder.findings).decode(errors="replace"))


def print_findings(folder: RunFolder) -> None:
    """Print the headlines, and the findings in short form, as of the last report."""
    claims = find_claims(folder)
    for sentence in (*claims.headlines, *map(_main_clause, claims.findings[:MOST_FINDINGS])):
        print(_wrapped(printable(sentence)))
    if len(claims.findings) > MOST_FINDINGS:
        print(f"and {len(claims.findings) - MOST_FINDINGS} more, in full: {folder.findings}")


def print_table(table: Table) -> None:
    """Print a table as wide as the terminal; in a file or a pipe, without line wrapping."""
    width = None if sys.stdout.isatty() else WIDE
    Console(highlight=False, width=width).print(table)


def _print_comparison(tables: Iterable[markup.Table], failed: Sequence[str] = ()) -> None:
    terminal = sys.stdout.isatty()
    # In a file or a pipe, a table is as wide as it needs to be.
    console = Console(highlight=False, width=None if terminal else 10_000)
    for table in tables:
        shown = with_failed(terminal_columns(table), failed)
        for part in fitted(shown, console.width):
            console.print(part)
        print()


def _wrapped(sentence: str) -> str:
    """Break a sentence between words, on a terminal; in a file it is a line."""
    if not sys.stdout.isatty():
        return sentence
    width = Console().width
    return "\n".join(wrap(sentence, width, subsequent_indent="  ", break_on_hyphens=False))


def _all_done(cells: int) -> str:
    return f"all {cells} cells are done" if cells > 1 else "the only cell is done"


def _main_clause(finding: str) -> str:
    """Shorten a finding by the layers that do not differ from the best one."""
    return finding.partition("; ")[0].removesuffix(".") + "."
