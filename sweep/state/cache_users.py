"""Activation sets that the runs using a cache need.

A run needs the activation sets that its ``plan.json`` names; a driver writes that file before it
extracts anything, so running ones are included. Runs are searched for below the given folders,
among the copies of runs on object stores, and in the cache's own list: every run leaves its address
in ``<cache>/runs``. An unreadable run is an error, as its needs are unknown.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from jobs.identity import ID_DIGITS
from jobs.storage.atomic import slug
from jobs.storage.json_files import read_json
from jobs.storage.location import Location, LocationError, parse_location
from jobs.storage.object_store import StorageError, write_text
from jobs.storage.regular_files import DamagedFile
from sweep.errors import GcError
from sweep.state.run_folder import COPIES, RunFolder

RUNS = "runs"
SET_NAME = re.compile(rf"[0-9a-f]{{{ID_DIGITS},}}")

Needs = dict[str, list[str]]
"""Activation id → the runs that need it."""


def remember_run(cache: Location, folder: RunFolder) -> None:
    """Record a run's address in the cache that it uses."""
    run = str(folder.for_jobs(folder.root))
    digest = hashlib.sha256(run.encode()).hexdigest()[:8]
    name = f"{slug(folder.root.name)}-{digest}.json"
    write_text(cache / RUNS / name, json.dumps({"run": run}))


def needed_sets(cache: Path, results: Sequence[Path]) -> Needs:
    """Find the activation sets that all known runs need.

    Raises:
        GcError: the needs of a run are unknown.
    """
    needs: Needs = {}
    folders = [*results, *([COPIES] if COPIES.exists() else [])]
    for root in _unique([*_runs_below(folders, cache), *_remembered(cache)]):
        for activation_id in dict.fromkeys(_planned_ids(root)):
            needs.setdefault(activation_id, []).append(str(root))
    return needs


def _unique(roots: Iterable[Location]) -> list[Location]:
    seen = {root.resolve() if isinstance(root, Path) else root: root for root in roots}
    return list(seen.values())


def _runs_below(folders: Iterable[Path], cache: Path) -> Iterator[Path]:
    """Find every folder that a run has written to. Links are followed, to keep rather too much."""
    seen: set[Path] = {cache.resolve()}
    for top in folders:
        if not top.is_dir():
            raise GcError(f"--results {top} is no folder: expected one with runs in it")
        for here, folders_here, _ in os.walk(top, followlinks=True, onerror=_raise):
            root = Path(here)
            if root.resolve() in seen:
                folders_here.clear()
                continue
            seen.add(root.resolve())
            folders_here[:] = [name for name in folders_here if not SET_NAME.fullmatch(name)]
            run = RunFolder(root)
            if any(path.exists() for path in (run.plan, run.ledger, run.provenance)):
                yield root


def _raise(error: OSError) -> None:
    raise GcError(f"{error.filename} cannot be looked into ({error.strerror}): a run may be there")


def _remembered(cache: Path) -> Iterator[Location]:
    """Yield the runs that used this cache, except deleted ones."""
    for note in sorted((cache / RUNS).glob("*.json")):
        try:
            run = parse_location(read_json(note, {"run": str})["run"])
        except (OSError, DamagedFile, LocationError) as error:
            raise GcError(f"{note} does not name a run ({error}); delete it if none does") from None
        if isinstance(run, Path):
            # An empty folder may be the mount point of an unmounted disk.
            if _is_bare(run) if run.exists() else _is_bare(run.parent):
                raise GcError(
                    f"{run} used this cache and cannot be seen from here: run gc on a machine that "
                    f"sees it, or, if the run is gone for good, delete {note}"
                )
            if not run.exists():
                continue  # deleted
        yield run


def _is_bare(folder: Path) -> bool:
    """Return whether a folder is missing or empty."""
    return not folder.exists() or not any(folder.iterdir())


def _planned_ids(root: Location) -> Iterator[str]:
    """Yield the activation sets that a run's plan names; none if a run at a URL no longer exists.

    Raises:
        GcError: the plan cannot be read.
    """
    plan = root / "plan.json"
    try:
        for model in read_json(plan, {"models": list})["models"]:
            for name in _ids_in([model["sets"], model]):
                if not SET_NAME.fullmatch(name):
                    raise ValueError(f"{name!r} is no activation id")
                yield name
    except FileNotFoundError:
        if isinstance(root, Path) and (root / "ledger.jsonl").exists():
            raise _unknown(plan, "it is missing") from None
    except StorageError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unknown(plan, f"{type(error).__name__}: {error}") from None


def _ids_in(value: object) -> Iterator[str]:
    """Collect every activation id in a part of a plan, whatever its set is used for."""
    if isinstance(value, dict):
        if "activation_id" in value:
            yield value["activation_id"]
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _ids_in(inner)


def _unknown(plan: Location, reason: str) -> GcError:
    return GcError(
        f"{plan} does not tell what its run needs ({reason}), so nothing was dropped: run its spec "
        f"again to write it anew, or delete {plan.parent}"
    )
