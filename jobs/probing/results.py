"""Results of cells: returned by a probe job, or used only inside it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from jobs.identity import content_id
from jobs.probes import ProbeSettings
from jobs.probes.result import Weights
from jobs.protocol.cells import Cell
from jobs.protocol.folds import Fold
from jobs.protocol.predictions import CellPredictions


@dataclass(frozen=True)
class CellResult:
    """The scores of a cell, or the reason for its failure."""

    cell_id: str
    status: Literal["done", "failed"]
    error: str | None
    """One human-readable line if the cell failed."""
    n_train: int
    n_test: int
    """Number of utterances, without those that extraction skipped or that lack the target."""
    scores: dict[str, float | None]
    """Scores by `jobs.statistics.scoring.score_numbers`, or by `score_classes` for classes; None
    where a score is undefined. Empty if the cell failed."""
    details: dict[str, float]
    """Values that the probe chose: alpha, epochs, …"""
    seconds: float
    """The cell's share of the duration of its fit."""
    left_out: str | None = None
    """Id of the utterances that extraction skipped, see `left_out_id`."""


def left_out_id(utterance_ids: Collection[str]) -> str:
    """Identify the utterances that are left out of all cells of a layer; empty if there are none.

    A cell that was scored without other utterances than are usable today is out of date.
    """
    return content_id(sorted(utterance_ids)) if utterance_ids else ""


@dataclass(frozen=True)
class FittedCell:
    """A cell after its fit: its result, and the values that parts of the job use."""

    cell: Cell
    settings: ProbeSettings
    rows: Fold
    """Usable rows of the utterance table."""
    result: CellResult
    train_mean: float | None = None
    """Mean of the target over the training split; None if the cell failed."""
    predictions: CellPredictions | None = None
    """None if the cell failed or its test split has no activations."""
    weights: Weights | None = None
    """None if the cell failed or its probe does not export weights."""
