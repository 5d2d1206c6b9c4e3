"""Damaged files of runs and caches: a verb says so, or does its work; it never shows a traceback,
waits forever, or changes a number."""

import random
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.patience import patience
from tests.fuzz.state_files import ARGUMENTS, VERBS, damage, files_of, remove_sums
from tests.support.tiny_run import TinyRun, tiny_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyRun]:
    with tiny_run(tmp_path_factory.mktemp("fuzz") / "new") as run:
        done = run.run()
        assert done.exit_code == 0, done.output
        run.save()
        yield run


@pytest.fixture
def old(finished: TinyRun, tmp_path: Path) -> Iterator[TinyRun]:
    """The same run as a version without checksums left it."""
    with tiny_run(tmp_path / "old") as run:
        assert run.run().exit_code == 0
        remove_sums(run)
        run.save()
        yield run


def test_100_damaged_files_are_found_by_every_verb(finished: TinyRun) -> None:
    try_damage(finished, range(100), keeps_tables=True)


def test_30_damaged_files_of_an_old_run_end_no_verb_in_a_traceback(old: TinyRun) -> None:
    try_damage(old, range(30), keeps_tables=False)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 3000, 100))
def test_2000_damaged_files_are_found_by_every_verb(finished: TinyRun, first: int) -> None:
    try_damage(finished, range(first, first + 100), keeps_tables=True)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(5000, 5500, 100))
def test_500_damaged_files_of_an_old_run_end_no_verb_in_a_traceback(
    old: TinyRun, first: int
) -> None:
    try_damage(old, range(first, first + 100), keeps_tables=False)


def try_damage(run: TinyRun, seeds: range, *, keeps_tables: bool) -> None:
    run.restore()
    tables, files = run.tables(), damageable(run)
    for seed in seeds:
        try_seed(run, seed, files, tables if keeps_tables else None)


def damageable(run: TinyRun) -> list[Path]:
    """List the files that are read again, relative to the home of the run."""
    return [path.relative_to(run.home) for path in files_of(run)]


def try_seed(
    run: TinyRun, seed: int, files: list[Path], tables: dict[str, object] | None
) -> tuple[str, str, object]:
    """Damage a file of the restored run and call a verb.

    Args:
        run: a run with a saved copy.
        seed: decides file, damage and verb.
        files: see ``damageable``.
        tables: the tables that the run must have afterwards; None: any.

    Returns:
        The kind of damage, the verb, and its exit code.
    """
    run.restore()
    random_ = random.Random(seed)
    file = random_.choice(files)
    kind = damage(run.home / file, random_)
    verb = random_.choice(VERBS[file.parts[0]])
    what = f"seed {seed}: {kind}, {file}, {' '.join(verb)}"
    with patience(what):
        result = run.sweep(*(ARGUMENTS[verb[0]] if len(verb) == 1 else verb))
    error = result.exception
    if error is not None and not isinstance(error, SystemExit):
        raise AssertionError(f"{what}: {''.join(traceback.format_exception(error))[-1500:]}")
    assert tables is None or run.tables() == tables, what
    return kind, verb[0], result.exit_code
