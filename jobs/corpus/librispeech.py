"""Read a corpus in LibriSpeech's layout: ``root/SUBSET/SPEAKER/CHAPTER/``.

A chapter folder contains ``SPEAKER-CHAPTER.trans.txt``, with a line per utterance (id, space,
text), and an ``ID.flac`` for each, or the same in another format, such as ``ID.wav``. Length and
identity of the audio are read from the header, without decoding. The speakers' sex is read from
``SPEAKERS.TXT``, which the official archives place beside the subset folders.
"""

import os
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from jobs.corpus.assemble import (
    THREADS,
    Found,
    Line,
    absolute,
    assemble,
    examine_file,
    with_progress,
)
from jobs.corpus.encodings import decode_anyway
from jobs.corpus.librispeech_settings import LibriSpeechSettings
from jobs.corpus.skipped import Skipped
from jobs.corpus.speakers import read_sexes, with_labels
from jobs.corpus.table import Corpus, CorpusError
from jobs.progress import ProgressCallback, ignore_progress

SPEAKERS = "SPEAKERS.TXT"
_SUFFIXES = (".flac", ".wav", ".mp3", ".ogg", ".opus")
"""Formats of audio; of several files of an utterance, the first of these is used."""


def read_librispeech(
    settings: LibriSpeechSettings, progress: ProgressCallback = ignore_progress
) -> Corpus:
    """Read all splits of a corpus; unusable utterances are skipped with a reason.

    Returns:
        The corpus; the utterance table has a column ``sex`` if there is a ``SPEAKERS.TXT``.

    Raises:
        CorpusError: the root or a subset folder is missing, or is not in LibriSpeech's layout.
    """
    root = absolute(settings.root)
    chapters: list[tuple[str, Path]] = []
    unreadable: list[Skipped] = []
    for split, subsets in settings.subsets().items():
        for subset in subsets:
            for folder in _chapter_folders(root, subset):
                if isinstance(folder, Skipped):
                    unreadable.append(folder)
                else:
                    chapters.append((split, folder))
    with ThreadPoolExecutor(THREADS) as pool:
        read = with_progress(
            pool.map(_read_chapter, chapters), "reading chapters", len(chapters), progress
        )
        corpus = assemble([*unreadable, *(item for items in read for item in items)])
    return with_labels(corpus, "sex", "speaker_id", _sexes(root, _subsets(settings)))


def librispeech_sources(settings: LibriSpeechSettings) -> list[Path]:
    """Return the folders that are read with everything below them, and the files of speakers."""
    root, subsets = absolute(settings.root), _subsets(settings)
    return [*(root / subset for subset in subsets), *_speaker_files(root, subsets)]


def _subsets(settings: LibriSpeechSettings) -> list[str]:
    return [subset for names in settings.subsets().values() for subset in names]


def _sexes(root: Path, subsets: list[str]) -> dict[str, str]:
    """Return speaker → sex, from the nearest ``SPEAKERS.TXT``."""
    files = [file for file in _speaker_files(root, subsets) if file.is_file()]
    return read_sexes(files[0]) if files else {}


def _speaker_files(root: Path, subsets: list[str]) -> list[Path]:
    """Return the paths at which ``SPEAKERS.TXT`` may be, nearest first."""
    folders = [*((root / subset).parent for subset in subsets), root, root.parent]
    return [folder / SPEAKERS for folder in folders]


def _chapter_folders(root: Path, subset: str) -> list[Path | Skipped]:
    """Return the chapter folders of a subset, sorted by name; unreadable folders are skipped."""
    if not root.is_dir():
        raise CorpusError(
            f"no corpus at {root}: expected a folder that contains the subset {subset!r}; "
            "correct corpus.root or put the corpus there"
        )
    folder = root / subset
    if not folder.is_dir():
        there = sorted(entry.name for entry in _entries(root) if entry.is_dir())
        raise CorpusError(
            f"no subset {subset!r} in {root}: expected the folder {folder}; "
            f"found the folders: {', '.join(there) or 'none'}; correct corpus.splits"
        )
    try:
        speakers = _folders(folder)
    except OSError as error:
        raise CorpusError(
            f"the folder {folder} cannot be read: {error.strerror}; correct its permissions"
        ) from error
    chapters: list[Path | Skipped] = []
    for speaker in speakers:
        if isinstance(speaker, Skipped):
            chapters.append(speaker)
            continue
        try:
            chapters += _folders(speaker)
        except OSError as error:
            chapters.append(_unreadable(speaker, error))
    if not chapters:
        raise CorpusError(
            f"{folder} is not in LibriSpeech's layout: expected SPEAKER/CHAPTER folders with FLAC "
            "files and a SPEAKER-CHAPTER.trans.txt, found none; correct corpus.root"
        )
    return chapters


