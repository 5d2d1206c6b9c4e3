"""Folds: the utterances that train, validate and test a probe, by default split by speaker."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import GroupKFold

from jobs.protocol.balanced_parts import balanced_parts
from jobs.protocol.settings import KFoldProtocol, SplitsProtocol

IntArray = npt.NDArray[np.int64]
StrArray = npt.NDArray[np.str_]


@dataclass(frozen=True)
class Fold:
    """Row positions of the three splits, ascending and disjoint; ``validation`` may be empty."""

    train: IntArray
    validation: IntArray
    test: IntArray


def make_folds(
    settings: SplitsProtocol | KFoldProtocol, table: pd.DataFrame, classes: StrArray | None = None
) -> list[Fold]:
    """Make the folds of ``table``: one for ``splits``, ``folds`` of them for ``kfold``.

    Fold i of k tests part i, validates on part i + 1 (k ≥ 3) and trains on the rest. Parts are
    balanced in size by scikit-learn's ``GroupKFold``, or, where a target has ``classes``, in these
    and in size by `jobs.protocol.balanced_parts`. They depend on names and sizes alone.

    Args:
        settings: the protocol.
        table: U rows.
        classes: (U,) classes of the target, empty for none; None for a numeric target.

    Raises:
        ValueError: ``check_speakers`` reports a problem.
    """
    problems = check_speakers(settings, table)
    if problems:
        raise ValueError("; ".join(problems))
    if isinstance(settings, SplitsProtocol):
        return [_splits_fold(settings, table)]
    return _kfold_folds(settings, table, classes)


def lacking_splits(
    settings: SplitsProtocol | KFoldProtocol, folds: list[Fold], usable: npt.NDArray[np.bool_]
) -> list[str]:
    """Describe what the folds lack when only some rows can be used; empty if nothing.

    Args:
        settings: the protocol.
        folds: its folds of U rows.
        usable: (U,) mask of the rows that remain.
    """
    names = dict(settings.splits()) if isinstance(settings, SplitsProtocol) else {}
    problems = []
    for number, fold in enumerate(folds):
        for role, rows in vars(fold).items():
            least = 2 if role == "train" else 1
            left = int(usable[rows].sum())
            if rows.size and left < least:
                name = (
                    f"the {role} split {names[role]!r}"
                    if names
                    else f"the {role} split of fold {number}"
                )
                found = f"fewer than {least}" if left else "no"
                problems.append(f"{name} has {found} utterances")
    return problems


def group_labels(settings: SplitsProtocol | KFoldProtocol, table: pd.DataFrame) -> StrArray:
    """(U,) group of every row, which the protocol keeps together: normally its speaker."""
    column = settings.group if isinstance(settings, KFoldProtocol) else "speaker_id"
    return np.asarray(table[column].astype(str).to_numpy(), dtype=np.str_)


def check_speakers(settings: SplitsProtocol | KFoldProtocol, table: pd.DataFrame) -> list[str]:
    """Describe what makes the protocol impossible or misleading on ``table``; empty if nothing."""
    if isinstance(settings, SplitsProtocol):
        return _splits_problems(settings, table)
    return _kfold_problems(settings, table)


@dataclass(frozen=True)
class TestedSpeakers:
    """Numbers of the speakers in the test splits of all folds."""

    tested: int
    trained: int
    """How many of them are in the training split of a fold that tests them."""


def count_tested_speakers(folds: list[Fold], table: pd.DataFrame) -> TestedSpeakers:
    """Count the tested speakers of ``table``, and those whom probes also train on."""
    speakers = table["speaker_id"].astype(str).to_numpy()
    tested: set[str] = set()
    trained: set[str] = set()
    for fold in folds:
        of_fold = set(speakers[fold.test])
        tested |= of_fold
        trained |= of_fold & set(speakers[fold.train])
    return TestedSpeakers(len(tested), len(trained))


def _splits_fold(settings: SplitsProtocol, table: pd.DataFrame) -> Fold:
    split = table["split"].to_numpy()
    empty = np.empty(0, dtype=np.int64)
    return Fold(
        train=np.flatnonzero(split == settings.train),
        validation=empty
        if settings.validation is None
        else np.flatnonzero(split == settings.validation),
        test=np.flatnonzero(split == settings.test),
    )


def _kfold_folds(
    settings: KFoldProtocol, table: pd.DataFrame, classes: StrArray | None
) -> list[Fold]:
    parts = _kfold_rows(settings, table, classes)
    folds = []
    for i, test in enumerate(parts):
        following = (i + 1) % settings.folds
        validation = parts[following] if settings.has_validation else np.empty(0, dtype=np.int64)
        held_out = np.concatenate([test, validation])
        train = np.setdiff1d(np.arange(len(table)), held_out)
        folds.append(Fold(train=train, validation=validation, test=test))
    return folds


def _kfold_rows(
    settings: KFoldProtocol, table: pd.DataFrame, classes: StrArray | None = None
) -> list[IntArray]:
    """Row positions of the k parts, each of which is the test split of one fold."""
    groups = group_labels(settings, table)
    if classes is not None:
        return balanced_parts(groups, classes, settings.folds)
    splitter = GroupKFold(n_splits=settings.folds)
    return [np.asarray(test) for _, test in splitter.split(groups, groups=groups)]


def _splits_problems(settings: SplitsProtocol, table: pd.DataFrame) -> list[str]:
    present = sorted(table["split"].unique())
    problems = [
        f"the {role} split {name!r} has no utterances: the corpus has "
        f"{', '.join(present) or 'none'}"
        for role, name in settings.splits()
        if name not in present
    ]
    if settings.allow_speaker_overlap:
        return problems
    used = [name for _, name in settings.splits()]
    pairs = table.loc[table["split"].isin(used), ["speaker_id", "split"]].drop_duplicates()
    repeated = pairs[pairs["speaker_id"].duplicated(keep=False)]
    shared = {str(name): sorted(parts) for name, parts in repeated.groupby("speaker_id")["split"]}
    if shared:
        speaker, parts = next(iter(shared.items()))
        problems.append(
            f"{len(shared)} speakers are in more than one split (first: {speaker} in "
            f"{' and '.join(parts)}): split by speaker, or set allow_speaker_overlap: true"
        )
    return problems


def _kfold_problems(settings: KFoldProtocol, table: pd.DataFrame) -> list[str]:
    if settings.group not in table.columns:
        return [
            f"the group column {settings.group!r} is not in the utterance table, "
            f"which has {', '.join(map(str, table.columns))}"
        ]
    n_groups = table[settings.group].nunique()
    if n_groups < settings.folds:
        return [
            f"{settings.folds} folds need as many values of {settings.group}, but the corpus has "
            f"{n_groups}: set folds to {n_groups} or fewer"
            if n_groups >= 2
            else f"folds need at least 2 values of {settings.group}, but the corpus has {n_groups}"
        ]
    return [] if settings.allow_speaker_overlap else _shared_speakers(settings, table)


def _shared_speakers(settings: KFoldProtocol, table: pd.DataFrame) -> list[str]:
    """Describe speakers that would be in several folds, if groups are not speakers."""
    if settings.group == "speaker_id":
        return []
    fold = np.empty(len(table), dtype=np.int64)
    for number, rows in enumerate(_kfold_rows(settings, table)):
        fold[rows] = number
    n_folds = pd.Series(fold).groupby(table["speaker_id"].to_numpy()).nunique()
    shared = n_folds.index[n_folds > 1]
    if shared.empty:
        return []
    return [
        f"{len(shared)} speakers are in more than one fold (first: {shared[0]}), since "
        f"{settings.group} does not keep them together: group by speaker_id, or set "
        "allow_speaker_overlap: true"
    ]


def only(usable: npt.NDArray[np.bool_], fold: Fold) -> Fold:
    """Restrict ``fold`` to the rows for which ``usable`` (U,) is true."""
    train, validation, test = (
        rows[usable[rows]] for rows in (fold.train, fold.validation, fold.test)
    )
    return Fold(train, validation, test)
