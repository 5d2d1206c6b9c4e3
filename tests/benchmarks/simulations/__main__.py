"""``python -m tests.benchmarks.simulations``: simulate, and write ``../STATISTICS.md``.

Seeds are fixed: the numbers are the same on every machine, up to rounding.
"""

import argparse
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from jobs.process import limit_threads
from tests.benchmarks import machine
from tests.benchmarks.simulations import generate, intervals, models

FILE = Path(__file__).parents[1] / "STATISTICS.md"
COMMAND = "OMP_NUM_THREADS=1 python -m tests.benchmarks.simulations"

INTRODUCTION = """\
# Simulated coverage, width, size and power

`{command}` writes this file
({experiments} experiments a setting, so that a coverage of 0.95 has a standard error of
{error:.3f}; {resamples} resamples). *Before* is the method that was replaced,
*after* the present one. Widths of R² are measured down to −1 only, as some of those before end at
−10 or below. Intervals are held against the true score of the layer that is best on the test
speakers.

{machine}; {date}; {seconds:.0f} s.

## What is simulated
"""


def main() -> int:
    """Run all simulations; the exit code is 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.simulations")
    parser.add_argument("--quick", action="store_true", help="10 experiments, printed only")
    quick = parser.parse_args().quick
    limit_threads(1)
    about, start = machine.describe(), time.perf_counter()
    experiments = 10 if quick else 200
    tables = [*intervals.tables(experiments), *models.tables(experiments)]
    packages = {"python": about["python"], **about["packages"]}
    versions = ", ".join(f"{name} {packages[name]}" for name in ("python", "numpy", "scipy"))
    introduction = INTRODUCTION.format(
        command=COMMAND,
        experiments=experiments,
        error=(0.95 * 0.05 / experiments) ** 0.5,
        resamples=intervals.RESAMPLES,
        machine=f"{about['cores']} cores of {about['processor']}, {versions}",
        date=datetime.now(UTC).date(),
        seconds=time.perf_counter() - start,
    )
    lines = [introduction, *_paragraphs(generate.__doc__), "## Intervals", ""]
    for number, table in enumerate(tables):
        if number == 2:
            lines += ["## Model against model", "", *_paragraphs(models.__doc__)]
        lines += table.markdown()
    text = "\n".join(lines).rstrip() + "\n"
    if quick:
        print(text)
    else:
        FILE.write_text(text)
    return 0


def _paragraphs(docstring: str | None) -> list[str]:
    """The paragraphs of a docstring after its first line."""
    return [*(docstring or "").split("\n\n", 1)[1].replace("``", "`").splitlines(), ""]


if __name__ == "__main__":
    sys.exit(main())
