"""Labels of speakers and utterances, such as the speakers' sex."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pandas as pd

from jobs.corpus.encodings import decode_anyway
from jobs.corpus.table import Corpus

Sex = Literal["F", "M"]

_COMMENT = ";"
_FIELDS = 5
"""ID | SEX | SUBSET | MINUTES | NAME; a name may contain the separator."""
_COLUMNS = ("sex", "gender")
"""Columns, in lower case, in which words for a sex are recognised."""
_WORDS: dict[str, Sex] = {
    **dict.fromkeys(("f", "fem", "female", "feminine", "woman", "female_feminine"), "F"),
    **dict.fromkeys(("m", "masc", "male", "masculine", "man", "male_masculine"), "M"),
}


def sex_of(word: str) -> Sex | None:
    """Return the sex that a word stands for: ``f``, ``Female``, ``FEMALE``; None for others."""
    return _WORDS.get(word.strip().lower())


def read_sexes(path: Path) -> dict[str, str]:
    """Read speaker → ``F`` or ``M`` from LibriSpeech's ``SPEAKERS.TXT``.

    Each line is a speaker: ``14 | F | train-clean-360 | 25.03 | Kristin LeMoine``; lines that start
    with ``;`` are comments. Other lines are ignored.
    """
    sexes: dict[str, str] = {}
    for line in decode_anyway(path.read_bytes()).splitlines():
        fields = [field.strip() for field in line.split("|", _FIELDS - 1)]
        if line.startswith(_COMMENT) or len(fields) != _FIELDS:
            continue
        sex = sex_of(fields[1])
        if sex is not None:
            sexes[fields[0]] = sex
    return sexes


def unify_sexes(corpus: Corpus) -> Corpus:
    """Use ``F`` and ``M`` in columns of the sex in which one of them has several spellings.

    Columns with one spelling for each sex keep it. A remark names the spellings.
    """
    table, remarks = corpus.utterances, []
    for name in table.columns:
        if str(name).lower() not in _COLUMNS or pd.api.types.is_numeric_dtype(table[name]):
            continue
        spelled: dict[Sex, list[str]] = {}
        for word in table[name].str.strip().unique():
            sex = sex_of(word)
            if sex is not None:
                spelled.setdefault(sex, []).append(word)
        if all(len(words) < 2 for words in spelled.values()):
            continue
        table = table.assign(**{str(name): table[name].map(lambda word: sex_of(word) or word)})
        shown = " and ".join(f"{', '.join(words)} as {sex}" for sex, words in spelled.items())
        remarks.append(f"the column {name} has several spellings of a sex: {shown}")
    if not remarks:
        return corpus
    return replace(corpus, utterances=table, remarks=(*corpus.remarks, *remarks))


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
