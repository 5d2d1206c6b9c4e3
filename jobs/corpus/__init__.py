"""Corpora: readers that turn audio and transcripts into the utterance table."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from jobs.corpus.csv import CsvSettings, read_csv
from jobs.corpus.espeak import EspeakSettings, make_espeak_corpus
from jobs.corpus.lhotse import LhotseSettings, read_lhotse
from jobs.corpus.librispeech import LibriSpeechSettings, read_librispeech
from jobs.corpus.table import Corpus

CorpusSettings = Annotated[
    LibriSpeechSettings | EspeakSettings | CsvSettings | LhotseSettings,
    Field(discriminator="kind"),
]
"""Settings of any corpus; ``kind`` tells which."""


def prepare(settings: CorpusSettings, cache: Path) -> Corpus:
    """Read a corpus; a synthetic one is made under ``cache`` first, unless it is there.

    Raises:
        CorpusError: the corpus is not there, or not in the expected layout.
        ValueError: a synthetic corpus wants more voices than there are.
    """
    if isinstance(settings, CsvSettings):
        return read_csv(settings)
    if isinstance(settings, LhotseSettings):
        return read_lhotse(settings)
    if isinstance(settings, EspeakSettings):
        settings = make_espeak_corpus(settings, cache)
    return read_librispeech(settings)