def _folders(folder: Path) -> list[Path | Skipped]:
    """Return the folders within a folder, by name; a link that leads nowhere is skipped."""
    found: list[Path | Skipped] = []
    for entry in _entries(folder):
        path = Path(entry.path)
        try:
            if entry.is_dir():
                found.append(path)
            elif entry.is_symlink() and not path.exists():
                reason = "unreadable folder: the link leads nowhere"
                found.append(Skipped(entry.name, entry.path, reason))
        except OSError as error:
            found.append(_unreadable(path, error))
    return found


def _unreadable(folder: Path, error: OSError) -> Skipped:
    return Skipped(folder.name, str(folder), f"unreadable folder: {error.strerror}")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of ``folder`` by name, without hidden files."""
    with os.scandir(folder) as entries:
        return sorted(
            (entry for entry in entries if not entry.name.startswith(".")),
            key=lambda entry: entry.name,
        )


def _read_chapter(split_and_folder: tuple[str, Path]) -> list[Found | Skipped]:
    """Read the utterances of one chapter; unusable ones are skipped with a reason."""
    split, folder = split_and_folder
    transcripts = folder / f"{folder.parent.name}-{folder.name}.trans.txt"
    try:
        audio = _audio_files(folder)
    except OSError as error:
        return [_unreadable(folder, error)]
    found: list[Found | Skipped] = []
    try:
        lines = list(_transcript_lines(transcripts))
        missing = f"audio without a transcript: expected a line in {transcripts}"
    except OSError as error:
        lines, missing = [], f"unreadable transcript: {transcripts}: {error.strerror}"
    for name, text in lines:
        file = audio.get(name) or _AudioEntry(folder / f"{name}.flac", None)
        line = Line(split, name, file.path, text, folder.parent.name, folder.name)
        found += _check(line, file)
    for name in sorted(audio.keys() - {name for name, _ in lines}):
        found.append(Skipped(name, str(audio[name].path), missing))
    return found


class _AudioEntry(NamedTuple):
    """An audio file of a chapter."""

    path: Path
    size: int | None
    """Bytes; None if the file cannot be opened."""
    problem: str | None = None
    """Reason why it cannot be opened."""


def _audio_files(folder: Path) -> Mapping[str, _AudioEntry]:
    """Return utterance id → its audio file, the first in the order of formats."""
    found: dict[str, _AudioEntry] = {}
    ranks: dict[str, int] = {}
    for entry in _entries(folder):
        name, suffix = os.path.splitext(entry.name)  # noqa: PTH122 -- an id may have dots
        if suffix.lower() not in _SUFFIXES:
            continue
        try:
            if not entry.is_file():
                continue
            file = _AudioEntry(Path(entry.path), entry.stat().st_size)
        except OSError as error:
            file = _AudioEntry(Path(entry.path), None, f"unreadable audio: {error.strerror}")
        rank = _SUFFIXES.index(suffix.lower())
        if rank < ranks.get(name, len(_SUFFIXES)):
            found[name], ranks[name] = file, rank
    return found


def _transcript_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield utterance id and text of every line, nothing if there is no such file."""
    if not path.is_file():
        return
    for line in re.split(r"\r\n|\r|\n", decode_anyway(path.read_bytes())):
        # Concatenated files may have a byte order mark in any line.
        name, *rest = line.lstrip("\ufeff").split(maxsplit=1) or [""]
        if name:
            yield name, "".join(rest).strip()


def _check(line: Line, file: _AudioEntry) -> list[Found | Skipped]:
    """Return the utterance, or the reason why it cannot be used."""
    if file.problem:
        reason = file.problem
    elif file.size is not None and "�" in line.text:
        reason = "unreadable transcript: it is not UTF-8"
    elif file.size is not None and not any(map(str.isalnum, line.text)):
        reason = "empty transcript: it holds no letter and no digit"
    else:
        return examine_file([line], file.size)
    return [Skipped(line.utterance_id, str(line.audio), reason)]
