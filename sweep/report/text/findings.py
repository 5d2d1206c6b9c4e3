"""Findings: one sentence per model, target and probe, as far as the statistics support it."""

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from jobs.models.settings import BASELINE_PREFIX
from jobs.statistics.difference_table import LAYER_BEST, LAYER_NOTHING, MODELS, TRAINED
from sweep.report.tables.cells import CLASSES, Row, assemble, number, several, text
from sweep.report.tables.markup import Cell, Table

ALPHA = 0.05
"""A difference is reported if its p-value is below this."""


def findings(layers: pd.DataFrame, models: pd.DataFrame, differences: pd.DataFrame) -> list[str]:
    """Write one sentence per model, target and probe, in the order of ``models``.

    Baselines get none.

    Args:
        layers: ``layers.csv``.
        models: ``models.csv``.
        differences: ``differences.csv``.
    """
    scored = layers[layers["cells"] > 0].sort_values("layer_index")
    names = {
        key: [str(name) for name in curve["layer"]]
        for key, curve in scored.groupby(["model", "target", "probe"], observed=True)
    }
    compared = dict(list(differences.groupby(["model_a", "target", "probe"], observed=True)))
    found = []
    for row in models[models["probe"] != ""].to_dict("records"):
        key = row["model"], row["target"], row["probe"]
        if key[0].startswith(BASELINE_PREFIX) or key not in compared:
            continue
        probes = models.loc[models["target"] == row["target"], "probe"]
        who = [key[0], key[2]] if probes[probes != ""].nunique() > 1 else [key[0]]
        if several(models):
            who.append(key[1])
        found.append(f"{', '.join(who)}: {_finding(row, compared[key], names[key])}.")
    return found


def _finding(row: Row, compared: pd.DataFrame, names: Sequence[str]) -> str:
    score = "accuracy" if row["target_kind"] == CLASSES else "R²"
    nothing = "majority class" if row["target_kind"] == CLASSES else "mean predictor"
    above = compared[
        (compared["comparison"] == LAYER_NOTHING)
        & (compared["difference"] > 0)
        & (compared["p_holm"] < ALPHA)
    ]
    honest = "best_accuracy_honest" if score == "accuracy" else "best_r2_honest"
    value = _score(row, honest)
    floor = row["majority_accuracy"] if score == "accuracy" else 0.0
    if above.empty or not row[f"{honest}_low"] > floor:  # the more cautious of two tests
        known = names[0] if len(names) == 1 else "no layer"
        verb = "is not clearly" if len(names) == 1 else "is clearly"
        corrected = "" if len(names) == 1 else "selection-corrected "
        shown = f" ({corrected}{score} {value})" if not math.isnan(row[honest]) else ""
        return f"{known} {verb} above the {nothing}{shown}"
    if len(names) == 1:
        return f"{score} {value} at {names[0]}"
    best = str(row["best_layer"])
    worse = compared[(compared["comparison"] == LAYER_BEST) & (compared["p_holm"] < ALPHA)]
    alike = [name for name in names if name not in set(worse["layer_a"])]
    if len(alike) == len(names):
        rest = "no layer is distinguishable from it"
    elif alike == [best]:
        rest = "every other layer is worse"
    else:
        rest = f"{', '.join(_ranges(names, alike, best))} not distinguishable from it"
    return f"peak at {best}, selection-corrected {score} {value}; {rest}"


def _score(row: Row, name: str) -> str:
    value, low, high = (f"{row[f'{name}{end}']:z.2f}" for end in ("", "_low", "_high"))
    ends = f" [{low}, {high}]" if not math.isnan(row[f"{name}_low"]) else ""
    return (value + ends).replace("-", "−")


def _ranges(names: Sequence[str], alike: Sequence[str], best: str) -> Iterator[str]:
    """Yield runs of adjacent layers in ``alike``, except a run that is only the best layer."""
    run: list[str] = []
    for name in [*names, None]:
        if name in alike:
            run.append(str(name))
            continue
        if run and run != [best]:
            yield run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}"
        run = []


def differences_tables(differences: pd.DataFrame) -> list[Table]:
    """Tabulate models against models, each at its best layer."""
    shown = differences[differences["comparison"].isin([MODELS, TRAINED])]
    if shown.empty:
        return []
    columns = [
        ("Probe", False),
        ("A", False),
        ("B", False),
        ("A − B, selection-corrected [95 %]", True),
        ("p", True),
        ("p (Holm)", True),
    ]
    rows = [
        [text(row["target"]), text(row["probe"]), *_model_cells(row)]
        for row in shown.to_dict("records")
    ]
    return [assemble(several(shown), columns, rows)]


def _model_cells(row: Row) -> list[Cell]:
    untrained = row["comparison"] == TRAINED
    middle = number(row["difference"], 3)
    ends = ", ".join(number(row[end], 3).text for end in ("low", "high"))
    return [
        text(row["model_a"]),
        Cell(f"{row['model_b']} (untrained)" if untrained else row["model_b"], row["model_b"]),
        Cell(f"{middle.text} [{ends}]", middle.key),
        _p(row["p"]),
        _p(row["p_holm"]),
    ]


def _p(value: float) -> Cell:
    """A p-value with two significant digits, not below 0.001."""
    if math.isnan(value):
        return number(value, 3)
    return Cell("< 0.001" if value < 0.001 else f"{value:.2g}", value)


READING_OF_FOLDS = (
    "Each sentence is supported by the folds at the 5 % level. The selection-corrected score is "
    "that of the best layer, on folds that were not used to choose it. The layers that are not "
    "distinguishable from the peak include the truly best one in 95 % of such experiments, however "
    "many layers were compared: multiple comparisons with the best (Hsu 1984), here with "
    "Bonferroni's correction, because there are too few folds to resample. The table compares "
    "models at their best layers: paired over the same folds, with two-sided p-values from a "
    "jackknife over folds with Student's t, corrected by Holm's method (1979) among the models of "
    "one target and probe. <code>tables/differences.csv</code> has everything, layer by layer."
)
READING = (
    "Each sentence is supported by the test speakers at the 5 % level: a peak is named only where "
    "some layer beats the mean predictor or majority class (with Holm's correction over layers) "
    "and the interval of its score lies above it, too. The selection-corrected score is that of "
    "the best layer, on speakers who were not used to choose it. The layers that are not "
    "distinguishable from the peak include the truly best one in 95 % of such experiments, however "
    "many layers were compared: multiple comparisons with the best (Hsu 1984), with the reference "
    "of White (2000) from a bootstrap over speakers. The table compares models at their best "
    "layers: paired over the same speakers, with the choice repeated in every resample, and "
    "two-sided p-values corrected by Holm's method (1979) among the models of one target and "
    "probe. <code>tables/differences.csv</code> has everything, layer by layer."
)
"""Introduction to the findings, in HTML."""
