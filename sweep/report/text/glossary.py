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
        "R² minus the R² of the same probe on the control <em>type</em>, where that is above 0: a "
        "random value for each type of utterance, a type being one of up to 16 clusters of the "
        "statistics of baseline:fbank (k-means on the training split). Test utterances have the "
        "types of training utterances, so a probe scores on the control if it can learn an "
        "arbitrary value for each kind of sound. Linear probes learn little of it; nearest "
        "neighbours or a large network may learn much. Where a probe learns such values as well as "
        "the target, its score does not show that the layer encodes the target.",
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
        "The accuracy of always predicting one class: the most frequent one of each training "
        "split, or the most frequent one of all test utterances, whichever is right more often. "
        "The second applies where a class is rare in training and frequent in testing: the first "
        "would then be below chance. Read every accuracy beside it: where nine of ten "
        "speakers are women, it is 0.9.",
    ),
    (
        "Selectivity of classes",
        "Accuracy minus the accuracy of the same probe on a random class for each type of "
        "utterance, a type being one of up to 16 clusters of the statistics of baseline:fbank, or "
        "minus that of the majority class where the control is below it.",
    ),
)
_SHARED_SPEAKERS = (
    "Speakers in both splits",
    "Some test speakers are also in the training split, for the targets that the notes under the "
    "tables name. A probe may score well by recognising them, and no score of these targets, "
    "selection-corrected or not, says how well it would do on speakers "
    "that it has not been trained on. Where the classes are speakers, a resample of speakers is a "
    "resample of classes: the interval is about which speakers are to be told apart.",
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
_CONDITIONS = (
    "What intervals and p-values are about",
    "Other test {units} of the same kind, <em>given</em> the trained models, the probes as they "
    "were fitted on this training split, and the one set of random weights of each untrained "
    "network. Another training split, or an untrained network with another seed, may give other "
    "scores; no interval and no p-value includes that.",
)
_ONE_SPEAKER = (
    "One speaker decides",
    "More than half of the jackknife's variance, and so of the interval, comes from one speaker, "
    "who is an outlier among the speakers by Grubbs's test (1950) at 5 %, and the score without "
    "that speaker differs by 0.05 or more. Findings, the table of all layers and "
    "<code>layers.csv</code> name the speaker and give the score without. Nobody is named among "
    "fewer than five speakers: each of them decides.",
)
_INTERVAL_OF_FOLDS = (
    "Interval",
    "95 %, from a jackknife over <em>folds</em> with Student's t and at most one degree of freedom "
    "less than there are folds, fewer where one fold dominates: only sums over folds were kept, "
    "nothing about single speakers. With few folds it is wide, and it is valid for other speakers "
    "only where no speaker is in two folds. Two overlapping intervals do not show that two layers "
    "are equal.",
)
_BEYOND = (
    "Beyond the input",
    "The gain of a layer over nuisances such as the duration and the filter bank: the score of a "
    "probe of nuisances and layer together, minus that of a probe of the nuisances alone. A layer "
    "above its baselines may still add nothing, if it repeats what they contain.",
)
_BASELINES = (
    "Baselines",
    "The same probe on the utterance's duration alone (baseline:duration), and on the standard "
    "deviation over time of each bin of its mean-normalised log-mel filter bank and of the bin's "
    "change from frame to frame (baseline:fbank): the input of models that are given filter banks. "
    "A layer that does not beat them has added nothing.",
)
_SHUFFLED = (
    "Shuffled targets",
    "The same probe trained and tested on targets permuted within each split, where the spec asks "
    "for it: a check for leaks. They cannot be predicted, so the score should be 0 or below, for "
    "classes about that of guessing. A score clearly above that is a leak in the protocol.",
)
_SPEAKER = (
    (
        "Speaker mean",
        "Predicts each test utterance by the mean (for classes, the most frequent one) of the same "
        "speaker's <em>other</em> test utterances: the score of knowing only who speaks, or that "
        "of the mean predictor or majority class where it is better. It uses test targets, so no "
        "probe can do the same; a layer below it may only tell speakers apart.",
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


def explanations(
    kinds: Collection[str],
    *,
    by_fold: bool = False,
    shared_speakers: bool = False,
    beyond: bool = False,
) -> Iterator[tuple[str, str]]:
    """Yield (term, explanation) for every term in a report on targets of ``kinds``.

    Args:
        kinds: kinds of targets.
        by_fold: True if intervals are over folds instead of speakers.
        shared_speakers: True if test speakers are also in the training split.
        beyond: True if layers are judged beside nuisances.
    """
    scores = [
        entry
        for kind, notes in _NOTES.items()
        if kind in kinds
        for entry in (*_definitions(kind), *notes)
    ]
    yield scores[0]
    yield _INTERVAL_OF_FOLDS if by_fold else _INTERVAL
    yield _CONDITIONS[0], _CONDITIONS[1].format(units="folds" if by_fold else "speakers")
    if not by_fold:
        yield _ONE_SPEAKER
    yield _corrected_by_folds() if by_fold else _corrected_by_speakers(kinds)
    if shared_speakers:
        yield _SHARED_SPEAKERS
    yield from scores[1:]
    yield _BASELINES
    yield _SHUFFLED
    if beyond:
        yield _BEYOND
    yield from _SPEAKER
    yield _LACKING


_TOO_GOOD = (
    "The best of many layers scores too well on the data on which it was chosen: even among "
    "layers that encode nothing, some beat the mean predictor by luck. "
)


def _definitions(kind: TargetKind) -> Iterator[tuple[str, str]]:
    for score in main_score_first(kind):
        yield (
            escape(score.heading),
            escape(score.definition, quote=False),
        )


def _corrected_by_folds() -> tuple[str, str]:
    return (
        "Selection-corrected R²",
        f"{_TOO_GOOD}So each fold is scored with the layer that the other folds choose, and the "
        "interval repeats the choice without each fold. For a model with one layer it is that "
        "layer's score and interval.",
    )


def _corrected_by_speakers(kinds: Collection[str]) -> tuple[str, str]:
    names = [name for kind, name in ((NUMBERS, "R²"), (CLASSES, "accuracy")) if kind in kinds]
    score = " or ".join(names)
    return (
        f"Selection-corrected {score}",
        f"{_TOO_GOOD}So the test speakers are split into groups at random, and each group is "
        "scored with the layer that the other groups choose; the value is the mean over many "
        "random splits. The interval is one layer's, widened by the variation of the choice over "
        "resamples of speakers, after Tsamardinos, Greasidou &amp; Borboudakis (2018), doi "
        "10.1007/s10994-018-5714-4. It is wide where speakers disagree about the best layer. For a "
        "model with one layer it is that layer's score and interval.",
    )
