"""How to read the report: what its words mean, in HTML."""

from collections.abc import Collection, Iterator

from sweep.report.tables.cells import CLASSES, NUMBERS

_NUMBERS = (
    (
        "R²",
        "The share of the target's variance in the test part that a probe explains, measured "
        "against the mean of the <em>training</em> targets: 1 is perfect, 0 is what knowing "
        "nothing but that mean reaches, below 0 is worse than that.",
    ),
    (
        "Mean predictor",
        "The error of always answering with the mean of the training targets. Every MSE and MAE "
        "has to be read beside it.",
    ),
    (
        "Selectivity",
        "R² minus the R² of the same probe on shuffled targets, trained and tested on them, where "
        "that is above 0. Shuffled targets cannot be predicted, so a control above 0 is what the "
        "protocol itself gives away, or luck; one below 0 only says how badly the probe overfits, "
        "and is not counted in a layer's favour.",
    ),
    (
        "CCA",
        "The canonical correlation with the target, fitted on the training part and measured on "
        "the test part. On the data it was fitted on it would be high for pure noise.",
    ),
    (
        "r within speakers",
        "The correlation after each speaker's own mean is taken out: what a layer knows of the "
        "utterance, not only of who speaks.",
    ),
)
_CLASSES = (
    (
        "Accuracy",
        "The share of the test part's utterances whose class a probe names, for targets that are "
        "classes, such as the speaker's sex.",
    ),
    (
        "Majority class",
        "The accuracy of always guessing the most frequent class of the training part. Every "
        "accuracy has to be read beside it: where nine of ten speakers are women, 0.9 is what "
        "knowing nothing reaches.",
    ),
    (
        "Balanced accuracy, macro F1",
        "Means over the classes of the test part, each counting the same however rare it is: of "
        "the share of its utterances that was found, and of F1, which also counts what was wrongly "
        "taken for it.",
    ),
    (
        "Selectivity of classes",
        "Accuracy minus the accuracy of the same probe on shuffled classes, trained and tested on "
        "them.",
    ),
    (
        "Where the classes are speakers",
        "Speakers are then in the training and in the test part, and a resample of speakers is one "
        "of classes: the interval tells of other speakers to be told apart, not of other "
        "utterances of the same ones.",
    ),
)
_INTERVAL = (
    "Interval",
    "95 %, over <em>speakers</em>: utterances of one speaker are alike, so counting utterances "
    "would promise too much. It is that of Student's t with the standard error of leaving out a "
    "speaker at a time, on a scale that keeps it within the score's range, and with fewer degrees "
    "of freedom where some speakers weigh more or err more than others. Where all answers are "
    "right it ends where that many speakers could still have been all right by luck. Two intervals "
    "that overlap do not show that two layers are equal.",
)
_INTERVAL_OF_FOLDS = (
    "Interval",
    "95 %, from a jackknife over the <em>folds</em> with Student's t and at most one degree of "
    "freedom less than there are folds, fewer where one fold decides: of folds alone something is "
    "known here, not of speakers. A fold is a group of speakers whom no other fold has, so that "
    "the interval is honest; with few folds it is wide. Two intervals that overlap do not show "
    "that two layers are equal.",
)
_BASELINES = (
    "Baselines",
    "The same probe on the utterance's duration alone, and on the mean and deviation of its "
    "filter bank, the model's own input. A layer that does not beat them has added nothing.",
)
_SPEAKER = (
    (
        "Speaker mean",
        "Every tested utterance predicted by the mean, of classes the most frequent one, of its "
        "speaker's <em>other</em> tested utterances: what one knows who knows the speaker and "
        "nothing else. It is told the test part, so no probe could be it; a layer below it may "
        "only tell speakers apart.",
    ),
    (
        "Speaker control",
        "The same probe on a target that is one random value for every speaker, where the spec "
        "asks for it. With no speaker in two parts nobody can predict it, and the score is 0 or "
        "below, of classes that of guessing; above that, the protocol lets probes memorise "
        "speakers.",
    ),
)
_LACKING = (
    "† and open circles",
    "A point that lacks planned cells: a seed diverged, or a fold failed. Its scores are "
    "means over the rest. Where all cells of a layer failed, its curve has a gap. The notes "
    "under the first table say which, and why.",
)


def explanations(kinds: Collection[str], *, by_fold: bool = False) -> Iterator[tuple[str, str]]:
    """(term, explanation) of all that a report on targets of these kinds has, in HTML.

    ``by_fold``: intervals are over folds.
    """
    scores = [*(_NUMBERS if NUMBERS in kinds else ()), *(_CLASSES if CLASSES in kinds else ())]
    yield scores[0]
    yield _INTERVAL_OF_FOLDS if by_fold else _INTERVAL
    yield _on_other_folds() if by_fold else _on_other_speakers(kinds)
    yield from scores[1:]
    yield _BASELINES
    yield from _SPEAKER
    yield _LACKING


def _on_other_folds() -> tuple[str, str]:
    return (
        "R² on other speakers",
        "The best layer of many has, on the speakers that it was chosen on, a score that is too "
        "good: among many that know nothing, some are above knowing nothing by luck. So every fold "
        "is scored with the layer that the other folds chose, and the interval repeats the choice "
        "without each fold. With one layer it is that layer's score and interval.",
    )


def _on_other_speakers(kinds: Collection[str]) -> tuple[str, str]:
    names = [name for kind, name in ((NUMBERS, "R²"), (CLASSES, "accuracy")) if kind in kinds]
    score = " or ".join(names)
    return (
        f"{score[0].upper()}{score[1:]} on other speakers",
        "The best layer of many has, on the speakers that it was chosen on, a score that is too "
        "good: among many that know nothing, some are above knowing nothing by luck. So the test "
        "speakers are dealt into parts, and each part is scored with the layer that the others "
        "chose; the value is the mean over many deals. The interval is wider than one layer's by "
        "as much as the choice varies over resamples of speakers, after Tsamardinos, Greasidou "
        "&amp; Borboudakis (2018), doi 10.1007/s10994-018-5714-4. It is wide where speakers "
        "disagree about the best "
        "layer. With one layer it is that layer's score and interval.",
    )
