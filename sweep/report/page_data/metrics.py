"""The values of a layer that the page's chart can show: scores, and what analyses add to them."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from jobs.statistics.scores import Score, TargetKind, main_score_first
from sweep.report.figures.scores import Score as Curve
from sweep.report.figures.scores import curve_of

HIDDEN = ("rmse", "spearman")
"""Scores that the chart leaves out, as another one says nearly the same: MSE, and Pearson's r."""


@dataclass(frozen=True)
class Metric:
    """A choice of the chart."""

    curve: Curve
    meaning: str
    """One sentence, shown below the choice."""

    @property
    def column(self) -> str:
        """Column with its values; those of the ends of its interval are named after it."""
        return self.curve.column


def metrics_of(kind: TargetKind, rows: pd.DataFrame) -> Iterator[Metric]:
    """The metrics that ``rows``, those of one target of a ``kind``, have values of."""
    scores = [score for score in main_score_first(kind) if score.name not in HIDDEN]
    for metric in (*(_of_score(score) for score in scores), *_ADDED):
        if metric.column in rows and rows[metric.column].notna().any():
            yield metric


def _of_score(score: Score) -> Metric:
    return Metric(curve_of(score), score.definition)


_ADDED = (
    Metric(
        Curve("selectivity", "selectivity", True, None, None, knows_nothing="0", decimals=3),
        "The score minus that of the same probe on random values that are the same for utterances "
        "of one type (or on shuffled targets): what is encoded rather than memorised.",
    ),
    Metric(
        Curve("beyond", "gain beyond the nuisances", True, None, -0.5, knows_nothing="0: adds "
              "nothing", decimals=3),
        "The score of nuisances and layer together, minus that of the nuisances alone.",
    ),
    Metric(
        Curve("slope", "slope at other tempos", True, None, -1.0, knows_nothing="0: does not "
              "follow", decimals=2),
        "The change of the prediction per unit of true change when speech is played faster or "
        "slower: 1 follows it fully.",
    ),
)  # fmt: skip
