"""Optional parts of a probe job: work on a layer in addition to fitting and scoring its cells.

A part travels with the job as plain values; on the worker it is started once per layer, called
after every fit, and finished at the end. Saved probes, predictions for stretched speech and
canonical components are parts. A new part is a dataclass with ``start``; the job itself does not
depend on any of them.
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
    """The values of a probe job that its parts may use."""

    model: str
    name: str
    """Name of the layer."""
    cells: tuple[Cell, ...]
    probes: Mapping[str, ProbeSettings]
    data: LayerData
    raises_out_of_memory: bool
    """True if a part should raise when memory runs out, so that the job runs again on an exclusive
    node, instead of failing cells."""


class RunningPart(Protocol):
    """A part at work on one layer."""

    def after_fit(self, fitted: FittedCell) -> None:
        """Process a cell that was fitted and scored, or that failed."""

    def finish(self) -> Mapping[str, str]:
        """Complete the part after the last cell and write its files.

        Returns:
            Cell id → error of every cell that fails because of this part.
        """


class JobPart(Protocol):
    """An optional part of a probe job, as it is sent to a worker."""

    def start(self, layer: ProbedLayer) -> RunningPart:
        """Start work on a layer whose activations are finite.

        Raises:
            jobs.activations.manifest.CorruptShard: an activation shard that the part needs is
                damaged and has to be extracted again.
        """
