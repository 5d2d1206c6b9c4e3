"""A panel of curves as data: what it shows, and the limits of its axis of scores."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from sweep.report.figures.scores import Score, baselines_in, models_in, score_of_nothing

_FURTHEST = 0.5
"""Part of the axis, relative to the part on the better side of the no-skill score, that may lie on
the worse side."""


@dataclass(frozen=True)
class Panel:
    """Content and size of a panel."""

    rows: pd.DataFrame
    """Scores of models and baselines for one target and probe."""
    score: Score
    limits: tuple[float, float]
    size: tuple[float, float]
    """Width and height in inches."""
    detailed: bool = False
    """True to draw controls, the speaker mean and points that lack cells."""
    named_references: bool = True
    """True to write the names of references at the right."""
    context: pd.DataFrame | None = None
    """Rows of models that are drawn in grey for comparison."""


def panel_limits(rows: pd.DataFrame, score: Score) -> tuple[float, float]:
    """Limits of the axis of scores: from the best to the worst, or to half as far beyond the
    no-skill score as the best lies on its other side. Intervals do not count: they are clipped."""
    shown = rows[rows["model"].isin([*models_in(rows), *baselines_in(rows)])]
    sign = 1.0 if score.high_is_good else -1.0
    values = sign * shown[score.column].to_numpy(dtype=float)
    nothing = sign * score_of_nothing(score, rows)
    values = np.append(values[np.isfinite(values)], nothing)
    low, high = float(values.min()), float(values.max())
    if score.full is not None:
        high = max(high, sign * score.full[0])
    if high > nothing:
        low = max(low, nothing - _FURTHEST * (high - nothing))
    pad = 0.08 * (high - low) or 0.05
    ends = sign * (low - pad), sign * (high + pad)
    return min(ends), max(ends)


def reaches_beyond(panel: Panel) -> bool:
    """Return whether a score of a model lies beyond the worse end of the axis."""
    rows = panel.rows[panel.rows["model"].isin(models_in(panel.rows))]
    return bool(beyond(panel, rows[panel.score.column].to_numpy(dtype=float)).any())


def edge(panel: Panel) -> float:
    """Return the worse end of the axis."""
    return panel.limits[0] if panel.score.high_is_good else panel.limits[1]


def beyond(panel: Panel, y: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return which scores lie beyond the worse end of the axis."""
    return y < edge(panel) if panel.score.high_is_good else y > edge(panel)
