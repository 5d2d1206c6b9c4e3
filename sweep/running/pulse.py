"""Signs of life of a run: what it uses now, every few seconds, as an event."""

import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from jobs.workers.usage import MachineUsage, UsageMeter
from sweep.executors.base import Executor
from sweep.executors.usage import Usage

PULSE_SECONDS = 10.0
"""Seconds between two ``resources`` events."""
_ASK_GPUS = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]


class Pulse:
    """Emits what an executor has and uses, now and then.

    Args:
        emit: called with the fields of a ``resources`` event.
        clock: seconds.
    """

    def __init__(
        self, emit: Callable[..., object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._emit = emit
        self._clock = clock
        self._meter = UsageMeter()
        self._last: float | None = None
        self._gpus = BusyGpus()

    def beat(self, executor: Executor) -> None:
        """Emit an event, unless the last one is too recent."""
        now = self._clock()
        if self._last is not None and now - self._last < PULSE_SECONDS:
            return
        first, self._last = self._last is None, now
        usage = executor.usage()
        here = None if first else self._meter.look()
        busy = self._gpus.busy() if usage.gpus else None
        self._emit(**resource_fields(usage, here, busy))

    def close(self) -> None:
        """Stop asking for GPUs."""
        self._gpus.close()


def resource_fields(
    usage: Usage, here: MachineUsage | None, gpu_busy: float | None
) -> dict[str, object]:
    """Fields of a ``resources`` event; ``here`` is this machine, if it was measured."""
    machines = {machine.machine: machine for machine in usage.machines}
    if here is not None:
        machines[here.machine] = here
    fields: dict[str, object] = {
        "nodes": usage.nodes, "jobs": usage.jobs, "places": usage.places,
    }  # fmt: skip
    if machines:
        of = machines.values()
        fields["cpus"] = [round(sum(one.busy for one in of), 2), sum(one.cpus for one in of)]
        fields["memory"] = [sum(one.memory_used for one in of), sum(one.memory for one in of)]
    if usage.gpus is not None:
        fields["gpus"] = list(usage.gpus)
    if gpu_busy is not None:
        fields["gpu_busy"] = gpu_busy
    return fields


class BusyGpus:
    """Asks ``nvidia-smi`` how busy this machine's GPUs are, without waiting for its answer."""

    def __init__(self, command: Sequence[str] = _ASK_GPUS) -> None:
        self._command = list(command)
        self._thread = ThreadPoolExecutor(1, "gpus") if shutil.which(command[0]) else None
        self._asked: Future[float | None] | None = None

    def busy(self) -> float | None:
        """Return the last answer, a share of time; None if there is none yet."""
        if self._thread is None:
            return None
        answer = self._asked.result() if self._asked is not None and self._asked.done() else None
        if self._asked is None or self._asked.done():
            self._asked = self._thread.submit(self._ask)
        return answer

    def close(self) -> None:
        """Drop a question that is not answered yet."""
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)

    def _ask(self) -> float | None:
        try:
            done = subprocess.run(
                self._command, capture_output=True, text=True, timeout=10, check=True
            )
            shares = [float(line) / 100 for line in done.stdout.split()]
        except (OSError, subprocess.SubprocessError, ValueError):
            return None  # it is shown, and nothing depends on it
        return round(sum(shares) / len(shares), 2) if shares else None
