"""Output of ``sweep list``: the runs in a folder, from their events."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from sweep.commands.print_table import print_table
from sweep.errors import UsageError
from sweep.progress.state import Progress
from sweep.progress.wording import printable
from sweep.state.control import DriverLease
from sweep.state.events import read_events
from sweep.state.run_folder import RunFolder

COLUMNS = ("run", "state", "cells done", "failed", "planned", "last event")


@dataclass(frozen=True)
class RunState:
    """State of a run; None for values that its events do not contain."""

    run: str
    """Name of its folder."""
    state: str
    done: int | None = None
    failed: int | None = None
    planned: int | None = None
    """Numbers of cells."""
    last_event: str | None = None
    """Time, in ISO 8601."""


def print_list(folder: Path, *, as_json: bool = False) -> None:
    """Print a row for each run in ``folder``, by name.

    Raises:
        UsageError: there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"no folder {folder}: expected a folder with runs in it, such as results")
    runs = [RunFolder(path) for path in sorted(folder.iterdir())]
    states = [_state_of(run) for run in runs if run.plan.exists()]
    if as_json:
        print(json.dumps([asdict(state) for state in states], indent=1))
    elif states:
        print_table(_table(states))
    else:
        print(f"no runs in {folder}")


def _table(states: Sequence[RunState]) -> Table:
    table = Table()
    for name in COLUMNS:
        number = name in ("cells done", "failed", "planned")
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for row in states:
        counts = (row.done, row.failed, row.planned)
        last = f"{datetime.fromisoformat(row.last_event):%Y-%m-%d %H:%M}" if row.last_event else ""
        cells = ("" if count is None else str(count) for count in counts)
        table.add_row(*(Text(printable(text)) for text in (row.run, row.state, *cells, last)))
    return table


def _state_of(run: RunFolder) -> RunState:
    try:
        driven = DriverLease(run).holder() is not None
        events = read_events(run.events)
    except FileNotFoundError:
        events = []
    except (OSError, ValueError):
        return RunState(run.root.name, "events.jsonl cannot be read")
    progress = Progress()
    for event in events:
        progress.update(event)
    state = "running" if driven else progress.status if events else "not started"
    if not driven and state == "running":
        state = "stopped"  # its driver died
    last = str(events[-1]["time"]) if events else None
    return RunState(run.root.name, state, *_counts(events, progress), last_event=last)


def _counts(
    events: Sequence[Mapping[str, Any]], progress: Progress
) -> tuple[int | None, int | None, int | None]:
    """Numbers of cells that are done, failed and planned, as far as the events say."""
    probe = progress.stages.get("probe")
    if events and events[-1]["kind"] == "run_finished":
        done, failed = events[-1]["done"], events[-1]["failed"]
        return done, failed, probe.total if probe else done + failed
    if probe is not None and probe.total:
        return probe.done - probe.failed, probe.failed, probe.total
    return None, None, None
