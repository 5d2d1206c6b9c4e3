"""Checks of protocols, those of single targets included."""

from collections.abc import Iterator

import pandas as pd

from jobs.corpus.table import has_value, is_text
from jobs.protocol.folds import check_speakers
from sweep.spec.check import CheckContext, Finding, KeyPath
from sweep.spec.schema import Spec
from sweep.spec.suggestions import nearest

MOST_FOLDS = 5
"""Folds of a protocol that an error message proposes; fewer where a class has fewer groups."""


def check_protocol(spec: Spec, context: CheckContext) -> Iterator[Finding]:
    """Refuse protocols that are impossible or misleading on this corpus, each reported once."""
    table = context.utterances if context.table is None else context.table
    for name in spec.protocols:
        if name not in spec.targets and not context.partial:
            message = f"protocols: {name!r} is none of the targets{nearest(name, spec.targets)}"
            yield ("protocols", name), message
    if table is None:
        return
    reported: set[KeyPath] = set()
    for target in spec.targets:
        place: KeyPath = ("protocols", target) if target in spec.protocols else ("protocol",)
        if place in reported:
            continue
        reported.add(place)
        of_target = f"{target}: " if target in spec.protocols else ""
        for message in check_speakers(spec.target_protocols.of(target), table):
            yield place, f"{of_target}{message}"


def own_protocol(table: pd.DataFrame, target: str) -> str:
    """Write a line of a spec: a protocol in which speakers are both trained and tested on.

    Chapters stay together where every class has several, as utterances of a chapter sound alike.
    """
    rows = table[has_value(table[target])]
    by_chapter = rows.groupby(target)["chapter_id"].nunique().min() >= 2
    group = "chapter_id" if by_chapter else "utterance_id"
    folds = max(2, min(MOST_FOLDS, int(rows.groupby(target)[group].nunique().min())))
    settings = f"kind: kfold, folds: {folds}, group: {group}, allow_speaker_overlap: true"
    return f"protocols: {{{target}: {{{settings}}}}}"


def has_classes_of_one_speaker(table: pd.DataFrame, target: str) -> bool:
    """Return True if no class of ``target`` has two speakers, as of the target ``speaker``."""
    if target not in table or not is_text(table[target]):
        return False
    rows = table[has_value(table[target])]
    return bool(rows.groupby(target)["speaker_id"].nunique().max() == 1)
