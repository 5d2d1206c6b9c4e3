"""Methods text: protocol, scores, controls and baselines."""

from collections.abc import Iterator, Sequence

from jobs.protocol.settings import KFoldProtocol, SplitsProtocol
from sweep.report.methods.wording import number_word, plain
from sweep.results.run import Run
from sweep.wording import listed

_BASELINES = {
    "duration": "the duration of the utterance",
    "fbank": "the standard deviation over time of each bin of the mean-normalised log-mel filter "
    "bank and of its change from frame to frame",
}


def sentences(run: Run) -> Iterator[str]:
    """Describe what probes were trained and scored on, and what their scores are compared with."""
    groups = _targets_by_protocol(run)
    for targets in groups:
        of_targets = "" if len(groups) == 1 else f"For {listed(map(plain, targets))}, "
        for sentence in _protocol(run, targets):
            yield of_targets + (sentence[0].lower() + sentence[1:] if of_targets else sentence)
    if any(run.plan.kind(target) == "regression" for target in run.plan.targets):
        yield (
            "R² was measured against the mean of the training targets, so that predicting that "
            "mean scores 0."
        )
    if run.plan.classes:
        yield (
            "Classes were scored by accuracy, reported beside that of always predicting the most "
            "frequent class: that of the training split, or that of all test utterances where it "
            "was right more often."
        )
    yield from _controls(run)


def _targets_by_protocol(run: Run) -> list[list[str]]:
    """Group the targets that are described by the same sentences on their protocol."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for target in run.plan.targets:
        groups.setdefault(tuple(_protocol(run, [target])), []).append(target)
    return list(groups.values())


def _protocol(run: Run, targets: Sequence[str]) -> Iterator[str]:
    """Describe the protocol that ``targets`` share, and whether it shares speakers."""
    protocol, shared = run.plan.target_protocols.of(targets[0]), run.tested_speakers[targets[0]]
    if isinstance(protocol, SplitsProtocol):
        chosen = protocol.validation
        choice = f", with hyperparameters chosen on {plain(chosen)}" if chosen else ""
        yield (
            f"Probes were trained on {plain(protocol.train)} and scored on {plain(protocol.test)}"
            f"{choice}."
        )
    else:
        yield _folds(protocol)
        if targets[0] in run.plan.classes:
            yield "Folds were balanced in classes and in size."
    unit = "split" if isinstance(protocol, SplitsProtocol) else "fold"
    if shared.trained:
        yield (
            f"Of the {shared.tested} test speakers, {shared.trained} were also in the training "
            "split, so scores do not show how well probes do on speakers that they were not "
            "trained on."
        )
    elif protocol.allow_speaker_overlap:
        yield "No test speaker was in the training split."
    else:
        yield f"No speaker was in more than one {unit}."


def _folds(protocol: KFoldProtocol) -> str:
    """Say what each fold was used for, as `jobs.protocol.folds.make_folds` assigns them."""
    others = protocol.folds - 2
    trained = "one was" if others == 1 else f"{number_word(others)} were"
    roles = (
        f"the next one was the validation fold, and the other {trained} used for training"
        if others
        else "the other one was used for training, and there was no validation fold"
    )
    return (
        f"All splits were pooled and scored by {number_word(protocol.folds)}-fold "
        f"cross-validation, with utterances that share a value of {plain(protocol.group)} kept in "
        f"one fold: each fold was tested once, {roles}."
    )


def _controls(run: Run) -> Iterator[str]:
    if "type" in run.plan.controls:
        yield (
            "As a control (after Hewitt & Liang 2019), the same probes were trained and scored on "
            "one random value per type of utterance. The types are up to 16 clusters of the "
            "statistics of the filter bank that are described below, found by k-means on the "
            "training split (seed 0), and each has the value of a random training utterance. "
            "Selectivity is the score minus that of the control, or minus that of the no-skill "
            "prediction where the control scored below it."
        )
    if "shuffled" in run.plan.controls:
        yield (
            "To find leaks, the same probes were trained and scored on targets shuffled within "
            "each split, which nothing can predict."
        )
    if "speaker" in run.plan.controls:
        yield "As a further control, they were trained and scored on one random value per speaker."
    baselines = [_BASELINES[name] for name in run.spec.baselines if name != "mean"]
    if baselines:
        yield f"As baselines, the same probes were given {listed(baselines)}."
    yield (
        "Scores are compared with the speaker mean, which predicts each test utterance by the mean "
        "(for classes, the most frequent one) of the same speaker's other test utterances, or with "
        "the no-skill prediction where that is better."
    )
