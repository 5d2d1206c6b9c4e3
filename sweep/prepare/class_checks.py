"""Targets that are classes: which probes they go with, and what a protocol must leave to learn."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from jobs.corpus.table import has_value, is_text
from jobs.probes import PROBES, TargetKind, probe_name
from jobs.protocol.folds import Fold, make_folds
from jobs.targets.registry import find_target
from sweep.errors import Problem
from sweep.plan.plan import predicts
from sweep.spec.schema import Spec
from sweep.spec.source import Source

_NOUNS: dict[TargetKind, str] = {"regression": "numbers", "classification": "classes"}
_OTHER_PROTOCOL = "protocol: {kind: kfold, group: chapter_id, allow_speaker_overlap: true}"


def pair_problems(spec: Spec, source: Source, table: pd.DataFrame) -> Iterator[Problem]:
    """Targets without a probe, and probes without a target, each at its place."""
    kinds: dict[int, TargetKind] = {}
    for position, name in enumerate(spec.targets):
        try:
            kinds[position] = find_target(name, table).kind
        except ValueError:  # a problem of its own
            continue
    for position, kind in kinds.items():
        if not any(predicts(probe, kind) for probe in spec.probes):
            names = ", ".join(probe_name(probe) for probe in spec.probes)
            yield source.problem(
                ("targets", position),
                f"{spec.targets[position]} is one of the {_NOUNS[kind]}, which none of the probes "
                f"can predict ({names}): add a probe of kind {_probes_for(kind)}",
            )
    if len(kinds) < len(spec.targets):
        return
    for position, probe in enumerate(spec.probes):
        if not any(predicts(probe, kind) for kind in kinds.values()):
            wanted = " or ".join(_NOUNS[kind] for kind in sorted(PROBES[probe.kind].predicts))
            yield source.problem(
                ("probes", position),
                f"{probe_name(probe)} predicts {wanted}, and none of the targets is such a one "
                f"({', '.join(spec.targets)}): remove it, or add a target for it",
            )


def _probes_for(kind: TargetKind) -> str:
    names = [name for name, probe in PROBES.items() if kind in probe.predicts]
    return " or ".join(names)


def class_problems(spec: Spec, source: Source, table: pd.DataFrame) -> Iterator[Problem]:
    """Classes that cannot be learned, or not be tested, in one of the folds."""
    folds = make_folds(spec.protocol, table)
    for position, name in enumerate(spec.targets):
        if not is_text(table[name]):
            continue
        for number, fold in enumerate(folds):
            of_fold = f" of fold {number}" if len(folds) > 1 else ""
            message = _fold_problem(table, name, fold, of_fold)
            if message:
                yield source.problem(("targets", position), f"{name}: {message}")
                break  # the other folds are alike


def _fold_problem(table: pd.DataFrame, name: str, fold: Fold, of_fold: str) -> str | None:
    named = has_value(table[name])
    labels = table[name].to_numpy(dtype=str)
    train, test = (labels[rows[named[rows]]] for rows in (fold.train, fold.test))
    classes = np.unique(train)
    if not classes.size or not test.size:
        return None  # said of every kind of target
    if not np.isin(test, classes).any():
        told = (
            f"none of the classes in the test part{of_fold} is in the training part, so that no "
            "probe can know them: "
        )
        speakers = table[named].groupby(name)["speaker_id"].nunique()
        if speakers.max() == 1:
            return f"{told}whoever is tested must have been trained on; use {_OTHER_PROTOCOL}"
        return f"{told}give the training part utterances of these classes"
    if classes.size == 1:
        return (
            f"the training part{of_fold} has the one class {str(classes[0])!r}: expected at least "
            "two, give it utterances of another"
        )
    return None


def unknown_classes(spec: Spec, table: pd.DataFrame) -> Iterator[str]:
    """What a user should know of test utterances whose class is not in the training part."""
    for name in spec.targets:
        if not is_text(table[name]):
            continue
        named, labels = has_value(table[name]), table[name].to_numpy(dtype=str)
        tested = unknown = 0
        for fold in make_folds(spec.protocol, table):
            test = labels[fold.test[named[fold.test]]]
            tested += len(test)
            unknown += int((~np.isin(test, labels[fold.train])).sum())
        if unknown:
            yield (
                f"{unknown} of {tested} test utterances have a class of the target {name} that is "
                "not in the training part: no probe can find it, they count as errors"
            )
