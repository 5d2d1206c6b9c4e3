"""Checks of targets, of the probes they go with, and of the values that protocols leave them."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from jobs.corpus.table import has_value, is_text
from jobs.probes import PROBES, TargetKind, probe_name
from jobs.protocol.folds import Fold, check_speakers, lacking_splits
from jobs.targets.registry import find_target
from sweep.plan.make_plan import target_folds
from sweep.plan.plan import predicts
from sweep.prepare.checks.protocols import has_classes_of_one_speaker, own_protocol
from sweep.spec.check import CheckContext, Finding
from sweep.spec.schema import Spec

_NOUNS: dict[TargetKind, str] = {"regression": "numbers", "classification": "classes"}


def check_targets(spec: Spec, context: CheckContext) -> Iterator[Finding]:
    """Refuse targets that the corpus does not offer."""
    if context.utterances is None:
        return
    for position, name in enumerate(spec.targets):
        try:
            find_target(name, context.utterances)
        except ValueError as error:
            yield ("targets", position), str(error)


def check_pairs(spec: Spec, context: CheckContext) -> Iterator[Finding]:
    """Refuse targets that no probe can predict, and probes that can predict no target."""
    if context.utterances is None or context.partial:
        return
    kinds: dict[int, TargetKind] = {}
    for position, name in enumerate(spec.targets):
        try:
            kinds[position] = find_target(name, context.utterances).kind
        except ValueError:  # reported by check_targets
            continue
    for position, kind in kinds.items():
        if not any(predicts(probe, kind) for probe in spec.probes):
            names = ", ".join(probe_name(probe) for probe in spec.probes)
            message = (
                f"the values of {spec.targets[position]} are {_NOUNS[kind]}, which none of the "
                f"probes can predict ({names}): add a probe of kind {_probes_for(kind)}"
            )
            yield ("targets", position), message
    if len(kinds) < len(spec.targets):
        return
    for position, probe in enumerate(spec.probes):
        if not any(predicts(probe, kind) for kind in kinds.values()):
            wanted = " or ".join(_NOUNS[kind] for kind in sorted(PROBES[probe.kind].predicts))
            message = (
                f"{probe_name(probe)} predicts {wanted}, which none of the targets has "
                f"({', '.join(spec.targets)}): remove it, or add such a target"
            )
            yield ("probes", position), message


def _probes_for(kind: TargetKind) -> str:
    return " or ".join(name for name, probe in PROBES.items() if kind in probe.predicts)


def check_values(spec: Spec, context: CheckContext) -> Iterator[Finding]:
    """Refuse targets with too few values to be probed by their protocol."""
    for position, name, folds, table in _foldable(spec, context):
        if name not in table:
            continue  # not measured yet
        usable = has_value(table[name])
        if usable.all():
            continue
        for message in lacking_splits(spec.target_protocols.of(name), folds, usable):
            without = f"{name}: without the {(~usable).sum()} utterances that have no value"
            yield ("targets", position), f"{without}, {message}"


def check_classes(spec: Spec, context: CheckContext) -> Iterator[Finding]:
    """Refuse targets whose classes cannot be learned, or not be tested, in one of the folds."""
    for position, name, folds, table in _foldable(spec, context):
        if name not in table or not is_text(table[name]):
            continue
        for number, fold in enumerate(folds):
            of_fold = f" of fold {number}" if len(folds) > 1 else ""
            message = _fold_problem(table, name, fold, of_fold)
            if message:
                yield ("targets", position), f"{name}: {message}"
                break  # the other folds are alike


def check_rows(spec: Spec, context: CheckContext) -> Iterator[Finding]:
    """Refuse probes that need more training utterances than a fold has."""
    rows = [min(len(fold.train) for fold in folds) for _, _, folds, _ in _foldable(spec, context)]
    for position, probe in enumerate(spec.probes):
        if rows and probe.fewest_rows > min(rows):
            message = (
                f"{probe_name(probe)}: needs at least {probe.fewest_rows} training utterances, "
                f"found {min(rows)}"
            )
            yield ("probes", position), message


def _foldable(
    spec: Spec, context: CheckContext
) -> Iterator[tuple[int, str, list[Fold], pd.DataFrame]]:
    """Yield the targets whose protocols fit the final table, with their folds of it.

    There are none before the table is final.
    """
    table = context.table
    if table is None:
        return
    folds = target_folds(spec, table)
    for position, name in enumerate(spec.targets):
        if not check_speakers(spec.target_protocols.of(name), table):
            yield position, name, folds.of(name), table


def _fold_problem(table: pd.DataFrame, name: str, fold: Fold, of_fold: str) -> str | None:
    has_label = has_value(table[name])
    labels = table[name].to_numpy(dtype=str)
    train, test = (labels[rows[has_label[rows]]] for rows in (fold.train, fold.test))
    classes = np.unique(train)
    if not classes.size or not test.size:
        return None  # reported by check_values
    if not np.isin(test, classes).any():
        unknown = (
            f"none of the classes in the test split{of_fold} is in the training split, so no "
            "probe can learn them: "
        )
        if has_classes_of_one_speaker(table, name):
            return (
                f"{unknown}each is of one speaker, who must be in both; give this target a "
                f"protocol of its own, {own_protocol(table, name)}"
            )
        return f"{unknown}add utterances of these classes to the training split"
    if classes.size == 1:
        return (
            f"the training split{of_fold} has only the class {str(classes[0])!r}: expected at "
            "least two; add utterances of another"
        )
    return None
