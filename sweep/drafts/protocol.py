"""The protocol of a draft: the splits that a corpus has, or folds of speakers."""

from collections.abc import Sequence

from sweep.drafts.draft import Values

NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval"),
}
"""Role of a split → its usual names, in lower case."""
FOLDS = 5


def by_splits(splits: Sequence[str]) -> tuple[Values, str] | None:
    """Use the splits of a corpus, if it has one for training and one for testing.

    Args:
        splits: their names.

    Returns:
        (section ``protocol``, comment).
    """
    lower = {name.lower(): name for name in splits}
    found = {
        role: next((lower[name] for name in usual if name in lower), None)
        for role, usual in NAMES.items()
    }
    if found["train"] is None or found["test"] is None:
        return None
    named = {role: name for role, name in found.items() if name != role}
    return {"kind": "splits", **named}, "the corpus' own splits; no speaker is in two of them"


def in_folds(n_speakers: int) -> tuple[Values, str]:
    """Cut a corpus into folds of speakers; of utterances if there is only one speaker."""
    if n_speakers < 2:
        folds = {"kind": "kfold", "folds": FOLDS, "group": "utterance_id"}
        return (
            {**folds, "allow_speaker_overlap": True},
            "one speaker: no score says anything about others",
        )
    return (
        {"kind": "kfold", "folds": min(FOLDS, n_speakers)},
        "every utterance is tested once; no speaker is in two folds",
    )
