"""The table of statistics: one row per score, read by every table, figure and text about scores.

A new score is a row of ``SCORES`` and its function; it then has a column in ``metrics.csv``, one in
``layers.csv`` with the ends of its interval if it has a ``scale``, one in ``models.csv`` if it is
``compared``, a figure if it is ``drawn``, and an entry in the report's glossary. The report's
tables of layers and of models have it as well, if it is ``tabulated`` and ``compared``.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from jobs.arrays import FloatArray
from jobs.statistics.classification import accuracy_of, balanced_accuracy_of, macro_f1_of
from jobs.statistics.intervals import ScaleName
from jobs.statistics.regression import (
    HeldOut,
    WeightedSums,
    mae_of,
    mae_of_sums,
    mse_of,
    mse_of_sums,
    pearson_of,
    pearson_of_sums,
    r2_of,
    r2_of_sums,
    rmse_of,
    rmse_of_sums,
    spearman_of,
    within_speaker_of,
)

TargetKind = Literal["regression", "classification"]
Unit = Literal["none", "target", "target squared"]


@dataclass(frozen=True, kw_only=True)
class Score:
    """Description of a statistic, without its function."""

    kind: ClassVar[TargetKind]
    """Kind of target for which it is defined."""

    name: str
    """Its column in the tables on disk."""
    label: str
    """Its name in headings and on axes, in plain text."""
    definition: str
    """Its entry in the glossary: one or two sentences."""
    higher_is_better: bool = True
    unit: Unit = "none"
    scale: ScaleName | None = None
    """Scale on which its interval is symmetric, a key of `jobs.statistics.intervals.SCALES`; None:
    it has no interval."""
    reference: str | None = None
    """Column of the same score of the no-skill prediction, which is the training mean or a single
    class; None: that score is 0, or not defined. For classes, a row of ``metrics.csv`` has that of
    the training split's most frequent class, a row of ``layers.csv`` the better of that and of the
    most frequent class of all tested utterances."""
    compared: bool = False
    """True if the best layer's value is a column of ``models.csv``."""
    tabulated: bool = True
    """True if it is a column of the report's table of layers, with its interval if it has one and
    no unit."""
    drawn: bool = False
    """True if it has a figure over the layers of every model, which needs a ``scale``."""
    cut: float | None = None
    """Value at which the axis of its figure may be cut, in units of the ``reference`` if it has
    one; None: never."""

    @property
    def heading(self) -> str:
        """Its label at the start of a heading."""
        return self.label[0].upper() + self.label[1:]

    def better(self, a: float, b: float) -> float:
        """Return the better of two values; ``a`` if either is NaN."""
        return max(a, b) if self.higher_is_better else min(a, b)


@dataclass(frozen=True, kw_only=True)
class RegressionScore(Score):
    """A score of predicted numbers. Over folds it is averaged with weight n unless it defines how
    it follows from the pooled errors; over seeds it is averaged."""

    kind: ClassVar[TargetKind] = "regression"

    of_test: Callable[[HeldOut], float | None]
    """The score of one test split; None where it is not defined."""
    of_sums: Callable[[WeightedSums], FloatArray] | None = None
    """(R,) score from sums, for a fast jackknife; None: ``of_test`` is evaluated without each
    speaker in turn."""
    sums_over: Literal["fold", "all folds"] = "fold"
    """Unit on which ``of_sums`` is evaluated: each fold, to be averaged, or the sum of all
    folds."""
    of_errors: Callable[[Mapping[str, float]], float] | None = None
    """The score over all folds from the averages of the other scores and of the references, for a
    score that is not itself an average."""


@dataclass(frozen=True, kw_only=True)
class ClassScore(Score):
    """A score of predicted classes, from counts summed over folds, averaged over seeds."""

    kind: ClassVar[TargetKind] = "classification"

    of_counts: Callable[[FloatArray], FloatArray]
    """(...) score of counts (..., 3, C), see `jobs.statistics.classification.COUNTS`."""
    macro: bool = False
    """True if every class has the same weight, however rare it is."""


def _r2_of_errors(errors: Mapping[str, float]) -> float:
    reference = errors["mean_mse"]
    return 1 - errors["mse"] / reference if reference > 0 else float("nan")


