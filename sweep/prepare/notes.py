"""Remarks on the targets of a valid spec, each a sentence for the user."""

import math
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from jobs.corpus.table import has_value, is_text
from jobs.models import is_untrained
from jobs.targets.measure import speaker_values
from jobs.targets.registry import TARGETS
from sweep.plan.make_plan import target_folds
from sweep.plan.plan import Plan
from sweep.plan.untrained_twins import twins
from sweep.spec.schema import Spec

NEAR_LIMIT = 0.1
"""Relative distance from a limit of the search within which a measured value is suspect."""


def target_notes(spec: Spec, table: pd.DataFrame) -> Iterator[str]:
    """Report constant targets, missing values, and tested classes that training lacks.

    Args:
        spec: a valid spec.
        table: the final utterance table, with the targets as columns; of those that are missing,
            nothing is reported.
    """
    yield from value_notes(spec, table)
    yield from _unknown_classes(spec, table)


def twin_notes(spec: Spec, plan: Plan) -> Iterator[str]:
    """Report trained models without an untrained twin, with the line that adds one.

    Untrained networks already encode much of their input: only the difference is due to training.
    """
    paired = {trained for trained, _ in twins(plan)}
    for model in spec.models:
        if model.name in paired or getattr(model, "untrained", None) is not False:
            continue
        if is_untrained(model):
            continue
        given = model.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
        twin = {"name": f"{model.name} untrained", "kind": model.kind, **given, "untrained": True}
        line = yaml.safe_dump(twin, default_flow_style=True, sort_keys=False, width=math.inf)
        yield (
            f"{model.name} has no untrained twin, which would show what training adds: add to "
            f"models: {line.strip()}"
        )


def limit_notes(
    names: Collection[str], given: Collection[str], table: pd.DataFrame, cache: Path
) -> Iterator[str]:
    """Report targets with values at a limit of the range in which they were searched.

    Args:
        names: names of targets.
        given: columns of the corpus, which are not measured.
        table: the utterances, with the targets as columns.
        cache: folder of measured values.
    """
    for name in dict.fromkeys(names):
        target = TARGETS.get(name)
        if target is None or not target.is_searched or name in given or table[name].isna().all():
            continue
        assert target.measurement is not None
        ranges = speaker_values(table, target.measurement, cache)
        yield from limit_note(table["utterance_id"], table[name], ranges, f"{name} ({target.unit})")


def limit_note(
    ids: Sequence[str] | pd.Series,
    values: pd.Series,
    ranges: Sequence[Sequence[float]],
    label: str,
) -> Iterator[str]:
    """Report values at a limit of the range in which they were searched, with an example.

    Args:
        ids: (U,) of the utterances.
        values: (U,) NaN where undefined.
        ranges: (U, 2) the lowest and the highest value that each could have.
        label: name of the values, with their unit.
    """
    low, high = np.asarray(ranges, dtype=np.float64).reshape(-1, 2).T
    found = values.to_numpy(dtype=np.float64)
    at_limit = (found < low * (1 + NEAR_LIMIT)) | (found > high / (1 + NEAR_LIMIT))
    if at_limit.any():
        one = int(np.flatnonzero(at_limit)[0])
        yield (
            f"{int(at_limit.sum())} of {len(found)} utterances have {label} within "
            f"{NEAR_LIMIT:.0%} of a limit of the range in which the speaker's voice was searched: "
            "listen to them, the value may be wrong (the first: "
            f"{list(ids)[one]}, {found[one]:.0f} between {low[one]:.0f} and {high[one]:.0f})"
        )


def _known(spec: Spec, table: pd.DataFrame) -> list[str]:
    return [name for name in spec.targets if name in table]


def value_notes(spec: Spec, table: pd.DataFrame) -> Iterator[str]:
    """Report constant targets and missing values; the protocol of the spec need not fit."""
    for name in _known(spec, table):
        values = table[name][has_value(table[name])].unique()
        if len(values) == 1:
            yield (
                f"all utterances have the same {name}, {values[0]}: there is nothing to predict, "
                "and its R² and correlation are undefined"
            )
        missing = int((~has_value(table[name])).sum())
        if missing:
            yield (
                f"{missing} of {len(table)} utterances have no value of the target {name}: "
                "left out of its probes"
            )


def _unknown_classes(spec: Spec, table: pd.DataFrame) -> Iterator[str]:
    for name in _known(spec, table):
        if not is_text(table[name]):
            continue
        has_label, labels = has_value(table[name]), table[name].to_numpy(dtype=str)
        tested = unknown = 0
        for fold in target_folds(spec, table).of(name):
            test = labels[fold.test[has_label[fold.test]]]
            tested += len(test)
            unknown += int((~np.isin(test, labels[fold.train])).sum())
        if unknown:
            yield (
                f"{unknown} of {tested} test utterances have a class of the target {name} that is "
                "not in the training split: no probe can predict it, so they count as errors"
            )
