"""Comparison of a score in the ledger with the predictions that its interval comes from.

Lines and predictions with checksums need none. It is for those that were written before there were
checksums: a score that its own predictions do not give was changed afterwards.
"""

from collections.abc import Iterator

import numpy as np

from jobs.probes import TargetKind
from jobs.protocol.predictions import CellPredictions
from sweep.errors import RunError
from sweep.state.ledger import Record

_TOLERANCE = 1e-4
"""Relative difference that is taken for rounding; predictions are stored as float32."""
_ROUNDING = 2.0**-24


def check_scores(record: Record, cell: CellPredictions, kind: TargetKind) -> None:
    """Make sure that the main scores of a cell are those of its predictions.

    Raises:
        RunError: they are not.
    """
    found = _accuracy(cell) if kind == "classification" else _squares(cell)
    for name, value, tolerance in found:
        recorded = record.scores.get(name)
        if recorded is not None and abs(recorded - value) > tolerance:
            raise RunError(
                f"ledger.jsonl has {name} {recorded:.6g} for {record.model} {record.layer}, "
                f"{record.target}, {record.probe}, but its predictions give {value:.6g}: one of "
                f"both was changed. Delete predictions/{record.predictions} and run the spec "
                "again; its cells are then computed anew"
            )


def _accuracy(cell: CellPredictions) -> Iterator[tuple[str, float, float]]:
    yield "accuracy", float(np.mean(cell.y_true == cell.y_pred)), _TOLERANCE


def _squares(cell: CellPredictions) -> Iterator[tuple[str, float, float]]:
    y, y_pred = cell.y_true.astype(np.float64), cell.y_pred.astype(np.float64)
    mse, mst = float(np.mean((y_pred - y) ** 2)), float(np.mean((y - cell.train_mean) ** 2))
    # Both were rounded, by at most half a unit of the largest value.
    step = 2 * _ROUNDING * float(np.max(np.abs([y, y_pred]), initial=0.0))
    rounding = 4 * step * (mse**0.5 + mst**0.5) + 4 * step**2
    yield "mse", mse, _TOLERANCE * mse + rounding
    if mst > rounding:
        ratio = mse / mst
        yield "r2", 1 - ratio, _TOLERANCE * (1 + ratio) + rounding * (1 + ratio) / mst
