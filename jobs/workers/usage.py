"""Use of a machine's processors and memory, from ``/proc``."""

from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_KIB = 1024


@dataclass(frozen=True)
class MachineUsage:
    """Use of a machine since the last report on it."""

    machine: str
    """Identity of the machine, the same for all processes and containers on it."""
    cpus: int
    busy: float
    """CPUs that were busy on average, from 0 to ``cpus``."""
    memory: int
    """Bytes."""
    memory_used: int
    """Bytes that new work could not get."""


class UsageMeter:
    """Looks at this machine; the time between two looks is what ``busy`` is measured over.

    Args:
        proc: the file system that Linux keeps its state in.
    """

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._before = self._ticks()

    def look(self) -> MachineUsage | None:
        """Measure this machine; None where the operating system does not say."""
        now, before = self._ticks(), self._before
        if now is None or before is None:
            return None
        self._before = now
        total = now[1] - before[1]
        share = (now[0] - before[0]) / total if total > 0 else 0.0
        try:
            memory = self._memory()
            machine = (self._proc / "sys/kernel/random/boot_id").read_text().strip()
            stat = (self._proc / "stat").read_text()
        except (OSError, KeyError, ValueError, IndexError):
            return None
        cpus = sum(line.startswith("cpu") for line in stat.splitlines()) - 1
        busy = round(min(max(share, 0.0), 1.0) * cpus, 2)
        return MachineUsage(machine, cpus, busy, memory[1], memory[0])

    def _ticks(self) -> tuple[int, int] | None:
        """Ticks of all processors: busy, and in all."""
        try:
            first = (self._proc / "stat").read_text().splitlines()[0].split()
            user, nice, system, idle, waiting, *rest = map(int, first[1:9])
        except (OSError, ValueError, IndexError):
            return None
        busy = user + nice + system + sum(rest)
        return busy, busy + idle + waiting

    def _memory(self) -> tuple[int, int]:
        """Bytes in use, and in all."""
        lines = (self._proc / "meminfo").read_text().splitlines()
        found = {name: int(value.split()[0]) * _KIB for name, _, value in _fields(lines)}
        return found["MemTotal"] - found["MemAvailable"], found["MemTotal"]


def _fields(lines: list[str]) -> list[tuple[str, str, str]]:
    return [line.partition(":") for line in lines if ":" in line]
