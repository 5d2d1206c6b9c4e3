"""The scores that figures show: columns of ``layers.csv``, with their references."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from jobs.models.settings import BASELINE_PREFIX
from jobs.models.taps import MAIN_PATH
from jobs.statistics.curves import complete
from jobs.statistics.model_table import MAJORITY_CLASS, MEAN_PREDICTOR
from jobs.statistics.scores import MAIN_SCORE, SCORES
from jobs.statistics.scores import Score as ScoreRow
from jobs.ties import first_lowest
from sweep.report.figures.units import with_unit
from sweep.report.tables.cells import CLASSES


@dataclass(frozen=True)
class Score:
    """A column of layers.csv as it is drawn."""

    column: str
    label: str
    high_is_good: bool
    nothing: str | None
    """Column of the no-skill score; None if that is 0."""
    worst: float | None
    """Value at which the axis may be cut, in units of the no-skill score (for R²: absolute)."""
    control: str | None = None
    """Column of the score of the shuffled control."""
    type_control: str | None = None
    """Column of the score on a random value per type of utterance."""
    speaker_control: str | None = None
    """Column of the score on a random value per speaker."""
    knows_nothing: str = MEAN_PREDICTOR
    """Name of the no-skill predictor."""
    decimals: int | None = None
    """Format of a value in the legend; None: three significant digits."""
    best_by: str | None = None
    """Column of the score that selects the best layer; None: this one."""
    full: tuple[float, str] | None = None
    """A value that is drawn as a line, such as the best possible one, and its name."""
    squared: bool | None = None
    """True if it is in the square of the target's unit, False if in the unit; None: it has none."""

    def axis(self, target: str) -> str:
        """Name on an axis, with the unit for ``target``."""
        if self.squared is None:
            return self.label
        return with_unit(self.label, target, squared=self.squared)

    @property
    def controls(self) -> tuple[str, ...]:
        """Columns of its controls."""
        columns = (self.control, self.type_control, self.speaker_control)
        return tuple(name for name in columns if name)


_SQUARED = {"none": None, "target": False, "target squared": True}


def curve_of(row: ScoreRow) -> Score:
    """Convert a statistic to its curve."""
    is_main = row.name == MAIN_SCORE[row.kind]
    is_class = row.kind == "classification"
    return Score(
        row.name,
        row.label,
        row.higher_is_better,
        row.reference,
        row.cut,
        control=f"{row.name}_control" if is_main else None,
        type_control=f"{row.name}_type_control" if is_main else None,
        # The speaker control of classes has a largest class of its own, and no place on this axis.
        speaker_control=f"{row.name}_speaker_control" if is_main and not is_class else None,
        knows_nothing=_no_skill(row),
        decimals=3 if row.unit == "none" else None,
        squared=_SQUARED[row.unit],
    )


def _no_skill(row: ScoreRow) -> str:
    """Name of the line at the no-skill score."""
    if row.reference or row.name == MAIN_SCORE[row.kind]:
        return MAJORITY_CLASS if row.kind == CLASSES else MEAN_PREDICTOR
    return "0" if row.kind == CLASSES else "no correlation"


R2, MSE, MAE, ACCURACY = (curve_of(SCORES[name]) for name in ("r2", "mse", "mae", "accuracy"))
CCA = replace(curve_of(SCORES["pearson"]), label="held-out canonical correlation")


def main_score(rows: pd.DataFrame) -> Score:
    """Score by which the rows of one target are ranked and coloured."""
    return ACCURACY if (rows["target_kind"] == CLASSES).any() else R2


def models_in(layers: pd.DataFrame) -> list[str]:
    """Models that have curves, in the order of the table: all but the baselines."""
    return [str(m) for m in layers["model"].unique() if not str(m).startswith(BASELINE_PREFIX)]


def baselines_in(rows: pd.DataFrame) -> list[str]:
    """Names of the baseline models that have scores, in the order of the table."""
    rows = rows[rows["cells"] > 0]
    return [str(m) for m in rows["model"].unique() if str(m).startswith(BASELINE_PREFIX)]


def score_of_nothing(score: Score, rows: pd.DataFrame) -> float:
    """Score of the no-skill prediction: the mean of the training targets, or one class."""
    return float(rows[score.nothing].median()) if score.nothing else 0.0


def score_of_speaker_mean(score: Score, rows: pd.DataFrame) -> float | None:
    """Score of predicting the mean of the same speaker's other utterances; None if unknown."""
    column = f"speaker_mean_{score.column}"
    if column not in rows or rows[column].isna().all():  # for slopes: it does not depend on tempo
        return None
    return float(rows[column].median())


def on_main_path(group: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Mask of the layers that a line joins: the input, outputs of blocks, and what follows them.

    Values inside a block are of another kind, and a line through all would zigzag between kinds.
    Tables without the column ``level`` have layers of one kind.
    """
    if "level" not in group:
        return np.ones(len(group), dtype=np.bool_)
    joined: npt.NDArray[np.bool_] = group["level"].isin(MAIN_PATH).to_numpy(dtype=np.bool_)
    return joined


def with_levels(rows: pd.DataFrame, layers: pd.DataFrame) -> pd.DataFrame:
    """Add the column ``level`` of ``layers`` (``layers.csv``) to the table of an analysis."""
    levels = layers[["model", "layer", "level"]].drop_duplicates()
    return rows.merge(levels, on=["model", "layer"], how="left")


def best_position(score: Score, group: pd.DataFrame) -> int | None:
    """Row of the best layer in ``group``; None when no layer has the score.

    A point that lacks cells is not a candidate unless there are no others, as in the tables.
    """
    candidate = group.index.isin(complete(group).index)
    y = group[score.best_by or score.column].to_numpy(dtype=float)
    y = np.where(candidate, y, np.nan)
    if np.isnan(y).all():
        return None
    return int(first_lowest(-y if score.high_is_good else y))
