"""Activation shards that are damaged or gone: set aside, and queued to be extracted again."""

import logging
from collections.abc import Callable

import pandas as pd

from jobs.activations.store import CorruptShard, set_aside
from jobs.extraction.extractor import Shard
from jobs.storage.location import Location
from sweep.plan.activation_sets import shards
from sweep.running.recorder import reason
from sweep.running.remaining import ModelWork, missing_shards
from sweep.running.retries import Attempts

log = logging.getLogger(__name__)


class ShardRepair:
    """Has a model's shards extracted another time.

    Args:
        table: the utterances that models hear.
        cache: where activations lie.
        attempts: of all work of the run.
        warn: told of what is set aside.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        cache: Location,
        attempts: Attempts,
        warn: Callable[[str], object],
    ) -> None:
        self._table = table
        self._cache = cache
        self._attempts = attempts
        self._warn = warn

    def again(self, work: ModelWork, error: CorruptShard) -> bool:
        """Queue the corrupt shard, once, however many layers trip over it, and with it all that the
        model lacks by now; else it is hopeless.

        Raises:
            OSError: an object store failed.
        """
        if work.dead:
            return False
        place = (error.folder, error.index)
        if any((shard.folder, shard.index) == place for shard in (*work.shards, *work.extracting)):
            return True
        where = f"{error.folder.name} / shard {error.index}"
        if not self._attempts.again(where, "corrupt", reason(error)):
            return False
        try:
            self.set_aside(error)
        except OSError:
            self._attempts.take_back(where)
            raise
        queued = {*work.shards, *work.extracting}
        work.shards.extend(one for one in self._lacking(work, error) if one not in queued)
        return True

    def _lacking(self, work: ModelWork, error: CorruptShard) -> list[Shard]:
        """The shard that was set aside, and others that are not there: who deletes one deletes
        many, and one at a time the probes would trip over each."""
        found = [
            shard
            for planned in work.planned.all_sets
            if planned.folder(self._cache) == error.folder
            for shard in shards(planned, self._table, self._cache)
            if shard.index == error.index
        ]
        at_work = {(shard.folder, shard.index) for shard in work.extracting}

        def on_corrupt(other: CorruptShard) -> None:
            if (other.folder, other.index) not in at_work:  # else it is being written
                self.set_aside(other)

        try:
            others = list(missing_shards(work.planned, self._table, self._cache, on_corrupt))
        except OSError as failed:  # of an object store; probes find what is not found now
            log.warning("%s: cannot be looked over: %s", work.planned.name, failed)
            return found
        return [*found, *(one for one in others if one not in found)]

    def set_aside(self, error: CorruptShard) -> None:
        """Rename what is left of a shard, and tell of it."""
        moved = [path.name for path in set_aside(error.folder, error.index)]
        fate = f"set aside as {', '.join(moved)}" if moved else "nothing is left of it"
        what = f"{error.folder.name}/shard-{error.index:05d}: {error.reason}"
        self._warn(f"{what}; {fate}, it is extracted again")
