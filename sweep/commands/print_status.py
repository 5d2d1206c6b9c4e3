"""Output of ``sweep status``."""

import sys
from collections import Counter
from datetime import UTC, datetime

from sweep.commands.run_lines import find_claims, next_steps, print_causes, print_findings
from sweep.progress.causes import causes_of
from sweep.progress.state import Progress
from sweep.progress.status import status_lines
from sweep.progress.wording import printable
from sweep.results.records import RunRecords
from sweep.state.control import DriverLease, resume_command
from sweep.state.events import readable_events
from sweep.wording import counted

MOST_DAMAGED = 5
"""Number of damaged lines of events that are named."""


def status_values(run: RunRecords) -> dict[str, object]:
    """Return the state of a run as plain values."""
    counts = Counter(record.status for record in run.records.values())
    holder = DriverLease(run.folder).holder()
    claims = find_claims(run.folder)
    return {
        "name": run.plan.name,
        "run": str(run.folder.root),
        "cells": {
            "planned": run.plan.n_cells, "done": counts["done"], "failed": counts["failed"],
        },
        "driver": None if holder is None else {"who": str(holder), "since": str(holder.since)},
        "headlines": claims.headlines,
        "findings": claims.findings,
        "errors": [{"error": error, "cells": count} for error, count in _errors(run)],
    }  # fmt: skip


def print_status(run: RunRecords) -> None:
    """Print the state of a run: its cells from the ledger, its stages from the events."""
    counts = Counter(record.status for record in run.records.values())
    left = run.plan.n_cells - counts["done"] - counts["failed"]
    done = counted(counts["done"], "cell")
    print(f"{run.plan.name}: {done} done, {counts['failed']} failed, {left} to do")
    holder = DriverLease(run.folder).holder()
    if holder is not None:
        print(f"driven by {holder} since {holder.since}")
    elif left:
        print(f"no driver is running it; {resume_command(run.folder)}")
    if run.folder.events.exists():
        progress = Progress()
        events, damaged = readable_events(run.folder.events)
        for line in damaged[:MOST_DAMAGED]:
            print(printable(line), file=sys.stderr)
        for event in events:
            progress.update(event)
        print("\n".join(status_lines(progress, datetime.now(UTC))))
    print_findings(run.folder)
    print_causes(causes_of(run.records.values(), run.plan.probes), sys.stdout.isatty())
    if holder is None and not left:
        for line in next_steps(run.folder, failed=counts["failed"]):
            print(line)


def _errors(run: RunRecords) -> list[tuple[str | None, int]]:
    """Errors of failed cells with their numbers, the most frequent first."""
    return Counter(r.error for r in run.records.values() if r.status == "failed").most_common()
