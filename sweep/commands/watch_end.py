"""End of a watched run, as ``sweep run`` prints it: tables, findings, failures, next command."""

import sys
from collections import Counter
from pathlib import Path

import pandas as pd

from sweep.commands.run_lines import next_steps, print_causes, print_findings
from sweep.commands.run_output import failed_models, print_comparison
from sweep.progress.causes import causes_of
from sweep.report.tables.model_tables import models_tables
from sweep.results.records import RunRecords
from sweep.state.mirror import fetch_records
from sweep.state.run_folder import RunFolder
from sweep.wording import counted

TEXTS = ("model", "target", "probe", "probe_kind", "target_kind", "best_layer", "interval_over")
"""Columns of ``models.csv`` that are names: an empty one, or ``nan``, is not a missing number."""


def print_end(folder: RunFolder, status: str) -> None:
    """Print the end of a run that another process drove.

    Tables are printed as they stand in its folder, and none where it has none: that of a run on an
    object store has only what a run's state is read from.

    Args:
        folder: the run.
        status: its last event's.
    """
    if not fetch_records(folder).plan.exists():  # it ended before it knew what to do
        return
    run = RunRecords(folder)
    table = folder.tables / "models.csv"
    if table.exists():
        print_comparison(models_tables(_read(table)), failed_models(run))
    print_findings(folder)
    print_causes(causes_of(run.records.values(), run.plan.probes), sys.stdout.isatty())
    counts = Counter(record.status for record in run.records.values())
    done, failed = counts["done"], counts["failed"]
    print(f"{status}: {counted(done, 'cell')} done, {failed} failed")
    for line in next_steps(folder, failed=failed, left=run.plan.n_cells - done - failed):
        print(line)


def _read(path: Path) -> pd.DataFrame:
    header = map(str, pd.read_csv(path, nrows=0))
    numbers = [name for name in header if name not in TEXTS]
    return pd.read_csv(
        path,
        dtype=dict.fromkeys(TEXTS, str),
        keep_default_na=False,
        na_values=dict.fromkeys(numbers, ""),
    )
