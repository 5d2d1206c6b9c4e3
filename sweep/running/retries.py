"""Retries: the reaction to a failed job, by cause.

============ ===================================================== =================================
cause        meaning                                               consequence
============ ===================================================== =================================
died         its process, its actor or its node is gone            retried elsewhere
timeout      it died when ``compute.timeout`` was over             retried elsewhere
memory       its machine, or the process, ran out of memory        retried beside less work
io           a disk or an object store answered with an error      retried after some waiting
disk         a disk is full                                        the run waits; no attempt counts
corrupt      an activation shard is damaged                        the shard is extracted again
code         anything else: it would happen again                  fails at once
============ ===================================================== =================================
"""

from jobs.activations.manifest import CorruptShard
from sweep.errors import reason
from sweep.executors.base import Outcome
from sweep.running.attempts import Attempts
from sweep.running.corrupt_shards import ShardRepair
from sweep.running.disk_pause import DiskPause
from sweep.state.retry_policy import cause_of


class Retries:
    """Decides whether a failed job runs again.

    Args:
        attempts: counts how often each job was tried.
        pause: waits for full disks.
        repair: queues damaged shards for re-extraction.
    """

    def __init__(self, attempts: Attempts, pause: DiskPause, repair: ShardRepair) -> None:
        self._attempts = attempts
        self._pause = pause
        self._repair = repair

    def is_due(self, key: str) -> bool:
        """Return whether the job with this key may be tried now."""
        return self._attempts.is_due(key)

    def is_alone(self, key: str) -> bool:
        """Return whether the job ran out of memory and should run on an exclusive node."""
        return self._attempts.is_alone(key)

    def again(self, outcome: Outcome) -> bool:
        """Return whether the job of ``outcome``, which has an error, will run again."""
        key, error = outcome.job.key, outcome.error
        if isinstance(error, CorruptShard):
            try:
                return self._repair.again(error)
            except OSError as failed:  # the job reads the shard again after some waiting
                return self._attempts.again(key, cause_of(failed), reason(failed))
        cause = outcome.died or cause_of(error)
        if cause == "disk":
            self._pause.disk_is_full(key, reason(error))
        return self._attempts.again(key, cause, reason(error))
