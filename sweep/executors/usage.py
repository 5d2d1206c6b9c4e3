"""What an executor has, and what of it is in use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.workers.usage import MachineUsage
from sweep.executors.preflight import Node

if TYPE_CHECKING:  # jobs in this process need no Ray
    from jobs.workers.ray_workers import Ended


@dataclass(frozen=True)
class Usage:
    """What an executor has, and what of it is in use."""

    nodes: int
    jobs: int
    """Jobs that it has, running or waiting for a place."""
    places: int
    """Jobs that can run at a time."""
    gpus: tuple[float, float] | None = None
    """GPUs that jobs hold, of how many; None if there are none."""
    machines: Sequence[MachineUsage] = ()
    """Last reports of the machines on which jobs ran."""


class Machines:
    """Use of the machine of each node during its last job."""

    def __init__(self) -> None:
        self._last: dict[str, MachineUsage] = {}

    def note(self, ended: "Ended") -> None:
        """Take in the report of a job."""
        if ended.node is not None and ended.usage is not None:
            self._last[ended.node] = ended.usage

    def usage(self, nodes: Mapping[str, Node], jobs: int, places: int, gpus: float) -> Usage:
        """Add up what ``nodes`` have; ``gpus`` are held by jobs."""
        found = [usage for name, usage in self._last.items() if name in nodes]
        all_gpus = sum(node.resources.get("GPU", 0.0) for node in nodes.values())
        held = (min(gpus, all_gpus), all_gpus) if all_gpus else None
        machines = {usage.machine: usage for usage in found}  # of several nodes on one, the last
        return Usage(len(nodes), jobs, places, held, list(machines.values()))
