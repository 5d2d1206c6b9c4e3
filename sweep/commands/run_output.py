"""Output of a finished run on standard output."""

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from sweep.commands.fitted_table import fitted, terminal_columns, with_failed
from sweep.commands.run_lines import next_steps, print_causes, print_findings
from sweep.progress.causes import causes_of
from sweep.report.tables import markup
from sweep.wording import counted

if TYPE_CHECKING:
    from sweep.results.records import RunRecords
    from sweep.running.run import RunResult
    from sweep.running.up_to_date import UpToDate


def print_result(result: "RunResult") -> None:
    """Print the comparison tables of a run, its findings, what failed, what was done, and the
    next command."""
    run = result.run
    if run is not None:
        from sweep.report.tables.model_tables import models_tables

        print_comparison(models_tables(run.models), failed_models(run))
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
    print_comparison(found.comparison)
    print_findings(found.folder)
    done = _all_done(found.done)
    print(f"nothing to do: {done}, and neither code nor inputs have changed")
    print("the report was not rebuilt")
    for line in next_steps(found.folder):
        print(line)


def failed_models(run: "RunRecords") -> list[str]:
    """Names of the models that have failed cells and no others, in plan order."""
    statuses: dict[str, set[str]] = {}
    for record in run.records.values():
        statuses.setdefault(record.model, set()).add(record.status)
    return [model.name for model in run.plan.models if statuses.get(model.name) == {"failed"}]


def print_comparison(tables: Iterable[markup.Table], failed: Sequence[str] = ()) -> None:
    """Print comparison tables that fit the terminal, with rows for ``failed`` models."""
    terminal = sys.stdout.isatty()
    # In a file or a pipe, a table is as wide as it needs to be.
    console = Console(highlight=False, width=None if terminal else 10_000)
    for table in tables:
        shown = with_failed(terminal_columns(table), failed)
        for part in fitted(shown, console.width):
            console.print(part)
        print()


def _all_done(cells: int) -> str:
    return f"all {cells} cells are done" if cells > 1 else "the only cell is done"
