"""``python -m tests.benchmarks``: measure, print one table, exit 0 unless something crashed.

A further row is a function of a `Workbench`, in the file of its theme, and a line in `BENCHMARKS`.
"""

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from jobs.process import keep_freed_memory, limit_threads
from tests.benchmarks import (
    capture,
    demo_share,
    devices,
    front_end,
    gram,
    linear_probes,
    machine,
    many_shards,
    masked,
    page,
    passes,
    perceptrons,
    scale,
    traffic,
    verbs,
)
from tests.benchmarks.result import Result, render
from tests.benchmarks.workbench import Workbench

BENCHMARKS: dict[int, Callable[[Workbench], list[Result]]] = {
    1: capture.run,
    2: passes.forward_passes,
    3: masked.errors,
    4: masked.seconds,
    5: passes.frames,
    6: devices.precision,
    7: perceptrons.speed,
    8: perceptrons.parity,
    9: linear_probes.ridge_folds,
    10: linear_probes.ridge_leave_one_out,
    11: linear_probes.canonical,
    12: gram.run,
    13: front_end.run,
    15: traffic.run,
    17: many_shards.plans_and_shards,
    18: scale.cluster_use,
    19: demo_share.run,
    20: verbs.run,
    21: page.run,
    16: devices.end_to_end,
}
"""By the number of their row; run in this order, the timed ones on one thread."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 1 if a benchmark crashed; the others are reported all the same."""
    options = _parser().parse_args(arguments)
    limit_threads(1)
    keep_freed_memory()
    about = machine.describe()
    results: list[Result] = []
    crashed: list[int] = []
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as scratch:
        bench = Workbench(Path(scratch), quick=options.quick)
        for row in options.rows:
            start = time.perf_counter()
            try:
                results += BENCHMARKS[row](bench)
            except Exception:  # noqa: BLE001 - told in full; one row must not cost the others
                traceback.print_exc()
                crashed.append(row)
            print(f"row {row}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    about["load_after"] = machine.load()
    print(f"{machine.headline(about)}\n\n{render(results)}")
    if crashed:
        print(f"crashed: row {', '.join(map(str, crashed))}", file=sys.stderr)
    if options.json:
        report = {"machine": about, "quick": options.quick, "crashed": crashed}
        report["results"] = [result.as_json() for result in results]
        options.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    return 1 if crashed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description="Measure the ratios of speed."
    )
    parser.add_argument(
        "--rows", type=_rows, default=list(BENCHMARKS), metavar="1,5", help="only these rows"
    )
    parser.add_argument("--quick", action="store_true", help="smaller and less often")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    return parser


def _rows(text: str) -> list[int]:
    """Row numbers from ``1,5``."""
    known = ", ".join(map(str, BENCHMARKS))
    try:
        rows = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected numbers among {known}") from error
    unknown = [row for row in rows if row not in BENCHMARKS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no benchmark of row {unknown[0]}; there are {known}")
    return rows


if __name__ == "__main__":
    sys.exit(main())
