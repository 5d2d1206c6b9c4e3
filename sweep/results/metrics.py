"""The table of metrics: one row per finished cell of a run."""

from collections.abc import Iterable, Iterator

import pandas as pd

from jobs.statistics.scores import VALIDATION_LOSS, score_columns
from sweep.state.ledger import Record


def metric_columns() -> list[str]:
    """List the columns that ``metrics.csv`` always has; details of probes follow them.

    A score is empty if it is undefined or does not apply to the target; a validation loss also if
    there is no validation split, or the cell was scored before these losses were kept.
    """
    return [
        *("model", "layer", "layer_index", "target", "probe", "seed", "fold", "control"),
        *("n_train", "n_test", *score_columns(), *VALIDATION_LOSS.values()),
        *("seconds", "cell_id"),
    ]


def metrics_table(records: Iterable[Record]) -> pd.DataFrame:
    """Make the table ``metrics.csv``: one row per done cell of ``records``."""
    rows = list(_metric_rows(records))
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=metric_columns())


def _metric_rows(records: Iterable[Record]) -> Iterator[dict[str, object]]:
    for record in records:
        if record.status == "done":
            yield {
                "model": record.model,
                "layer": record.layer,
                "layer_index": record.layer_index,
                "target": record.target,
                "probe": record.probe,
                "seed": record.seed,
                "fold": record.fold,
                "control": record.control,
                "n_train": record.n_train,
                "n_test": record.n_test,
                **dict.fromkeys([*score_columns(), *VALIDATION_LOSS.values()]),
                **record.scores,
                **record.details,
                "seconds": record.seconds,
                "cell_id": record.cell_id,
            }
