"""``sweep gc``: drop the activations that no run needs.

The needs of runs are found by ``sweep.state.cache_users``; if they are unknown, nothing is dropped.
Only ``<cache>/activations`` and its lists of contents in ``<cache>/extractions`` are touched;
corpora, measurements and fetched models stay.

All sets to drop are renamed before any is deleted: after an interruption, no incomplete set is left
under its name, and the next ``gc`` deletes the rest. Deleting takes minutes, in which a run may
begin, so the needs of runs are read again in between. A run that wrote its plan before that gets
its sets back; a later one extracts them again.
"""

import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from jobs.activations.cache_layout import CONTENTS, SET_FILE, SETS
from jobs.identity import ID_DIGITS
from jobs.storage.location import Location, RemotePath
from sweep.errors import GcError
from sweep.state.cache_users import SET_NAME, Needs, needed_sets

YOUNG_SECONDS = 24 * 3600.0
"""Age below which unneeded sets are kept, as a run may be about to name them."""
RESULTS = Path("results")
_GONE = ".gone-"
_CORRUPT, _TORN = "set aside as damaged", "left over from work that was killed"


@dataclass(frozen=True)
class Item:
    """An item of the cache, and its treatment."""

    paths: tuple[Path, ...]
    """A set's folder, or files."""
    n_bytes: int
    goes: bool
    why: str
    error: str | None = None
    """Reason why it could not be deleted."""

    def __str__(self) -> str:
        fate = "failed" if self.error else "drop" if self.goes else "keep"
        first = self.paths[0]
        name = first.name if SET_NAME.fullmatch(first.name) else f"{first.parent.name}/{first.name}"
        more = f" and {len(self.paths) - 1} more" if len(self.paths) > 1 else ""
        why = f"{self.why}: {self.error}" if self.error else self.why
        return f"{fate:<6} {self.n_bytes / 2**30:9.3f} GiB  {name}{more}  {why}"


def collect(cache: Location, results: Sequence[Path] | None, *, dry_run: bool) -> list[Item]:
    """Drop everything that no run needs; return the treatment of every item in the cache.

    Args:
        cache: the activation cache.
        results: folders with runs in them, at any depth; None: ``results``, if there is one.
        dry_run: report only, and delete nothing.

    Raises:
        GcError: ``cache`` is not a cache, or the needs of a run are unknown.
        OSError: a folder cannot be listed, or a run's object store cannot be read.
    """
    if isinstance(cache, RemotePath):
        raise GcError(
            f"{cache} is on an object store: expected a folder. Sets there are the folders below "
            f"{cache}/activations: delete those that no run's plan.json names with the store's own "
            "tool, or have its lifecycle rules do it"
        )
    folder = _activations(cache)
    if results is None:
        results = [RESULTS] if RESULTS.exists() else []
    now = time.time()
    found = [item for path in sorted(folder.iterdir()) for item in _survey(path, now)]
    # Read last, so that a run which begins meanwhile is seen.
    needs = needed_sets(cache, results)
    if not needs and any(item.goes for item in found):
        raise GcError(
            f"no run was found in {', '.join(map(str, results or [RESULTS]))}: expected at least "
            "one; name its folder with --results. If nothing is needed any more, delete the folder "
            f"{folder} itself"
        )
    items = [_judged(item, needs) for item in found]
    return items if dry_run else _drop(items, cache, results)


def report_lines(items: Sequence[Item], *, dry_run: bool) -> Iterator[str]:
    """Format one line per item, dropped and kept ones each by descending size, and the sums."""
    ordered = sorted(items, key=lambda item: (not item.goes, -item.n_bytes))
    yield from map(str, ordered)
    gone = [item for item in items if item.goes and not item.error]
    kept = sum(item.n_bytes for item in items) - sum(item.n_bytes for item in gone)
    verb = "would drop" if dry_run else "dropped"
    dropped = sum(item.n_bytes for item in gone) / 2**30
    yield f"{verb} {len(gone)} items, {dropped:.3f} GiB; {kept / 2**30:.3f} GiB stay"


def _activations(cache: Path) -> Path:
    """Return the folder of the sets.

    Raises:
        GcError: it does not exist, or contains anything else.
    """
    folder = cache / SETS
    if folder.is_symlink():
        raise GcError(f"{folder} is a link: give the folder that it leads to, with --cache")
    if not folder.is_dir():
        raise GcError(
            f"{cache} is not a cache: expected a folder `activations` in it, as `sweep run` makes "
            "it; give --cache or $SWEEP_CACHE"
        )
    for path in folder.iterdir():
        known = path.name.startswith(_GONE) or SET_NAME.fullmatch(path.name)
        if not known or not (path.is_dir() or path.is_symlink()):
            raise GcError(
                f"{path} is nothing that `sweep run` puts into a cache: expected folders named by "
                f"{ID_DIGITS} hex digits; is this the right folder? Move it away if it is"
            )
    return folder


