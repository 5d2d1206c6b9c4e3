"""The glossary of the report: its terms, explained in HTML."""

from collections.abc import Collection, Iterator
from html import escape

from jobs.statistics.scores import TargetKind, main_score_first
from sweep.report.tables.cells import CLASSES, NUMBERS

_NUMBERS = (
    (
        "Mean predictor",
        "The error of always predicting the mean of the training targets. Read every MSE and MAE "
        "beside it.",
    ),
    (
        "Selectivity",
        "R² minus the R² of the same probe trained and tested on shuffled targets, where that is "
        "above 0. Shuffled targets cannot be predicted, so a control above 0 is luck, or a leak in "
        "the protocol; a control below 0 only shows how badly the probe overfits, and does not "
        "count in a layer's favour.",
    ),
    (
        "CCA",
        "The canonical correlation with the target, fitted on the training split and measured on "
        "the test split. On the data that it was fitted on it would be high even for pure noise.",
    ),
)
_CLASSES = (
    (
        "Majority class",
        "The accuracy of always predicting the most frequent class of the training split. Read "
        "every accuracy beside it: where nine of ten speakers are women, it is 0.9.",
    ),
    (
        "Selectivity of classes",
        "Accuracy minus the accuracy of the same probe trained and tested on shuffled classes.",
    ),
    (
        "Where the classes are speakers",
        "Every speaker is then in both the training and the test split, and a resample of speakers "
        "is a resample of classes: the interval is about other speakers to be told apart, not "
        "about other utterances of the same speakers.",
    ),
)
_INTERVAL = (
    "Interval",
    "95 %, over <em>speakers</em>: utterances of one speaker are alike, so an interval over "
    "utterances would be too narrow. It uses Student's t with a jackknife standard error that "
    "leaves out one speaker at a time, on a scale that keeps it within the score's range, and with "
    "fewer degrees of freedom where some speakers have more utterances or larger errors than "
    "others. Perfect accuracy still has an interval: its lower bound is the accuracy at which that "
    "many speakers could all have been right by luck. Two overlapping intervals do not show that "
    "two layers are equal.",
)
_INTERVAL_OF_FOLDS = (
    "Interval",
    "95 %, from a jackknife over <em>folds</em> with Student's t and at most one degree of freedom "
    "less than there are folds, fewer where one fold dominates: only sums over folds were kept, "
    "nothing about single speakers. No speaker is in two folds, so the interval is valid; with few "
    "folds it is wide. Two overlapping intervals do not show that two layers are equal.",
)
_BASELINES = (
    "Baselines",
    "The same probe on the utterance's duration alone, and on mean and standard deviation of its "
    "filter bank, the model's own input. A layer that does not beat them has added nothing.",
)
_SPEAKER = (
    (
        "Speaker mean",
        "Predicts each test utterance by the mean (for classes, the most frequent one) of the same "
        "speaker's <em>other</em> test utterances: the score of knowing only who speaks. It uses "
        "test targets, so no probe can do the same; a layer below it may only tell speakers apart.",
    ),
    (
        "Speaker control",
        "The same probe on a target that is one random value per speaker, where the spec asks for "
        "it. With no speaker in two splits nothing can predict it, and the score is 0 or below, "
        "for classes that of guessing; a higher score means that the protocol lets probes memorise "
        "speakers.",
    ),
)
_LACKING = (
    "† and open circles",
    "A point that lacks planned cells: a seed diverged, or a fold failed. Its scores are means "
    "over the remaining cells. Where all cells of a layer failed, its curve has a gap. The notes "
    "under the first table say which cells failed, and why.",
)


_NOTES: dict[TargetKind, tuple[tuple[str, str], ...]] = {
    "regression": _NUMBERS,
    "classification": _CLASSES,
}


def explanations(kinds: Collection[str], *, by_fold: bool = False) -> Iterator[tuple[str, str]]:
    """Yield (term, explanation) for every term in a report on targets of ``kinds``.

    ``by_fold``: intervals are over folds instead of speakers.
    """
    scores = [
        entry
        for kind, notes in _NOTES.items()
        if kind in kinds
        for entry in (*_definitions(kind), *notes)
    ]
    yield scores[0]
    yield _INTERVAL_OF_FOLDS if by_fold else _INTERVAL
    yield _on_other_folds() if by_fold else _on_other_speakers(kinds)
    yield from scores[1:]
    yield _BASELINES
    yield from _SPEAKER
    yield _LACKING


_TOO_GOOD = (
    "The best of many layers scores too well on the speakers on which it was chosen: even among "
    "layers that encode nothing, some beat the mean predictor by luck. "
)


def _definitions(kind: TargetKind) -> Iterator[tuple[str, str]]:
    for score in main_score_first(kind):
        yield (
            escape(score.label[0].upper() + score.label[1:]),
            escape(score.definition, quote=False),
        )


def _on_other_folds() -> tuple[str, str]:
    return (
        "R² on other speakers",
        f"{_TOO_GOOD}So each fold is scored with the layer that the other folds choose, and the "
        "interval repeats the choice without each fold. For a model with one layer it is that "
        "layer's score and interval.",
    )


def _on_other_speakers(kinds: Collection[str]) -> tuple[str, str]:
    names = [name for kind, name in ((NUMBERS, "R²"), (CLASSES, "accuracy")) if kind in kinds]
    score = " or ".join(names)
    return (
        f"{score[0].upper()}{score[1:]} on other speakers",
        f"{_TOO_GOOD}So the test speakers are split into groups at random, and each group is "
        "scored with the layer that the other groups choose; the value is the mean over many "
        "random splits. The interval is one layer's, widened by the variation of the choice over "
        "resamples of speakers, after Tsamardinos, Greasidou &amp; Borboudakis (2018), doi "
        "10.1007/s10994-018-5714-4. It is wide where speakers disagree about the best layer. For a "
        "model with one layer it is that layer's score and interval.",
    )
