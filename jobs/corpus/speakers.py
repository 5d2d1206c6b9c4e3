"""Labels of speakers and utterances, such as the speakers' sex."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from jobs.corpus.table import Corpus

_COMMENT = ";"
_FIELDS = 5
"""ID | SEX | SUBSET | MINUTES | NAME; a name may contain the separator."""
_SEXES = ("F", "M")


def read_sexes(path: Path) -> dict[str, str]:
    """Read speaker → ``F`` or ``M`` from LibriSpeech's ``SPEAKERS.TXT``.

    Each line is a speaker: ``14 | F | train-clean-360 | 25.03 | Kristin LeMoine``; lines that start
    with ``;`` are comments. Other lines are ignored.
    """
    sexes = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        fields = [field.strip() for field in line.split("|", _FIELDS - 1)]
        if not line.startswith(_COMMENT) and len(fields) == _FIELDS and fields[1] in _SEXES:
            sexes[fields[0]] = fields[1]
    return sexes


def with_labels(corpus: Corpus, column: str, key: str, labels: Mapping[str, str]) -> Corpus:
    """Add a column of labels to a corpus; without any label the corpus is unchanged.

    Args:
        corpus: the corpus.
        column: name of the new column: ``sex``, ``language``.
        key: column that the labels belong to.
        labels: value of that column → label; empty or absent if unknown.
    """
    if not any(labels.values()):
        return corpus
    found = corpus.utterances[key].map(dict(labels)).fillna("").astype(str)
    return replace(corpus, utterances=corpus.utterances.assign(**{column: found}))
