"""The folder of an export: it lists its own files, and nothing of anybody else is overwritten."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.identity import file_digest
from jobs.storage.atomic import write_text
from jobs.storage.json_files import read_json
from jobs.storage.regular_files import DamagedFile
from sweep.errors import RunError

MARKER = "export.json"
SUMS = "SHA256SUMS"
FORMAT = "probing-sweep/parquet/1"


@dataclass(frozen=True)
class WrittenFile:
    """A file of the export."""

    path: str
    """Relative to the folder, with slashes."""
    n_bytes: int
    sha256: str


@dataclass
class ExportFolder:
    """The folder of the export of one run, and the files written so far."""

    root: Path
    run: str
    """Name of the run."""
    files: list[WrittenFile] = field(default_factory=list)

    def begin(self) -> None:
        """Claim the folder, and remove the files of an earlier export of the same run.

        Raises:
            RunError: it holds something else; nothing was changed.
        """
        for name in self._earlier_files():
            (self.root / name).unlink(missing_ok=True)
        self._write_marker(complete=False)

    def path(self, name: str) -> Path:
        """Return where to write the file ``name``."""
        return self.root / name

    def add(self, name: str) -> None:
        """Record a file that was written."""
        path = self.root / name
        self.files.append(WrittenFile(name, path.stat().st_size, file_digest(path)))

    def finish(self) -> None:
        """Write the checksums and mark the export as complete."""
        lines = [f"{file.sha256}  {file.path}\n" for file in self.files]
        write_text(self.root / SUMS, "".join(lines))
        self._write_marker(complete=True)

    def _write_marker(self, *, complete: bool) -> None:
        values = {
            "format": FORMAT,
            "run": self.run,
            "complete": complete,
            "files": [file.path for file in self.files] + [SUMS] * complete,
        }
        write_text(self.root / MARKER, json.dumps(values, indent=1, ensure_ascii=False) + "\n")

    def _earlier_files(self) -> list[str]:
        """Relative paths of the files that an earlier export of this run wrote."""
        if not self.root.exists() or not any(self.root.iterdir()):
            return []
        marker = self._read_marker()
        if marker is None:
            raise RunError(
                f"{self.root} is neither empty nor an export of this run: expected {MARKER} in it; "
                "choose another folder with --out"
            )
        if marker.get("run") != self.run:
            raise RunError(
                f"{self.root} holds the export of another run, {marker.get('run')!r}: choose "
                "another folder with --out"
            )
        files = marker.get("files", [])
        inside = self.root.resolve()
        return [name for name in files if (inside / name).resolve().is_relative_to(inside)]

    def _read_marker(self) -> dict[str, Any] | None:
        try:
            values: dict[str, Any] = read_json(self.root / MARKER)
        except (FileNotFoundError, DamagedFile):
            return None
        return values if values.get("format") == FORMAT else None
