"""Short timing of what a layer takes beside its fits: reading, scoring, writing."""

import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from jobs.corpus.table import read_table, write_table
from jobs.protocol.predictions import CellPredictions, write_predictions
from jobs.protocol.target_folds import TargetFolds
from jobs.statistics.scoring import score_classes, score_numbers
from sweep.plan.plan import LayerTask, Plan

MOST_CELLS = 40
"""Cells that are scored; more are expected to take longer in proportion."""


@dataclass(frozen=True)
class TaskSeconds:
    """Seconds of one process for a layer, beside its fits and its activations."""

    layer: float = 0.0
    """Reading the utterance table, and making the folds."""
    cell: float = 0.0
    """Scoring a cell, and writing its predictions."""


def time_task(plan: Plan, table: pd.DataFrame, task: LayerTask) -> TaskSeconds:
    """Do what a job does for a layer but for its fits, in a folder that is removed.

    Args:
        plan: the plan.
        table: the utterance table, with the targets.
        task: a layer with its cells.
    """
    chosen = task.cells[:MOST_CELLS]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "utterances.csv")
        write_table(path, table)
        start = time.perf_counter()
        read = read_table(path, text=tuple(plan.classes))
        folds = TargetFolds(plan.target_protocols, read, plan.classes)
        tested = {cell.target: folds.of(cell.target) for cell in chosen}
        read_at = time.perf_counter()
        ids = read["utterance_id"].to_numpy(dtype=np.str_)
        speakers = read["speaker_id"].to_numpy(dtype=np.str_)
        random = np.random.default_rng(0)
        predictions = {}
        for cell in chosen:
            rows = tested[cell.target][cell.fold].test
            values = random.standard_normal((2, len(rows)))
            if plan.kind(cell.target) == "classification":
                values = np.abs(np.round(values))
                score_classes(values[0], values[1], 0.0)
            else:
                score_numbers(values[0], values[1], 0.0, speakers[rows])
            truth, guess = values.astype(np.float32)
            predictions[cell.cell_id] = CellPredictions(cell.fold, 0.0, ids[rows], truth, guess)
        write_predictions(Path(folder, "predictions.npz"), predictions)
        done = time.perf_counter()
    return TaskSeconds(read_at - start, (done - read_at) / len(chosen))


def columns_of_a_fit(plan: Plan, task: LayerTask, probe: str) -> int:
    """Return how many cells of a layer one fit of a probe serves, where it serves most."""
    return max(
        Counter(
            (cell.fold, plan.kind(cell.target)) for cell in task.cells if cell.probe == probe
        ).values()
    )
