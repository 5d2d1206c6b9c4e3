"""Corpora: readers that turn audio and transcripts into the utterance table."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from jobs.corpus.csv import CsvSettings, read_csv
from jobs.corpus.espeak.corpus import EspeakSettings, make_espeak_corpus
from jobs.corpus.lhotse import LhotseSettings, read_lhotse
from jobs.corpus.librispeech import LibriSpeechSettings, read_librispeech
from jobs.corpus.table import Corpus
from jobs.progress import ProgressCallback, ignore_progress

CorpusSettings = Annotated[
    LibriSpeechSettings | EspeakSettings | CsvSettings | LhotseSettings,
    Field(discriminator="kind"),
]
"""Settings of any corpus; ``kind`` tells which."""


def prepare(
    settings: CorpusSettings, cache: Path, tell: ProgressCallback = ignore_progress
) -> Corpus:
    """Read a corpus; a synthetic one is made under ``cache`` first, unless it is there.

    ``tell`` is told how many files, chapters or voices are done.

    Raises:
        CorpusError: the corpus is not there, or not in the expected layout.
        ValueError: a synthetic corpus wants more voices than there are.
    """
    if isinstance(settings, CsvSettings):
        return read_csv(settings, tell)
    if isinstance(settings, LhotseSettings):
        return read_lhotse(settings, tell)
    if isinstance(settings, EspeakSettings):
        settings = make_espeak_corpus(settings, cache, tell)
    return read_librispeech(settings, tell)
