"""Waiting for disks that are full, or nearly so."""

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

log = logging.getLogger(__name__)

LOW_BYTES = 512 * 2**20
"""Free bytes below which nothing more is extracted: two of the largest shards."""
PAUSE_SECONDS = 60.0
"""How long a run waits where a disk was full that does not look so: a quota, another machine's."""


class DiskPause:
    """Whether there is room to go on; looks at the disks again whenever it is asked.

    Args:
        folders: that jobs write to, on any disk that this machine sees; they may not be there yet.
        tell: told, in a sentence, when work pauses and when it goes on.
        clock: seconds.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        tell: Callable[[str], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folders = [
            next(path for path in (folder, *folder.parents) if path.exists()) for folder in folders
        ]
        self._tell = tell
        self._clock = clock
        self._until: float | None = None
        """End of the pause, unless a disk is seen to be full."""
        self._seen_full = False
        self._told_low = False

    def disk_is_full(self, where: str, why: str) -> None:
        """Work could not write: everything pauses."""
        log.warning("%s: %s", where, why)
        if self._until is None:
            self._tell(
                f"disk full at {where} ({why}): the run waits until there is room, and then goes "
                "on by itself; no attempt is counted"
            )
        self._until = self._clock() + PAUSE_SECONDS

    def holds(self) -> bool:
        """Whether nothing at all is to be begun now."""
        if self._until is None:
            return False
        if self._lowest() < LOW_BYTES:
            self._seen_full = True
            return True
        if not self._seen_full and self._clock() < self._until:
            return True
        self._until, self._seen_full = None, False
        self._tell("the run goes on: the disk has room again, or may have")
        return False

    def holds_extraction(self) -> bool:
        """Whether no shard is to be begun now: what is left is for predictions and tables."""
        free = self._lowest()
        low = free < LOW_BYTES
        if low != self._told_low:
            self._told_low = low
            self._tell(
                f"{free / 2**20:.0f} MiB are free where the run writes: extraction waits until "
                f"there are {LOW_BYTES / 2**20:.0f}"
                if low
                else "extraction goes on: the disk has room again"
            )
        return low

    def _lowest(self) -> int:
        return min((shutil.disk_usage(folder).free for folder in self._folders), default=LOW_BYTES)
