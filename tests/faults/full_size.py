"""Random damage at full size: specs, files of a run, and every operation on a file.

``python -m tests.faults.full_size specs --to DIR`` reads 20,000 damaged specs; ``files`` calls a
verb on a run with a damaged file, 2,000 times; ``operations`` lets each operation on a file of a
small run fail, with ENOSPC and with EIO. ``full_size.md`` has the results. The checks are those of
the tests with the same names, which try a few of each.

Every outcome is a line of ``DIR/<what>.jsonl``; a call resumes behind those that are there.
"""

import argparse
import errno
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.test_failing_files import run_on, try_operation, without_waits
from tests.fuzz.test_specs import nothing_spoken_or_loaded, try_spec
from tests.fuzz.test_state_files import damageable, try_seed
from tests.support.tiny_run import tiny_run

Case = tuple[str, Callable[[], object]]
"""A name that is the same in every call, and the check; what it returns is counted."""
FIRST = {"specs": 100_000, "files": 10_000}
"""First seed: far from those of the test suite."""
COUNTS = {"specs": 20_000, "files": 2_000}


@contextmanager
def specs(folder: Path, seeds: range) -> Iterator[Iterable[Case]]:
    """Damaged specs are valid, or refused with the place of every problem."""
    with nothing_spoken_or_loaded(folder):
        yield ((str(seed), lambda seed=seed: try_spec(seed, folder)) for seed in seeds)


@contextmanager
def files(folder: Path, seeds: range) -> Iterator[Iterable[Case]]:
    """No verb ends in a traceback or changes a table, whichever file is damaged."""
    with tiny_run(folder / "run") as run:
        assert run.run().exit_code == 0
        run.save()
        tables, paths = run.tables(), damageable(run)
        yield ((str(seed), lambda seed=seed: try_seed(run, seed, paths, tables)) for seed in seeds)


@contextmanager
def operations(folder: Path, _: range) -> Iterator[Iterable[Case]]:
    """A run says which operation failed, and a second one gives the same tables."""
    with pytest.MonkeyPatch.context() as patch:
        without_waits(patch)
        with tiny_run(folder / "whole") as run:
            count = run_on(run, None, errno.EIO).count
            undisturbed = run.tables(), count

        def attempt(number: int, code: int) -> str:
            home = folder / f"{number}-{code}"
            try:
                return try_operation(home, number, code, undisturbed)
            finally:
                shutil.rmtree(home)

        yield (
            (f"{errno.errorcode[code]} {number}", lambda n=number, c=code: attempt(n, c))
            for code in (errno.ENOSPC, errno.EIO)
            for number in range(1, undisturbed[1] + 1)
        )


WHAT = {"specs": specs, "files": files, "operations": operations}


def main() -> None:
    """Run the checks of one kind, and print how many had which outcome."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=WHAT)
    parser.add_argument("--to", type=Path, default=Path("full-size"), help="folder of outcomes")
    parser.add_argument("--first", type=int, help="first seed")
    parser.add_argument("--count", type=int, help="number of seeds")
    chosen = parser.parse_args()
    first = FIRST.get(chosen.what, 0) if chosen.first is None else chosen.first
    count = COUNTS.get(chosen.what, 0) if chosen.count is None else chosen.count
    chosen.to.mkdir(parents=True, exist_ok=True)
    log = (chosen.to / f"{chosen.what}.jsonl").absolute()
    seeds = range(first, first + count)
    with tempfile.TemporaryDirectory() as folder, WHAT[chosen.what](Path(folder), seeds) as cases:
        check_all(cases, log)
    outcomes = [outcome for _, outcome in read(log)]
    for outcome, times in Counter(outcomes).most_common():
        print(f"{times:6} {outcome[:2000]}")
    raise SystemExit(any(outcome.startswith("wrong") for outcome in outcomes))


def check_all(cases: Iterable[Case], log: Path) -> None:
    """Append the outcome of every case that ``log`` does not have yet."""
    known = {name for name, _ in read(log)}
    with log.open("a", encoding="utf-8") as file:
        for name, check in cases:
            if name in known:
                continue
            try:
                outcome = str(check())
            except AssertionError as error:
                outcome = f"wrong: {error}, because of {error.__cause__!r}"
            file.write(json.dumps([name, outcome]) + "\n")
            file.flush()


def read(log: Path) -> list[tuple[str, str]]:
    """Return the outcomes so far."""
    if not log.exists():
        return []
    return [tuple(json.loads(line)) for line in log.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
