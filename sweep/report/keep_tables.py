"""Refusal to replace the tables of a run by shorter ones, because of files that were damaged."""

import csv
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from sweep.errors import RunError
from sweep.results.run import Run
from sweep.state.run_folder import RunFolder


def refuse_shorter_tables(run: Run, tables: Mapping[str, pd.DataFrame]) -> None:
    """Make sure that a report loses no row that the run's own last report had.

    Only tables that were written since the plan are compared: a spec may have got smaller, and
    ``--fresh`` forgets cells.

    Args:
        run: the run.
        tables: name → the table to be written.

    Raises:
        RunError: a line of the ledger cannot be read, or a table would be shorter.
    """
    metrics = run.folder.tables / "metrics.csv"
    if run.damaged and metrics.exists():
        raise RunError(
            f"{run.folder.ledger}: {run.damaged[0]}"
            + (f", and {len(run.damaged) - 1} more lines" if len(run.damaged) > 1 else "")
            + "; the tables are left as they are: run the spec again, which computes the cells anew"
        )
    for name, table in tables.items():
        path = run.folder.tables / f"{name}.csv"
        before = _n_rows(path) if _is_current(path, run.folder) else 0
        if before > len(table):
            raise RunError(
                f"{path} has {before} rows, and would have {len(table)}, as files of the run are "
                "missing or damaged: run the spec again, or delete the table to have it shorter"
            )


def _is_current(path: Path, folder: RunFolder) -> bool:
    try:
        return path.stat().st_mtime_ns >= folder.plan.stat().st_mtime_ns
    except FileNotFoundError:
        return False


def _n_rows(path: Path) -> int:
    """Count the rows of a table; 0 if it is not one that was written by a report."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return max(0, sum(1 for _ in csv.reader(file)) - 1)
    except (UnicodeDecodeError, csv.Error):
        return 0
