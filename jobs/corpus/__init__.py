"""Corpora: readers that turn audio and transcripts into the utterance table.

Readers may import ``jobs.audio`` and ``jobs.storage``. To add one, write a file with its settings
and a function ``read(settings, cache, progress)``, and add a row to ``CORPORA``. Only settings are
imported with this package, so that a spec can be validated without pandas.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from jobs.corpus.csv_settings import CsvSettings
from jobs.corpus.espeak.settings import EspeakSettings
from jobs.corpus.lhotse_settings import LhotseSettings
from jobs.corpus.librispeech_settings import LibriSpeechSettings
from jobs.corpus.settings import CorpusSettings
from jobs.progress import ProgressCallback, ignore_progress
from jobs.settings import ByKind

if TYPE_CHECKING:
    import pandas as pd

    from jobs.corpus.table import Corpus


@dataclass(frozen=True)
class CorpusReader:
    """A kind of corpus."""

    settings: type[CorpusSettings]
    """Its settings class, with the field ``kind``."""
    read: "Callable[[Any, Path, ProgressCallback], Corpus]"
    """Settings, cache folder and progress callback → corpus.

    Raises:
        CorpusError: the corpus does not exist, or not in the expected layout.
    """
    outline: "Callable[[Any], pd.DataFrame] | None" = None
    """Settings → what can be known of the utterance table without making the corpus, a row for
    each speaker. None: the corpus exists and is read."""
    subsets: Callable[[Any], Mapping[str, list[str]]] | None = None
    """Settings → split → names of its LibriSpeech subsets. None: it has no such subsets."""
    sources: Callable[[Any], list[Path]] | None = None
    """Settings → the files that are read beside the audio, and the folders that are read with all
    that is below them. None: the corpus is made from its settings alone."""


def _read_csv(settings: CsvSettings, cache: Path, progress: ProgressCallback) -> "Corpus":
    from jobs.corpus.csv import read_csv

    return read_csv(settings, progress, cache)


def _read_espeak(settings: EspeakSettings, cache: Path, progress: ProgressCallback) -> "Corpus":
    from jobs.corpus.espeak.corpus import make_espeak_corpus
    from jobs.corpus.librispeech import read_librispeech

    return read_librispeech(make_espeak_corpus(settings, cache, progress), progress)


def _outline_espeak(settings: EspeakSettings) -> "pd.DataFrame":
    from jobs.corpus.espeak.corpus import outline

    return outline(settings)


def _read_lhotse(settings: LhotseSettings, cache: Path, progress: ProgressCallback) -> "Corpus":
    from jobs.corpus.lhotse import read_lhotse

    return read_lhotse(settings, progress, cache)


def _read_librispeech(
    settings: LibriSpeechSettings, _: Path, progress: ProgressCallback
) -> "Corpus":
    from jobs.corpus.librispeech import read_librispeech

    return read_librispeech(settings, progress)


def _librispeech_sources(settings: LibriSpeechSettings) -> list[Path]:
    from jobs.corpus.librispeech import librispeech_sources

    return librispeech_sources(settings)


CORPORA: dict[str, CorpusReader] = {
    "librispeech": CorpusReader(
        LibriSpeechSettings,
        _read_librispeech,
        subsets=LibriSpeechSettings.subsets,
        sources=_librispeech_sources,
    ),
    "espeak": CorpusReader(EspeakSettings, _read_espeak, _outline_espeak),
    "csv": CorpusReader(CsvSettings, _read_csv, sources=CsvSettings.tables),
    "lhotse": CorpusReader(LhotseSettings, _read_lhotse, sources=LhotseSettings.manifests),
}
"""Kind → reader."""


AnyCorpusSettings = Annotated[CorpusSettings, ByKind(CORPORA)]
"""Type of a field for a corpus of any kind."""


def prepare(
    settings: CorpusSettings, cache: Path, progress: ProgressCallback = ignore_progress
) -> "Corpus":
    """Read a corpus; a synthetic corpus is first made under ``cache``, unless it exists.

    Returns:
        The corpus, without the utterances that the settings exclude, and with one spelling of each
        sex.

    Raises:
        CorpusError: the corpus does not exist, or not in the expected layout.
        ValueError: more synthetic voices are requested than there are.
    """
    from jobs.corpus.selection import select_utterances
    from jobs.corpus.speakers import unify_sexes

    corpus = CORPORA[settings.kind].read(settings, cache, progress)
    return unify_sexes(select_utterances(corpus, settings))


def outline_corpus(settings: CorpusSettings) -> "pd.DataFrame | None":
    """Return an outline of a synthetic corpus's utterance table, None for a corpus to be read.

    Raises:
        CorpusError: the corpus cannot be made on this machine.
        ValueError: more synthetic voices are requested than there are.
    """
    outline = CORPORA[settings.kind].outline
    return None if outline is None else outline(settings)


def corpus_subsets(settings: CorpusSettings) -> Mapping[str, list[str]]:
    """Return the LibriSpeech subsets of each split, nothing for other corpora."""
    subsets = CORPORA[settings.kind].subsets
    return {} if subsets is None else subsets(settings)


def corpus_sources(settings: CorpusSettings) -> list[Path] | None:
    """Return the files and folders that a corpus is read from beside its audio, absolute.

    None for a corpus that is made from its settings alone.
    """
    sources = CORPORA[settings.kind].sources
    if sources is None:
        return None
    return [path.expanduser().absolute() for path in sources(settings)]


def excluded_file(settings: CorpusSettings) -> list[Path]:
    """Return the file, absolute, that lists the excluded utterances, if there is one."""
    exclude = settings.exclude
    return [exclude.expanduser().absolute()] if isinstance(exclude, Path) else []
