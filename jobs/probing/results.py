"""The result of a cell: what a probe job returns of it, and what stays in the job."""

from dataclasses import dataclass
from typing import Literal

from jobs.probes import ProbeSettings, Weights
from jobs.protocol.cells import Cell
from jobs.protocol.folds import Fold
from jobs.protocol.predictions import CellPredictions


@dataclass(frozen=True)
class CellResult:
    """The scores of a cell, or why it has none."""

    cell_id: str
    status: Literal["done", "failed"]
    error: str | None
    """One human-readable line where the cell failed."""
    n_train: int
    n_test: int
    """Utterances, without those that extraction skipped or that have no value of the target."""
    scores: dict[str, float | None]
    """``jobs.statistics.scoring.score_numbers``, of classes
    ``jobs.statistics.scoring.score_classes``; None where a score
    is not defined. Empty where the cell failed."""
    details: dict[str, float]
    """Values that the probe chose: alpha, epochs, …"""
    seconds: float
    """Its share of the duration of the fit that served it."""


@dataclass(frozen=True)
class FittedCell:
    """A cell after its fit: its result, and what the parts of a job may use."""

    cell: Cell
    settings: ProbeSettings
    rows: Fold
    """Usable rows of the utterance table."""
    result: CellResult
    train_mean: float | None = None
    """Mean of the target over the training split; None where the cell failed."""
    predictions: CellPredictions | None = None
    """None where the cell failed, or its test split has no activations."""
    weights: Weights | None = None
    """None where the cell failed, or its probe does not export weights."""
