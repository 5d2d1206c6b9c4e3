"""Limits of a value axis, cut if a few very bad layers would compress the rest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from jobs.statistics.model_table import SPEAKER_MEAN
from sweep.report.figures.lines import baseline_label
from sweep.report.figures.scores import (
    Score,
    baselines_in,
    models_in,
    on_main_path,
    score_of_nothing,
    score_of_speaker_mean,
)
from sweep.report.figures.style import signed


@dataclass(frozen=True)
class Limits:
    """Limits of the value axis, and the cut."""

    low: float
    high: float
    cut: float | None = None
    note: str = ""


def limits(score: Score, panels: Sequence[pd.DataFrame]) -> Limits:
    """Choose limits for ``panels`` so that a few very bad layers do not compress the rest.

    If some points are worse than R² = -1, or than twice the error of the mean predictor, and at
    least a quarter are not, the axis covers only the latter; a note reports the rest.
    """
    rows = pd.concat(panels)
    nothing = score_of_nothing(score, rows)
    points = _finite(rows[score.column])
    banded = rows[on_main_path(rows)]
    ends = [banded[c] for c in (f"{score.column}_low", f"{score.column}_high")]
    speaker_mean = score_of_speaker_mean(score, rows)
    references = pd.Series([nothing] if speaker_mean is None else [nothing, speaker_mean])
    reach = _finite(pd.concat([rows[score.column], *ends, references]))
    for control in score.controls:
        reach = np.concatenate([reach, _finite(rows[control])])
    sign = 1.0 if score.high_is_good else -1.0
    inside = reach
    if score.worst is not None:
        inside = reach[sign * reach >= sign * score.worst * (nothing if score.nothing else 1.0)]
    cut = inside.size < reach.size and float(np.mean(np.isin(points, inside))) >= 0.25
    shown = inside if cut else reach
    pad = 0.05 * float(np.ptp(shown)) or 0.05 * abs(float(shown[0])) or 0.05
    low, high = float(shown.min()) - pad, float(shown.max()) + pad
    if not cut:
        return Limits(low, high)
    edge = low if score.high_is_good else high
    marked = _finite(rows.loc[rows["model"].isin(models_in(rows)), score.column])
    drawn = {
        baseline_label(model): _finite(rows.loc[rows["model"] == model, score.column])
        for model in baselines_in(rows)
    }
    drawn[SPEAKER_MEAN] = _finite(references.iloc[1:])
    return Limits(low, high, edge, _cut_note(marked, drawn, edge, score))


def _cut_note(
    marked: npt.NDArray[np.float64],
    drawn: dict[str, npt.NDArray[np.float64]],
    cut: float,
    score: Score,
) -> str:
    """Describe what lies beyond the ``cut``: the number of points, which are ``marked`` there, and
    the names of lines ``drawn`` across, which a cut axis does not show."""
    sign = 1.0 if score.high_is_good else -1.0
    furthest = np.min if score.high_is_good else np.max
    found, lines = [], []
    beyond = marked[sign * marked < sign * cut]
    if beyond.size:
        lie = "point lies" if beyond.size == 1 else "points lie"
        mark = "▼" if score.high_is_good else "▲"
        far = signed(f"{furthest(beyond):.3g}")
        found.append(f"{beyond.size} {lie} beyond ({mark}), the furthest at {far}")
    for name, values in drawn.items():
        if (over := values[sign * values < sign * cut]).size:
            to = "to " if over.size > 1 else ""
            lines.append(f"{name} ({to}{signed(f'{furthest(over):.3g}')})")
    if lines:
        also = ", too" if found else ""
        found.append(f"{', '.join(lines)} {'lie' if len(lines) > 1 else 'lies'} beyond{also}")
    said = "; ".join(found) or "some intervals reach further"
    return f"Axis cut at {signed(f'{cut:.3g}')}: {said}."


def _finite(values: "pd.Series[float]") -> npt.NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    return array[np.isfinite(array)]
