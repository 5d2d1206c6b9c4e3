"""What a corpus says of its speakers' sex."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from jobs.corpus.table import Corpus

_COMMENT = ";"
_FIELDS = 5
"""ID | SEX | SUBSET | MINUTES | NAME; the last may hold the separator itself."""
_SEXES = ("F", "M")


def read_sexes(path: Path) -> dict[str, str]:
    """Speaker → ``F`` or ``M``, of a ``SPEAKERS.TXT`` as LibriSpeech has it.

    A line a speaker: ``14 | F | train-clean-360 | 25.03 | Kristin LeMoine``; lines that begin with
    ``;`` are comments. A line that says something else leaves its speaker without a sex.
    """
    sexes = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        fields = [field.strip() for field in line.split("|", _FIELDS - 1)]
        if not line.startswith(_COMMENT) and len(fields) == _FIELDS and fields[1] in _SEXES:
            sexes[fields[0]] = fields[1]
    return sexes


def with_labels(corpus: Corpus, column: str, key: str, labels: Mapping[str, str]) -> Corpus:
    """``corpus`` with another column in its table, as it is if no label is known.

    Args:
        corpus: what was read.
        column: the new one: ``sex``, ``language``.
        key: the column that tells whose label it is.
        labels: value of that column → label; empty or absent where it is not known.
    """
    if not any(labels.values()):
        return corpus
    found = corpus.utterances[key].map(dict(labels)).fillna("").astype(str)
    return replace(corpus, utterances=corpus.utterances.assign(**{column: found}))
