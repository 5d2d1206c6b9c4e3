"""Bounded least-recently-used cache of an object store's files on this machine.

The key of an entry contains the version of its object, so no entry is ever out of date. Several
processes share the folder. Nothing depends on the cache: whatever it lacks is fetched again.
"""

import hashlib
import logging
import os
import shutil
import tempfile
import uuid
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

log = logging.getLogger(__name__)

FOLDER_VARIABLE = "SWEEP_NODE_CACHE"
GIB_VARIABLE = "SWEEP_NODE_CACHE_GIB"
DEFAULT_GIB = 20.0
"""Default limit, or a quarter of the free disk space if that is less."""


@dataclass(frozen=True)
class NodeCache:
    """A cache folder on this machine.

    Attributes:
        folder: owned by this user, since its content is trusted.
        limit: total bytes of all entries; concurrent processes may briefly exceed it.
    """

    folder: Path
    limit: int

    @classmethod
    def of_this_machine(cls) -> "NodeCache":
        """Open the cache that ``$SWEEP_NODE_CACHE`` and ``$SWEEP_NODE_CACHE_GIB`` configure.

        Raises:
            PermissionError: the folder belongs to another user.
        """
        default = Path(tempfile.gettempdir()) / f"sweep-node-cache-{os.getuid()}"
        folder = os.environ.get(FOLDER_VARIABLE) or str(default)
        return _open(Path(folder), os.environ.get(GIB_VARIABLE, ""))

    def read(self, *key: str) -> bytes | None:
        """Return an entry, None if there is none, and mark it as just used."""
        path = self._path(key)
        try:
            data = path.read_bytes()
            os.utime(path)
        except FileNotFoundError:  # never stored, or just evicted
            return None
        return data

    def keep(self, data: bytes, *key: str) -> None:
        """Store an entry; log a warning if the disk refuses it."""
        path = self._path(key)
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
        try:
            temporary.write_bytes(data)
            temporary.replace(path)
        except OSError as error:
            log.warning("%s cannot keep %d bytes: %s", self.folder, len(data), error)
        finally:
            temporary.unlink(missing_ok=True)

    def forget(self, *key: str) -> None:
        """Remove an entry that turned out to be damaged."""
        self._path(key).unlink(missing_ok=True)

    def make_room(self, n_bytes: int) -> bool:
        """Evict entries until ``n_bytes`` fit; return False if they exceed the limit."""
        if n_bytes > self.limit:
            return False
        entries = sorted(_entries(self.folder))
        used = sum(size for _, size, _ in entries)
        for _, size, path in entries:
            if used + n_bytes <= self.limit:
                break
            path.unlink(missing_ok=True)
            used -= size
        return True

    def _path(self, key: tuple[str, ...]) -> Path:
        return self.folder / hashlib.sha256("\0".join(key).encode()).hexdigest()


@lru_cache
def _open(folder: Path, gib: str) -> NodeCache:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(
            f"{folder} belongs to another user, who could change what is read from it: "
            f"choose another folder with {FOLDER_VARIABLE}"
        )
    if gib:
        return NodeCache(folder, int(float(gib) * 2**30))
    kept = sum(size for _, size, _ in _entries(folder))
    room = kept + shutil.disk_usage(folder).free // 4
    return NodeCache(folder, min(int(DEFAULT_GIB * 2**30), room))


def _entries(folder: Path) -> list[tuple[int, int, Path]]:
    """Return (time of last use in ns, bytes, path) of all files, temporary ones included."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                status = entry.stat()
            except FileNotFoundError:
                continue
            found.append((status.st_mtime_ns, status.st_size, Path(entry.path)))
    return found
