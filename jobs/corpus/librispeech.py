"""Read a corpus in LibriSpeech's layout: ``root/SUBSET/SPEAKER/CHAPTER/``.

A chapter folder contains ``SPEAKER-CHAPTER.trans.txt``, with a line per utterance (id, space,
text), and an ``ID.flac`` for each. Length and identity of the audio are read from the header,
without decoding. The speakers' sex is read from ``SPEAKERS.TXT``, which the official archives place
beside the subset folders.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jobs.corpus.assemble import (
    THREADS,
    Found,
    Line,
    absolute,
    assemble,
    examine_file,
    with_progress,
)
from jobs.corpus.librispeech_settings import LibriSpeechSettings
from jobs.corpus.skipped import Skipped
from jobs.corpus.speakers import read_sexes, with_labels
from jobs.corpus.table import Corpus, CorpusError
from jobs.progress import ProgressCallback, ignore_progress

SPEAKERS = "SPEAKERS.TXT"


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
    chapters = [
        (split, chapter)
        for split, subsets in settings.subsets().items()
        for subset in subsets
        for chapter in _chapter_folders(root, subset)
    ]
    with ThreadPoolExecutor(THREADS) as pool:
        read = with_progress(
            pool.map(_read_chapter, chapters), "reading chapters", len(chapters), progress
        )
        corpus = assemble(item for items in read for item in items)
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


def _chapter_folders(root: Path, subset: str) -> list[Path]:
    """Return the chapter folders of a subset, sorted by name."""
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
    chapters = [
        Path(chapter.path)
        for speaker in _entries(folder)
        if speaker.is_dir()
        for chapter in _entries(speaker.path)
        if chapter.is_dir()
    ]
    if not chapters:
        raise CorpusError(
            f"{folder} is not in LibriSpeech's layout: expected SPEAKER/CHAPTER folders with FLAC "
            "files and a SPEAKER-CHAPTER.trans.txt, found none; correct corpus.root"
        )
    return chapters


def _entries(folder: Path | str) -> list[os.DirEntry[str]]:
    """Return the entries of ``folder`` by name, without hidden files."""
    with os.scandir(folder) as entries:
        return sorted(
            (entry for entry in entries if not entry.name.startswith(".")),
            key=lambda entry: entry.name,
        )


def _read_chapter(split_and_folder: tuple[str, Path]) -> list[Found | Skipped]:
    """Read the utterances of one chapter; unusable ones are skipped with a reason."""
    split, folder = split_and_folder
    sizes = {
        entry.name: entry.stat().st_size
        for entry in _entries(folder)
        if entry.name.endswith(".flac") and entry.is_file()
    }
    transcripts = folder / f"{folder.parent.name}-{folder.name}.trans.txt"
    found: list[Found | Skipped] = []
    seen = set()
    for name, text in _transcript_lines(transcripts):
        audio = folder / f"{name}.flac"
        seen.add(audio.name)
        line = Line(split, name, audio, text, folder.parent.name, folder.name)
        found += _check(line, sizes.get(audio.name))
    for file in sorted(sizes.keys() - seen):
        reason = f"audio without a transcript: expected a line in {transcripts}"
        found.append(Skipped(file.removesuffix(".flac"), str(folder / file), reason))
    return found


def _transcript_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield utterance id and text of every line, nothing if there is no such file."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        name, _, text = line.strip().partition(" ")
        if name:
            yield name, text.strip()


def _check(line: Line, size: int | None) -> list[Found | Skipped]:
    """Return the utterance, or the reason why it cannot be used."""
    if size is not None and "�" in line.text:
        reason = "unreadable transcript: it is not UTF-8"
    elif size is not None and not any(map(str.isalnum, line.text)):
        reason = "empty transcript: it holds no letter and no digit"
    else:
        return examine_file([line], size)
    return [Skipped(line.utterance_id, str(line.audio), reason)]