_ROWS: tuple[RegressionScore | ClassScore, ...] = (
    RegressionScore(
        name="mse",
        label="MSE",
        definition="The mean squared error of the predictions in the test split.",
        of_test=mse_of,
        of_sums=mse_of_sums,
        sums_over="all folds",
        unit="target squared",
        higher_is_better=False,
        scale="error",
        reference="mean_mse",
        compared=True,
        drawn=True,
        cut=2.0,
    ),
    RegressionScore(
        name="mae",
        label="MAE",
        definition="The mean absolute error of the predictions in the test split.",
        of_test=mae_of,
        of_sums=mae_of_sums,
        sums_over="all folds",
        unit="target",
        higher_is_better=False,
        scale="error",
        reference="mean_mae",
        drawn=True,
        cut=2.0,
    ),
    RegressionScore(
        name="rmse",
        label="RMSE",
        definition="The square root of the MSE, in the target's own unit.",
        tabulated=False,
        of_test=rmse_of,
        of_sums=rmse_of_sums,
        sums_over="all folds",
        of_errors=lambda errors: errors["mse"] ** 0.5,
        unit="target",
        higher_is_better=False,
        scale="error",
    ),
    RegressionScore(
        name="r2",
        label="R²",
        definition="The share of the target's variance in the test split that a probe explains, "
        "measured against the mean of the training targets: 1 is perfect, 0 is the score of "
        "always predicting that mean, and a negative value is worse than that.",
        of_test=r2_of,
        of_sums=r2_of_sums,
        sums_over="all folds",
        of_errors=_r2_of_errors,
        scale="rest",
        compared=True,
        drawn=True,
        cut=-1.0,
    ),
    RegressionScore(
        name="pearson",
        label="Pearson r",
        definition="The linear correlation of the predictions with the target in the test split. "
        "No correlation is given where the predictions hardly vary, with an SD below 1 % of that "
        "of the target: rounding and the order of folds would decide it.",
        of_test=pearson_of,
        of_sums=pearson_of_sums,
        scale="correlation",
        drawn=True,
    ),
    RegressionScore(
        name="spearman",
        label="Spearman ρ",
        definition="The rank correlation of the predictions with the target in the test split.",
        tabulated=False,
        of_test=spearman_of,
    ),
    RegressionScore(
        name="within_speaker",
        label="within-speaker r",
        definition="The correlation after each speaker's own mean is subtracted: how well a layer "
        "tells utterances apart, beyond telling speakers apart.",
        of_test=within_speaker_of,
    ),
    ClassScore(
        name="accuracy",
        label="accuracy",
        definition="The share of the test split's utterances whose class a probe predicts "
        "correctly, for targets that are classes, such as the speaker's sex.",
        of_counts=accuracy_of,
        scale="share",
        reference="majority_accuracy",
        compared=True,
        drawn=True,
    ),
    ClassScore(
        name="balanced_accuracy",
        label="balanced accuracy",
        definition="The mean over the classes of the test split of the share of each class's "
        "utterances that is found (recall): every class counts the same, however rare it is. "
        "Always predicting one class scores 1 divided by the number of classes.",
        of_counts=balanced_accuracy_of,
        macro=True,
        scale="share",
        compared=True,
    ),
    ClassScore(
        name="macro_f1",
        label="macro F1",
        definition="The mean over the classes of the test split of F1, which also counts the "
        "utterances of other classes that were mistaken for it.",
        of_counts=macro_f1_of,
        macro=True,
        scale="share",
        compared=True,
    ),
)

SCORES: dict[str, RegressionScore | ClassScore] = {row.name: row for row in _ROWS}
"""Scores by name, in the order of the columns of ``metrics.csv``."""

MAIN_SCORE: dict[TargetKind, str] = {"regression": "r2", "classification": "accuracy"}
"""Score used for controls, findings and comparisons between models."""

RANKING_SCORE: dict[TargetKind, str] = {"regression": "mse", "classification": "accuracy"}
"""Score that selects the best layer of a model."""


def regression_scores() -> Iterator[RegressionScore]:
    """The rows for targets that are numbers."""
    return (score for score in SCORES.values() if isinstance(score, RegressionScore))


def class_scores() -> Iterator[ClassScore]:
    """The rows for targets that are classes."""
    return (score for score in SCORES.values() if isinstance(score, ClassScore))


def main_score_first(kind: TargetKind) -> list[Score]:
    """The rows for a kind of target in the order of ``layers.csv`` and of the figures."""
    return sorted(scores_for(kind), key=lambda score: score.name != MAIN_SCORE[kind])


def scores_for(kind: str) -> list[Score]:
    """The rows for a kind of target."""
    return [score for score in SCORES.values() if score.kind == kind]


def references_for(kind: str) -> list[str]:
    """Columns of the no-skill prediction's scores, for a kind of target."""
    return [score.reference for score in scores_for(kind) if score.reference]


def score_columns() -> list[str]:
    """Columns of ``metrics.csv`` that hold scores: those of numbers and their references, then
    those of classes and their references."""
    return [
        column
        for kind in MAIN_SCORE
        for column in (*(score.name for score in scores_for(kind)), *references_for(kind))
    ]


VALIDATION_LOSS: dict[TargetKind, str] = {
    "regression": "validation_mse",
    "classification": "validation_error",
}
"""Columns of ``metrics.csv`` with a fitted probe's mean loss on the validation split, on which the
layers of a comparison of models are chosen: mean squared error, or the share of wrong classes."""


def with_ends(score: str) -> tuple[str, str, str]:
    """Columns of a score and of the ends of its interval."""
    return score, f"{score}_low", f"{score}_high"