def _survey(path: Path, now: float) -> Iterator[Item]:
    """Survey a set as if no run needed it, and its leftover files, which are never needed.

    Raises:
        GcError: it contains something that is not part of a set.
    """
    if path.is_symlink():
        yield Item((path,), 0, goes=False, why="a link, which is never followed")
        return
    files = _files(path)
    if path.name.startswith(_GONE):
        n_bytes = sum(status.st_size for status in files.values())
        yield Item((path,), n_bytes, goes=True, why="left over from a gc that was interrupted")
        return
    newest = path.lstat().st_mtime
    parts: dict[str, dict[Path, int]] = {"": {}, _CORRUPT: {}, _TORN: {}}
    for file, status in files.items():
        newest = max(newest, status.st_mtime)
        stem = file.name.removesuffix(".corrupt")
        hidden = file.name.startswith(".")  # temporary files, including those of NFS
        if not hidden and not SET_FILE.fullmatch(stem):
            raise GcError(f"{file} is no shard: expected nothing else there; move it away")
        old = now - status.st_mtime > YOUNG_SECONDS
        part = _CORRUPT if stem != file.name else _TORN if hidden and old else ""
        parts[part][file] = status.st_size
    young = now - newest <= YOUNG_SECONDS
    why = "written to less than a day ago" if young else "no run needs it"
    yield Item((path,), sum(parts.pop("").values()), goes=not young, why=why)
    for why, sizes in parts.items():
        if sizes:
            yield Item(tuple(sizes), sum(sizes.values()), goes=True, why=why)


def _files(folder: Path) -> dict[Path, os.stat_result]:
    """List the files in a folder; an active run may remove some meanwhile."""
    found = {}
    for path in sorted(folder.iterdir()):
        with suppress(FileNotFoundError):
            found[path] = path.lstat()
    return found


def _judged(item: Item, needs: Needs) -> Item:
    """Mark sets that a run needs as kept."""
    runs = needs.get(item.paths[0].name, [])
    if not runs:
        return item
    more = f" and {len(runs) - 3} more" if len(runs) > 3 else ""
    return replace(item, goes=False, why=f"needed by {', '.join(sorted(runs)[:3])}{more}")


def _drop(items: Sequence[Item], cache: Path, results: Sequence[Path]) -> list[Item]:
    """Delete the items to drop, except sets that a run needs by now.

    Raises:
        GcError: the needs of a run are no longer known; every set is back in place.
    """
    away: dict[Path, Path] = {}
    fates = [_set_aside(item, away) if item.goes else item for item in items]
    try:
        needs = needed_sets(cache, results)
    except BaseException:
        for path, gone in away.items():
            _put_back(path, gone)
        raise
    for number, item in enumerate(fates):
        path, judged = item.paths[0], _judged(item, needs)
        if path in away and not judged.goes and _put_back(path, away[path]):
            fates[number] = judged
    dropped = [_delete(item, away) if item.goes and not item.error else item for item in fates]
    _drop_contents(cache)
    return dropped


def _drop_contents(cache: Path) -> None:
    """Delete the lists of contents of sets that no longer exist."""
    for path in (cache / CONTENTS).glob("*/*.json"):
        if not (cache / SETS / path.stem).exists():
            path.unlink(missing_ok=True)


def _set_aside(item: Item, away: dict[Path, Path]) -> Item:
    """Rename a set, and record its new name."""
    path = item.paths[0]
    if not SET_NAME.fullmatch(path.name):
        return item
    gone = path.with_name(f"{_GONE}{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        path.rename(gone)
    except FileNotFoundError:  # another gc has it
        return item
    except OSError as error:
        return replace(item, error=error.strerror or str(error))
    away[path] = gone
    return item


def _put_back(path: Path, gone: Path) -> bool:
    """Restore the name of a set; return False if it was extracted again meanwhile, or deleted by
    another gc."""
    try:
        gone.rename(path)
    except OSError:
        if path.exists() or not gone.exists():
            return False
        raise
    return True


def _delete(item: Item, away: Mapping[Path, Path]) -> Item:
    try:
        for path in item.paths:
            found = away.get(path, path)
            if found.is_file():
                found.unlink(missing_ok=True)
            else:
                _remove_folder(found)
    except OSError as error:
        return replace(item, error=error.strerror or str(error))
    return item


def _remove_folder(path: Path) -> None:
    """Delete a folder that another ``gc`` may also be deleting."""
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        if path.exists():
            raise
