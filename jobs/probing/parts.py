"""Optional parts of a probe job: work on a layer beside fitting and scoring its cells.

A part travels with the job as plain values; on the worker it is started once per layer, called
after every fit, and finished at the end. Saved probes, predictions for stretched speech and
canonical components are parts. A new one is a dataclass with ``start``; the job itself knows none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from jobs.probes import ProbeSettings
from jobs.probing.layer_data import LayerData
from jobs.probing.results import FittedCell
from jobs.protocol.cells import Cell


@dataclass(frozen=True)
class ProbedLayer:
    """What a part may know of the job it belongs to."""

    model: str
    name: str
    """Of the layer."""
    cells: tuple[Cell, ...]
    probes: Mapping[str, ProbeSettings]
    data: LayerData
    raises_out_of_memory: bool
    """Whether running out of memory is to be raised, so that the job runs again with its machine
    to itself, rather than to fail cells."""


class RunningPart(Protocol):
    """A part at work on one layer."""

    def after_fit(self, fitted: FittedCell) -> None:
        """Use a cell that was fitted and scored, or that failed."""

    def finish(self) -> Mapping[str, str]:
        """Complete the part after the last cell and write its files.

        Returns:
            Cell id → error of every cell that fails because of this part.
        """


class JobPart(Protocol):
    """An optional part of a probe job, as it is sent to a worker."""

    def start(self, layer: ProbedLayer) -> RunningPart:
        """Begin work on a layer whose activations are finite.

        Raises:
            jobs.activations.manifest.CorruptShard: an activation shard that the part needs is
                damaged and has to be extracted again.
        """
