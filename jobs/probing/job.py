"""The probe job: one layer of one model, all its probes, targets, seeds, folds and controls."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import pandas as pd

from jobs.gram.fit import GramSets
from jobs.job import Resources, Worker
from jobs.probes import ProbeSettings
from jobs.probing.fits import LayerFits
from jobs.probing.layer_data import LayerData, read_layer_data
from jobs.probing.parts import JobPart, ProbedLayer
from jobs.probing.results import CellResult, left_out_id
from jobs.probing.utterance_types import read_types
from jobs.protocol.cells import Cell
from jobs.protocol.predictions import CellPredictions, write_predictions
from jobs.protocol.settings import Protocols
from jobs.storage.location import Location


def probe_key(model: str, layer: str) -> str:
    """Make the key of the job that probes a layer."""
    return f"{model} / {layer}"


@dataclass(frozen=True)
class ProbeJob:
    """All probing of one layer."""

    model: str
    layer: str
    activations: tuple[tuple[Location, int], ...]
    """(folder, number of shards) of every activation set that holds the table's utterances."""
    table: Location
    """The utterance table with target columns."""
    probes: dict[str, ProbeSettings]
    protocols: Protocols
    """The protocol of every target."""
    cells: tuple[Cell, ...]
    predictions: Location
    """The ``.npz`` that the cells' predictions are written to."""
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Target → names of its classes, sorted; numeric targets are left out."""
    sums: GramSets | None = None
    """Statistics in place of the activations of the training and validation splits, with `kfold` of
    the test splits too; None if ``activations`` has all splits."""
    types: tuple[tuple[Location, int], ...] = ()
    """(folder, number of shards) of every activation set of the baseline ``fbank``, if a cell is of
    the control ``type`` and the baseline is extracted."""
    parts: tuple[JobPart, ...] = ()
    """Further work on the layer, such as saving fitted probes."""
    alone: bool = False
    """True if the job has an exclusive node, because it ran out of memory before."""

    resources: ClassVar[Resources] = "probe"
    affinity: ClassVar[None] = None

    @property
    def key(self) -> str:
        """Model and layer: a run has one probe job per layer."""
        return probe_key(self.model, self.layer)

    @property
    def kind(self) -> str:
        """The model: its layers all have the same numbers of utterances and cells."""
        return f"layers of {self.model}"

    @property
    def title(self) -> str:
        """Model and layer."""
        return self.key

    def run(self, worker: Worker) -> list[CellResult]:
        """Run ``probe_layer``."""
        return probe_layer(self)


def probe_layer(job: ProbeJob) -> list[CellResult]:
    """Fit and score every cell of ``job``, write the predictions, and return results in cell order.

    If a probe raises, the cells of that fit fail with the reason and the others continue. Cells
    with activations, predictions or scores that are not finite fail. An utterance without a value
    of a target is left out of that target's cells. Probes receive a class as its position in
    ``job.classes``.

    Raises:
        MemoryError, RuntimeError: out of memory (``ran_out_of_memory``), unless ``job.alone``.
        jobs.activations.manifest.CorruptShard: an activation shard is damaged and has to be
            extracted again.
        ValueError: activations, table and protocol do not fit together.
    """
    data = read_layer_data(
        job.table, job.activations, job.layer, job.protocols, job.classes, job.sums
    )
    if job.types:
        ids = pd.Index(data.table["utterance_id"])
        data = replace(data, types=read_types(job.types, ids))
    fits, not_finite = LayerFits(data, job.alone), data.non_finite(job.layer)
    if not_finite:
        return [fits.failed(cell, not_finite) for cell in job.cells]
    results = _run(job, fits, data)
    left_out = {
        target: left_out_id(data.left_out(target))
        for target in dict.fromkeys(cell.target for cell in job.cells)
    }
    return [replace(results[cell.cell_id], left_out=left_out[cell.target]) for cell in job.cells]


def _run(job: ProbeJob, fits: LayerFits, data: LayerData) -> dict[str, CellResult]:
    """Fit all cells, write predictions and the files of all parts; return results by cell id."""
    layer = ProbedLayer(job.model, job.layer, job.cells, job.probes, data, not job.alone)
    parts = [part.start(layer) for part in job.parts]
    results: dict[str, CellResult] = {}
    predictions: dict[str, CellPredictions] = {}
    for cells in fits.group_by_fit(job.cells):
        for fitted in fits.fit(job.probes[cells[0].probe], cells):
            results[fitted.cell.cell_id] = fitted.result
            if fitted.predictions is not None:
                predictions[fitted.cell.cell_id] = fitted.predictions
            for part in parts:
                part.after_fit(fitted)
    errors: dict[str, str] = {}
    for part in parts:
        errors |= part.finish()
    results |= {
        cell.cell_id: fits.failed(cell, errors[cell.cell_id])
        for cell in job.cells
        if cell.cell_id in errors
    }
    write_predictions(job.predictions, predictions)
    return results
