"""``python -m tests.benchmarks.simulations``: simulate, and write ``../STATISTICS.md``.

Seeds are fixed: the numbers are the same on every machine, up to rounding.
"""

import argparse
import sys
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
{error:.3f}; {resamples} resamples, {of_models} of comparisons of models). *Before* is the method
that was replaced, *after* the present one. Widths of R² are measured down to −1 only, as some of
those before end at −10 or below. Intervals are held against the true score of the layer that is
best on the test speakers.

{machine}; {date}.

## What is simulated
"""


def main() -> int:
    """Run all simulations; the exit code is 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.simulations")
    parser.add_argument("--quick", action="store_true", help="10 experiments, printed only")
    quick = parser.parse_args().quick
    limit_threads(1)
    experiments = 10 if quick else 200
    lines = [_introduction(experiments), *_paragraphs(generate.__doc__)]
    sections = (
        ("## Intervals", [], intervals.tables),
        ("## Model against model", _paragraphs(models.__doc__), models.tables),
    )
    for heading, explanation, tables in sections:
        lines += [heading, "", *explanation]
        lines += [line for table in tables(experiments) for line in table.markdown()]
        text = "\n".join(lines).rstrip() + "\n"
        if not quick:
            FILE.write_text(text)
    if quick:
        print(text)
    return 0


def _introduction(experiments: int) -> str:
    about = machine.describe()
    packages = {"python": about["python"], **about["packages"]}
    versions = ", ".join(f"{name} {packages[name]}" for name in ("python", "numpy", "scipy"))
    return INTRODUCTION.format(
        command=COMMAND,
        experiments=experiments,
        error=(0.95 * 0.05 / experiments) ** 0.5,
        resamples=intervals.RESAMPLES,
        of_models=models.RESAMPLES,
        machine=f"{about['cores']} cores of {about['processor']}, {versions}",
        date=datetime.now(UTC).date(),
    )


def _paragraphs(docstring: str | None) -> list[str]:
    """The paragraphs of a docstring after its first line."""
    return [*(docstring or "").split("\n\n", 1)[1].replace("``", "`").splitlines(), ""]


if __name__ == "__main__":
    sys.exit(main())
