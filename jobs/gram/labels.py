"""Labels that are summed with the activations: every target and its controls."""

import numpy as np
import pandas as pd

from jobs.arrays import FloatArray
from jobs.corpus.table import has_value
from jobs.gram.settings import GramSettings
from jobs.protocol.cells import Cell
from jobs.protocol.controls import control_target
from jobs.protocol.folds import make_folds, only


def row_sets(table: pd.DataFrame, targets: tuple[str, ...]) -> tuple[int, ...]:
    """Number the sets of utterances with a value, one number per target; equal sets share one."""
    numbers: dict[bytes, int] = {}
    return tuple(
        numbers.setdefault(has_value(table[name]).tobytes(), len(numbers)) for name in targets
    )


def label_values(settings: GramSettings, table: pd.DataFrame) -> FloatArray:
    """Return (U, K) labels, the columns of ``settings`` for all of ``table``; NaN for no value."""
    folds = make_folds(settings.protocol, table)
    values = np.empty((len(table), settings.n_columns))
    speakers = table["speaker_id"].to_numpy(dtype=np.str_)
    for k, (target, control, fold) in enumerate(settings.columns()):
        numbers = table[target].to_numpy(dtype=np.float64)
        cell = Cell("", "", target, seed=0, fold=fold, control=control)
        rows = only(has_value(table[target]), folds[fold])
        column = control_target(numbers, rows, cell, speakers)
        values[:, k] = np.where(np.isfinite(column), column, np.nan)
    return values
