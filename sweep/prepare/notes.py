"""Remarks on the targets of a valid spec, each a sentence for the user."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from jobs.corpus.table import has_value, is_text
from jobs.protocol.folds import make_folds
from sweep.spec.schema import Spec


def target_notes(spec: Spec, table: pd.DataFrame) -> Iterator[str]:
    """Report constant targets, missing values, and tested classes that training lacks.

    Args:
        spec: a valid spec.
        table: the final utterance table, with the targets as columns.
    """
    yield from value_notes(spec, table)
    yield from _unknown_classes(spec, table)


def value_notes(spec: Spec, table: pd.DataFrame) -> Iterator[str]:
    """Report constant targets and missing values; the protocol of the spec need not fit."""
    for name in spec.targets:
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
    for name in spec.targets:
        if not is_text(table[name]):
            continue
        has_label, labels = has_value(table[name]), table[name].to_numpy(dtype=str)
        tested = unknown = 0
        for fold in make_folds(spec.protocol, table):
            test = labels[fold.test[has_label[fold.test]]]
            tested += len(test)
            unknown += int((~np.isin(test, labels[fold.train])).sum())
        if unknown:
            yield (
                f"{unknown} of {tested} test utterances have a class of the target {name} that is "
                "not in the training split: no probe can predict it, so they count as errors"
            )
