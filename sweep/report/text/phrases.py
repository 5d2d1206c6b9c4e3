"""Phrases that findings and headlines share: scores, p-values and lists of layers."""

import math
from collections.abc import Collection, Iterator, Sequence

import pandas as pd

from jobs.statistics.model_table import MAJORITY_CLASS, MEAN_PREDICTOR
from jobs.statistics.points import FOLDS
from jobs.statistics.scores import MAIN_SCORE, SCORES, TargetKind
from sweep.report.tables.cells import CLASSES, Row
from sweep.wording import listed

ALPHA = 0.05
"""A difference is reported if its p-value is below this."""
MOST_RANGES = 4
"""Number of ranges of layers that are listed; more are counted."""
MOST_NAMES = 4
"""Number of models that are listed; more are counted."""


def score_name(kind: TargetKind) -> str:
    """Label of the main score of a kind of target: ``R²`` or ``accuracy``."""
    return SCORES[MAIN_SCORE[kind]].label


def nothing_of(kind: TargetKind) -> str:
    """Name of the no-skill prediction of a kind of target."""
    return MAJORITY_CLASS if kind == CLASSES else MEAN_PREDICTOR


def decimal(value: float, places: int = 2) -> str:
    """A number with a minus sign in place of a hyphen; ``undefined`` for NaN."""
    return "undefined" if math.isnan(value) else f"{value:z.{places}f}".replace("-", "−")


def unequal(a: float, b: float) -> tuple[str, str]:
    """Two numbers with as many decimals as show that they differ, 2 to 4."""
    for places in (2, 3, 4):
        shown = decimal(a, places), decimal(b, places)
        if shown[0] != shown[1]:
            break
    return shown


def estimate(row: Row, name: str) -> str:
    """The score ``name`` of a row of ``models.csv`` with its interval."""
    value, low, high = (float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    if math.isnan(value):
        return "undefined"
    if math.isnan(low) or math.isnan(high):
        units = "folds" if row["interval_over"] == FOLDS else "speakers"
        return f"{decimal(value)} (too few {units} for an interval)"
    return f"{decimal(value)} [{decimal(low)}, {decimal(high)}]"


def difference(row: Row) -> str:
    """Difference of a row of ``differences.csv`` with its interval and corrected p-value."""
    value, low, high = (float(row[name]) for name in ("difference", "low", "high"))
    places = next((n for n in (2, 3) if round(value, n) != 0), 4) if value else 2
    shown = [decimal(x, places) for x in (value, low, high)]
    ends = "" if math.isnan(low) or math.isnan(high) else f" [{shown[1]}, {shown[2]}]"
    return f"{shown[0]}{ends} ({p_value(row['p_holm'])})"


def p_value(p: float, name: str = "p") -> str:
    """A p-value with two significant digits, on the same side of ``ALPHA`` as the exact one."""
    if p < 0.001:
        return f"{name} < 0.001"
    shown = f"{p:.2g}"
    if p < ALPHA <= float(shown):
        shown = f"{math.floor(p * 1000) / 1000:.3f}"
    return f"{name} = {shown}"


def tested(differences: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``differences.csv`` that have a p-value: with too few units there is none."""
    return differences[differences["p_holm"].notna()]


def chosen_at(row: Row) -> str:
    """Name the layers at which a row of ``differences.csv`` compares two models."""
    return "at the layers chosen on validation" if row["layer_a"] else "at the best layers"


def clear(row: Row) -> bool:
    """Return whether the difference of a row of ``differences.csv`` is significant."""
    return bool(row["p_holm"] < ALPHA)


def names(them: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``; long lists end with the number of the others."""
    shown = list(them)
    if len(shown) > MOST_NAMES:
        shown = [*shown[: MOST_NAMES - 1], f"{len(shown) - MOST_NAMES + 1} others"]
    return listed(shown)


def places_of(chosen: Collection[str], layers: Sequence[str]) -> str:
    """List the ``chosen`` ones of ``layers``, in depth order, as ranges, or as the first and the
    last if there are many ranges."""
    ranges = list(_ranges(chosen, layers))
    if len(ranges) <= MOST_RANGES:
        return ", ".join(
            ", ".join(run) if len(run) < 3 else f"{run[0]} to {run[-1]}" for run in ranges
        )
    first, last = ranges[0][0], ranges[-1][-1]
    return f"{len(chosen)} of {len(layers) - 1} others, {first} the first and {last} the last"


def _ranges(chosen: Collection[str], layers: Sequence[str]) -> Iterator[list[str]]:
    """Yield every run of adjacent ``layers`` that are all ``chosen``."""
    run: list[str] = []
    for name in layers:
        if name in chosen:
            run.append(name)
        elif run:
            yield run
            run = []
    if run:
        yield run
