"""``provenance.json``: what a run was made with, by every session that computed something."""

import json
from pathlib import Path
from typing import Any

from jobs.storage.atomic import write_text
from jobs.storage.json_files import parse_json, read_json
from jobs.storage.regular_files import DamagedFile

_KINDS = {"cache": str, "models": dict, "data": dict, "audio": list, "runs": list, "columns": list,
          "precision": dict}  # fmt: skip
"""Types of the values that are there; a run that has computed nothing has none."""
_SESSION = {"python": str, "packages": dict, "hardware": dict, "arguments": list}


def read_provenance(path: Path) -> dict[str, Any]:
    """Read the provenance of a run.

    Raises:
        OSError: there is none, or it cannot be read.
        DamagedFile: it is damaged.
    """
    values: dict[str, Any] = read_json(path)
    for key, kind in _KINDS.items():
        if not isinstance(values.get(key, kind()), kind):
            raise DamagedFile(f"{path} is damaged: {key} is of another type")
    for session in values.get("runs", []):
        try:
            parse_json(json.dumps(session).encode(), _SESSION)
        except DamagedFile as error:
            raise DamagedFile(f"{path} is damaged: runs: {error}") from None
    return values


def write_provenance(path: Path, values: dict[str, Any]) -> None:
    """Write the provenance of a run. It has no checksum: a cache that was moved is named there."""
    write_text(path, json.dumps(values, indent=1))
