"""Output of ``sweep list``: the runs in a folder, from their events."""

from datetime import datetime
from pathlib import Path

from rich.table import Table
from rich.text import Text

from sweep.commands.run_output import print_table
from sweep.errors import UsageError
from sweep.progress.state import Progress
from sweep.progress.wording import printable
from sweep.state.control import DriverLease
from sweep.state.events import read_events
from sweep.state.run_folder import RunFolder

COLUMNS = ("run", "state", "cells done", "failed", "planned", "last event")


def print_list(folder: Path) -> None:
    """Print a row for each run in ``folder``, by name.

    Raises:
        UsageError: there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"no folder {folder}: expected a folder with runs in it, such as results")
    runs = [RunFolder(path) for path in sorted(folder.iterdir())]
    runs = [run for run in runs if run.plan.exists()]
    if not runs:
        print(f"no runs in {folder}")
        return
    table = Table()
    for name in COLUMNS:
        number = name in ("cells done", "failed", "planned")
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for run in runs:
        table.add_row(*(Text(printable(text)) for text in _row(run)))
    print_table(table)


def _row(run: RunFolder) -> tuple[str, ...]:
    try:
        driven = DriverLease(run).holder() is not None
        events = read_events(run.events)
    except FileNotFoundError:
        events = []
    except (OSError, ValueError):
        return (run.root.name, "events.jsonl cannot be read", "", "", "", "")
    progress = Progress()
    for event in events:
        progress.update(event)
    state = "running" if driven else progress.status if events else "not started"
    if not driven and state == "running":
        state = "stopped"  # its driver died
    probe = progress.stages.get("probe")
    counts = ("", "", "")
    if events and events[-1]["kind"] == "run_finished":
        done, failed = events[-1]["done"], events[-1]["failed"]
        counts = (str(done), str(failed), str(probe.total if probe else done + failed))
    elif probe is not None and probe.total:
        counts = (str(probe.done - probe.failed), str(probe.failed), str(probe.total))
    last = f"{datetime.fromisoformat(events[-1]['time']):%Y-%m-%d %H:%M}" if events else ""
    return (run.root.name, state, *counts, last)
