"""The job of a layer's learning curves: its probes, fitted to fewer training speakers.

The predictions are in a file as `jobs.protocol.predictions` writes it, each under the name of
`learning_key`.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from jobs.job import Resources, Worker
from jobs.probes import ProbeSettings, seed_count
from jobs.probing.fits import LayerFits
from jobs.probing.layer_data import read_layer_data
from jobs.probing.layer_report import LayerReport
from jobs.probing.results import FittedCell
from jobs.protocol.cells import Cell
from jobs.protocol.predictions import CellPredictions, write_predictions
from jobs.protocol.settings import Protocols
from jobs.protocol.training_fractions import DRAWS, FractionFolds
from jobs.storage.location import Location

LEARNING_VERSION = 1
"""Version in the names of the files; to be raised when their numbers change."""


def learning_key(cell_id: str, fraction: float, draw: int) -> str:
    """Name the predictions of a cell at a ``fraction`` of the training speakers."""
    return f"{cell_id}@{fraction!r}#{draw}"


def cells_of_draw(
    cells: tuple[Cell, ...], probes: Mapping[str, ProbeSettings], draw: int
) -> tuple[Cell, ...]:
    """Select the cells that are fitted in a draw of speakers: no controls, and one seed a draw."""
    return tuple(
        cell
        for cell in cells
        if cell.control == "none" and cell.seed == draw % seed_count(probes[cell.probe])
    )


@dataclass(frozen=True)
class LearningJob:
    """The learning curves of one layer."""

    model: str
    layer: str
    activations: tuple[tuple[Location, int], ...]
    """(folder, number of shards) of every activation set."""
    table: Location
    """The utterance table with target columns."""
    protocols: Protocols
    """The protocol of every target."""
    classes: Mapping[str, tuple[str, ...]]
    probes: Mapping[str, ProbeSettings]
    cells: tuple[Cell, ...]
    """All cells of the layer."""
    fractions: tuple[float, ...]
    """Shares of the training speakers, below 1."""
    file: Location
    """File to write."""

    resources: ClassVar[Resources] = "probe"
    affinity: ClassVar[None] = None

    @property
    def key(self) -> str:
        """Model and layer."""
        return f"learning curves: {self.model} / {self.layer}"

    @property
    def kind(self) -> str:
        """The model: its layers all have the same numbers of utterances and cells."""
        return f"learning curves: {self.model}"

    @property
    def title(self) -> str:
        """Model and layer."""
        return self.key

    def run(self, worker: Worker) -> LayerReport:
        """Fit all probes and write the file.

        Raises:
            jobs.activations.manifest.CorruptShard: a shard is damaged and has to be extracted
                again.
            ValueError: activations are not finite, or no fit succeeded.
        """
        start = time.perf_counter()
        predictions: dict[str, CellPredictions] = {}
        errors: Counter[str] = Counter()
        for key, fitted in self._fits():
            if fitted.predictions is not None:
                predictions[key] = fitted.predictions
            else:
                errors[fitted.result.error or ""] += 1
        warnings = [f"{self.key}: {count} fits failed: {error}" for error, count in errors.items()]
        if not predictions:
            raise ValueError("; ".join(warnings))
        write_predictions(self.file, predictions)
        return LayerReport(time.perf_counter() - start, tuple(warnings))

    def _fits(self) -> Iterator[tuple[str, FittedCell]]:
        data = read_layer_data(
            self.table, self.activations, self.layer, self.protocols, self.classes
        )
        if not_finite := data.non_finite(self.layer):
            raise ValueError(not_finite)
        for fraction in self.fractions:
            for draw in range(DRAWS):
                fewer = replace(data, folds=FractionFolds(data.folds, fraction, draw))
                fits = LayerFits(fewer, alone=False)
                for cells in fits.group_by_fit(cells_of_draw(self.cells, self.probes, draw)):
                    for fitted in fits.fit(self.probes[cells[0].probe], cells):
                        yield learning_key(fitted.cell.cell_id, fraction, draw), fitted
