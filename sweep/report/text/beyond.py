"""Findings about what layers add to nuisances."""

import pandas as pd

from sweep.report.tables.cells import Row, best_rows
from sweep.report.text import phrases


def beyond_findings(beyond: pd.DataFrame) -> list[str]:
    """Write one sentence per model and target of ``beyond.csv``.

    It counts the layers that clearly add to the nuisances (Holm's correction over layers), and
    names the layer that adds most with its interval and corrected p-value.
    """
    curves = dict(list(beyond.groupby(["model", "target"], sort=False)))
    order = list(curves)
    rows = best_rows(beyond, ("model", "target"), "beyond") if len(beyond) else []
    rows.sort(key=lambda row: order.index((row["model"], row["target"])))
    return [_sentence(row, curves[row["model"], row["target"]]) for row in rows]


def _sentence(row: Row, curve: pd.DataFrame) -> str:
    who = f"{row['model']}, {row['target']}, beyond {row['nuisances']}"
    score = phrases.score_name(row["target_kind"])
    tested = curve["p_holm"].notna()
    added = {"difference": row["beyond"], "low": row["beyond_low"], "high": row["beyond_high"]}
    value = f"{score} {phrases.decimal(row['beyond'])} (too few speakers for a test)"
    if not tested.any():
        return f"{who}: {row['layer']} adds the most, {value}."
    if not pd.isna(row["p_holm"]):
        value = f"{score} {phrases.difference({**row, **added})}"
    n = int(((curve["beyond"] > 0) & (curve["p_holm"] < phrases.ALPHA)).sum())
    counted = f"{n} of {int(tested.sum())} layers clearly {'adds' if n == 1 else 'add'}"
    counted = counted if n else "no layer clearly adds"
    return f"{who}: {counted} to them, {row['layer']} the most, {value}."
