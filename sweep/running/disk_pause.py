"""Waiting for full or nearly full disks."""

import logging
import math
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sweep.errors import reason
from sweep.state.retry_policy import cause_of

log = logging.getLogger(__name__)

LOW_BYTES = 512 * 2**20
"""Free bytes below which nothing more is extracted: two of the largest shards."""
PAUSE_SECONDS = 60.0
"""Seconds of a pause if no disk looks full from here, such as for a quota or another machine's
disk."""
LOOK_SECONDS = 0.1
"""Seconds between two checks of the disk while the ledger cannot be written."""


class DiskPause:
    """Pauses a run while a disk is full; every query checks the disks again.

    Args:
        folders: folders that jobs write to, on disks visible from this machine; they may not exist
            yet.
        warn: called with a sentence when work pauses, and when it resumes.
        stopped: whether the run was asked to stop.
        clock: seconds.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        warn: Callable[[str], object],
        stopped: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folders = [
            next(path for path in (folder, *folder.parents) if path.exists()) for folder in folders
        ]
        self._warn = warn
        self._stopped = stopped
        self._clock = clock
        self._until: float | None = None
        """End of the pause, unless a disk is found to be full."""
        self._seen_full = False
        self._warned_low = False

    def disk_is_full(self, where: str, why: str) -> None:
        """Begin a pause, as some job could not write."""
        log.warning("%s: %s", where, why)
        if self._until is None:
            self._warn(
                f"disk full at {where} ({why}): the run waits until there is room, then resumes by "
                "itself; no attempt is counted"
            )
        self._until = self._clock() + PAUSE_SECONDS

    def holds(self) -> bool:
        """Return whether all new work is held back now."""
        if self._until is None:
            return False
        if self._lowest() < LOW_BYTES:
            self._seen_full = True
            return True
        if not self._seen_full and self._clock() < self._until:
            return True
        self._until, self._seen_full = None, False
        self._warn("the run resumes: the disk has room again, or may have")
        return False

    def holds_extraction(self) -> bool:
        """Return whether extraction is held back now, to keep disk space for predictions and
        tables."""
        free = self._lowest()
        low = free < LOW_BYTES
        if low != self._warned_low:
            self._warned_low = low
            self._warn(
                f"{free / 2**20:.0f} MiB are free where the run writes: extraction waits until "
                f"there are {LOW_BYTES / 2**20:.0f}"
                if low
                else "extraction resumes: the disk has room again"
            )
        return low

    def write(self, file: str, write: Callable[[], None], patience: float = math.inf) -> None:
        """Call ``write``, which writes to ``file``, and repeat until the disk has room for it.

        A run that is stopped meanwhile gives up: the cells that were not recorded run again.

        Args:
            file: its name, for messages.
            write: can be called several times.
            patience: seconds after which the last error is raised.

        Raises:
            OSError: ``write`` failed for another reason than a full disk, or for too long.
        """
        deadline = self._clock() + patience
        while True:
            try:
                write()
            except OSError as error:
                if cause_of(error) != "disk" or self._clock() >= deadline:
                    raise
                self.disk_is_full(file, reason(error))
            else:
                return
            while self.holds() and self._clock() < deadline:
                time.sleep(LOOK_SECONDS)
                if self._stopped():
                    log.warning("stopped on a full disk: what came back last runs again")
                    return

    def _lowest(self) -> int:
        return min((shutil.disk_usage(folder).free for folder in self._folders), default=LOW_BYTES)
