"""Repair of damaged or missing activation shards: set aside and queued for re-extraction."""

import logging
from collections.abc import Callable, Iterable, Iterator

import pandas as pd

from jobs.activations.manifest import CorruptShard
from jobs.activations.store import set_aside
from jobs.extraction.shard import Shard
from jobs.storage.location import Location
from sweep.errors import reason
from sweep.plan.activation_sets import shards
from sweep.running.attempts import Attempts
from sweep.running.remaining import ModelWork, survey_shards

log = logging.getLogger(__name__)


class ShardRepair:
    """Queues damaged shards for re-extraction.

    Args:
        work: the remaining work of every model.
        table: the utterances to extract.
        cache: the activation cache.
        attempts: counts the attempts at each shard.
        warn: called with a message for the user when a shard is set aside.
    """

    def __init__(
        self,
        work: Iterable[ModelWork],
        table: pd.DataFrame,
        cache: Location,
        attempts: Attempts,
        warn: Callable[[str], object],
    ) -> None:
        self._work = list(work)
        self._table = table
        self._cache = cache
        self._attempts = attempts
        self._warn = warn

    def again(self, error: CorruptShard) -> bool:
        """Queue a corrupt shard, once, and all shards that its models lack by now.

        Returns:
            True if the shard will be extracted; False if it was tried too often, or its model was
            given up.

        Raises:
            OSError: an object store failed.
        """
        models = [work for work in self._work if not work.dead and self._reads(work, error)]
        if not models:
            return False
        if any(_is_among(error, (*work.shards, *work.extracting)) for work in models):
            return True
        key = f"{error.folder.name} / shard {error.index}"
        if not self._attempts.again(key, "corrupt", reason(error)):
            return False
        try:
            set_shard_aside(error, self._warn)
        except OSError:
            self._attempts.take_back(key)
            raise
        for work in models:
            queued = {*work.shards, *work.extracting}
            work.shards.extend(one for one in self._lacking(work, error) if one not in queued)
        return True

    def _reads(self, work: ModelWork, error: CorruptShard) -> bool:
        return any(one.folder(self._cache) == error.folder for one in work.planned.all_sets)

    def _lacking(self, work: ModelWork, error: CorruptShard) -> list[Shard]:
        """List the shard that was set aside and all other missing ones, as shards are rarely
        deleted singly.
        """
        found = list(self._described(work, error))

        try:
            seen = survey_shards(work.planned, self._table, self._cache)
            for other in seen.corrupt:
                if not _is_among(other, work.extracting):  # others are being written
                    set_shard_aside(other, self._warn)
        except OSError as failed:  # of an object store; probes will find what is missed here
            log.warning("%s: missing shards cannot be listed: %s", work.planned.name, failed)
            return found
        return [*found, *(one for one in seen.missing if one not in found)]

    def _described(self, work: ModelWork, error: CorruptShard) -> Iterator[Shard]:
        """Describe the shard that ``error`` is about, as a job needs it."""
        for planned in work.planned.all_sets:
            if planned.folder(self._cache) == error.folder:
                yield from (
                    shard
                    for shard in shards(planned, self._table, self._cache)
                    if shard.index == error.index
                )


def set_shard_aside(error: CorruptShard, warn: Callable[[str], object]) -> None:
    """Rename the remains of a shard, and warn about it."""
    moved = [path.name for path in set_aside(error.folder, error.index)]
    fate = f"set aside as {', '.join(moved)}" if moved else "nothing is left of it"
    what = f"{error.folder.name}/shard-{error.index:05d}: {error.reason}"
    warn(f"{what}; {fate}, it is extracted again")


def _is_among(error: CorruptShard, queued: Iterable[Shard]) -> bool:
    place = (error.folder, error.index)
    return any((shard.folder, shard.index) == place for shard in queued)
