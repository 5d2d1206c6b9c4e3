"""Checks of the folder that a run is to be written to, before anything is written."""

from collections.abc import Iterable
from pathlib import Path

from jobs.storage.atomic import is_temporary
from jobs.storage.location import RemotePath
from jobs.storage.object_store import exists, list_files
from jobs.storage.regular_files import DamagedFile, read_regular
from sweep.errors import Problem, SpecError
from sweep.state.lease import parse_holder
from sweep.state.ledger import LedgerLines
from sweep.state.run_folder import RunFolder
from sweep.state.stored_plan import is_plan

_FOREIGN = ("lost+found", ".DS_Store", ".gitkeep", ".gitignore")
"""Names that an empty folder may have."""


def refuse_foreign_folder(folder: RunFolder) -> None:
    """Make sure that a folder is empty or a run: a run would replace what is there.

    Raises:
        SpecError: it is neither.
        OSError: it cannot be read.
    """
    if folder.remote is not None:
        if _is_foreign_store(folder, folder.remote):
            raise _refusal(folder, f"{folder.remote} has files that are not those of a run")
        return
    try:
        names = sorted(path.name for path in folder.root.iterdir())
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise _refusal(folder, f"{folder.root} is not a folder") from None
    started = (folder.stop_request.name, folder.submission.name, *_FOREIGN)
    others = [name for name in names if name not in started and not is_temporary(name)]
    if others and not _has_run(folder):
        found = ", ".join(others[:3]) + (", …" if len(others) > 3 else "")
        raise _refusal(folder, f"the folder is neither empty nor a run: it has {found}")


def refuse_inputs(folder: RunFolder, read: Iterable[Path]) -> None:
    """Make sure that a run does not replace a file that it reads.

    Raises:
        SpecError: it would.
    """
    own = {path.resolve(): path for path in folder.top_files}
    for path in read:
        if path.resolve() in own:
            raise _refusal(
                folder, f"{path} is being read, and the run would replace it: move it elsewhere"
            )


def _refusal(folder: RunFolder, why: str) -> SpecError:
    place = f"--out {folder.for_jobs(folder.root)}"
    return SpecError([Problem(place, 1, 1, f"{why}; choose another folder with --out")])


def _has_run(folder: RunFolder) -> bool:
    """Return whether a driver has written to a folder: a plan, a lease or records."""
    return is_plan(folder.plan) or _has_lease(folder) or _has_records(folder)


def _has_lease(folder: RunFolder) -> bool:
    try:
        lease = read_regular(folder.lock)
        return not lease.strip() or parse_holder(lease) is not None
    except (OSError, DamagedFile):
        return False


def _has_records(folder: RunFolder) -> bool:
    try:
        return any(True for _ in LedgerLines(folder.ledger))
    except (OSError, DamagedFile):
        return False


def _is_foreign_store(folder: RunFolder, remote: RemotePath) -> bool:
    if exists(remote / folder.plan.name):
        return False
    names = (name.rpartition("/")[2] for name in list_files(remote))
    return any(not name.startswith(".") for name in names)
