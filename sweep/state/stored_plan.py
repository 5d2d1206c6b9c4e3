"""``plan.json``: the plan, and the checksums of the files that it belongs to.

It is written after ``spec.yaml`` and ``utterances.csv``, with two keys beside the plan: ``files``,
their SHA-256, and ``sum``, its own checksum. So numbers never come from a file that was changed
since.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs.storage.atomic import write_bytes
from jobs.storage.json_files import parse_json, with_sum
from jobs.storage.regular_files import DamagedFile, open_regular, read_regular
from sweep.plan.plan import Plan
from sweep.state.run_folder import RunFolder

FILES = "files"
_TRIES = 5
_TRY_SECONDS = 0.2
"""Seconds between two looks at files that a driver may be replacing one after the other."""


@dataclass(frozen=True)
class StoredPlan:
    """A plan as it was read."""

    plan: Plan
    digests: Mapping[str, str]
    """Name → SHA-256 of the files that were written with it; empty in older runs."""


def write_plan(folder: RunFolder, plan: Plan) -> None:
    """Write the plan of a run, whose spec and utterance table are already there."""
    digests = {path.name: _digest(path) for path in (folder.spec, folder.utterances)}
    values = {**plan.model_dump(mode="json"), FILES: digests}
    text = json.dumps(values, indent=1, ensure_ascii=False)
    write_bytes(folder.plan, with_sum(text.encode()))


def read_plan(folder: RunFolder) -> StoredPlan:
    """Read the plan of a run.

    Raises:
        OSError: there is none, or it cannot be read.
        ValueError: it is damaged, or of another version.
    """
    values = parse_json(read_regular(folder.plan))
    digests = values.pop(FILES, {})
    if not isinstance(digests, dict):
        raise DamagedFile(f"{FILES}: expected an object")
    return StoredPlan(Plan.model_validate(values), digests)


def is_plan(path: Path) -> bool:
    """Return whether a file is the plan of a run, of whatever version."""
    try:
        parse_json(read_regular(path), {"models": list, "probes": dict, "n_folds": int})
    except (OSError, DamagedFile):
        return False
    return True


def check_unchanged(folder: RunFolder, name: str) -> None:
    """Make sure that a file is the one that was written with the plan.

    Raises:
        OSError: one of both cannot be read.
        ValueError: it is not, or the plan is damaged.
    """
    for attempt in range(_TRIES):
        expected = read_plan(folder).digests.get(name)
        if expected is None or _digest(folder.root / name) == expected:
            return
        if attempt + 1 < _TRIES:
            time.sleep(_TRY_SECONDS)
    raise DamagedFile("it was changed after the run wrote it")


def _digest(path: Path) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
