"""A disk that refuses one operation on a file, whichever: the run says so and loses nothing."""

import builtins
import errno
import io
import os
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.patience import patience
from tests.support.tiny_run import TinyRun, tiny_run

OPERATIONS = (
    (os, "open"), (io, "open"), (builtins, "open"), (os, "replace"), (os, "rename"),
    (os, "mkdir"), (os, "unlink"), (os, "scandir"), (os, "fsync"), (os, "pwrite"),
    (os, "ftruncate"), (os, "write"),
)  # fmt: skip
"""Functions that the run and its libraries reach files with."""
PLACES = ("run", "cache")

Undisturbed = tuple[dict[str, object], int]


class FailingDisk:
    """Counts the operations on files below a folder, and fails one of them.

    Args:
        home: the folder.
        number: which operation fails; None: none does.
        code: its errno.
    """

    def __init__(self, home: Path, number: int | None, code: int) -> None:
        self.home = home
        self.number = number
        self.code = code
        self.count = 0
        self.failed = ""

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function``, which fails when its turn comes."""

        def called(*arguments: Any, **options: Any) -> Any:
            if arguments and self._is_here(name, arguments[0]):
                self.count += 1
                if self.count == self.number:
                    self.failed = f"{name} {arguments[0]}"
                    raise OSError(self.code, os.strerror(self.code), str(arguments[0]))
            return function(*arguments, **options)

        return called

    def _is_here(self, name: str, what: object) -> bool:
        if isinstance(what, int):
            try:
                what = Path(f"/proc/self/fd/{what}").readlink()
            except OSError:
                return False
        if not isinstance(what, str | os.PathLike):
            return False
        path = Path.cwd() / Path(os.fspath(what))
        return any(path.is_relative_to(self.home / place) for place in PLACES)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    without_waits(monkeypatch)


def without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait neither between attempts nor for space on a full disk."""
    monkeypatch.setattr("sweep.state.retry_policy.LONGEST_WAIT", 0.0)
    monkeypatch.setattr("sweep.running.disk_pause.PAUSE_SECONDS", 0.0)


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[dict[str, object], int]]:
    """The tables of the run, and its number of operations."""
    with tiny_run(tmp_path_factory.mktemp("whole") / "home") as run:
        disk = run_on(run, None, errno.EIO)
        yield run.tables(), disk.count


def run_on(run: TinyRun, number: int | None, code: int) -> FailingDisk:
    """Run on a disk that fails once."""
    disk = FailingDisk(run.home, number, code)
    with pytest.MonkeyPatch.context() as patch, patience(f"operation {number}"):
        for module, name in OPERATIONS:
            patch.setattr(module, name, disk.wrap(name, getattr(module, name)))
        result = run.run()
    error = result.exception
    if error is not None and not isinstance(error, SystemExit):
        text = "".join(traceback.format_exception(error))[-2500:]
        raise AssertionError(f"operation {number}, {disk.failed}: {text}")
    assert number is not None or result.exit_code == 0, result.output
    return disk


def try_operation(home: Path, number: int, code: int, undisturbed: Undisturbed) -> str:
    """Run with one failing operation, then without; return the name of what failed."""
    with tiny_run(home) as run:
        disk = run_on(run, number, code)
        again = run.run()
        assert again.exit_code == 0, (disk.failed, again.output)
        assert run.tables() == undisturbed[0], disk.failed
        return disk.failed.partition(" ")[0]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["full", "broken"])
@pytest.mark.parametrize("part", range(8))
def test_a_file_that_fails_once_costs_nothing(
    tmp_path: Path, part: int, code: int, undisturbed: Undisturbed
) -> None:
    number = 1 + (part * undisturbed[1]) // 8
    try_operation(tmp_path / "home", number, code, undisturbed)


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["full", "broken"])
@pytest.mark.parametrize("part", range(40))
def test_whichever_operation_fails_nothing_is_lost(
    tmp_path: Path, part: int, code: int, undisturbed: Undisturbed
) -> None:
    for number in range(1 + part, undisturbed[1] + 1, 40):
        try_operation(tmp_path / str(number), number, code, undisturbed)
