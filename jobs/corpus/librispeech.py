"""Reader of the LibriSpeech layout: ``root/SUBSET/SPEAKER/CHAPTER/``, FLAC and transcripts.

Every chapter folder holds ``SPEAKER-CHAPTER.trans.txt`` (a line an utterance: id, space, text) and
an ``ID.flac`` for each. Nothing is decoded: length and identity of the audio come from the header.
``SPEAKERS.TXT``, which the official archives put beside the subset folders, tells the sex.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jobs.corpus.assemble import THREADS, Found, Line, absolute, assemble, look_at, told
from jobs.corpus.librispeech_settings import LibriSpeechSettings
from jobs.corpus.speakers import read_sexes, with_labels
from jobs.corpus.table import Corpus, CorpusError, Skipped
from jobs.progress import ProgressCallback, ignore_progress

SPEAKERS = "SPEAKERS.TXT"


def read_librispeech(
    settings: LibriSpeechSettings, tell: ProgressCallback = ignore_progress
) -> Corpus:
    """Walk the parts of a corpus; what is wrong with one utterance is named, never fatal.

    Returns:
        The corpus; the utterance table has a column ``sex`` where there is a ``SPEAKERS.TXT``.

    Raises:
        CorpusError: the root or a subset folder is missing, or is not in LibriSpeech's layout.
    """
    root = absolute(settings.root)
    chapters = [
        (part, chapter)
        for part, subsets in settings.subsets().items()
        for subset in subsets
        for chapter in _chapter_folders(root, subset)
    ]
    with ThreadPoolExecutor(THREADS) as pool:
        read = told(pool.map(_read_chapter, chapters), "reading chapters", len(chapters), tell)
        corpus = assemble(item for items in read for item in items)
    return with_labels(corpus, "sex", "speaker_id", _sexes(root, _subsets(settings)))


def librispeech_sources(settings: LibriSpeechSettings) -> list[Path]:
    """Return the folders that are read with everything below them, and the files of speakers."""
    root, subsets = absolute(settings.root), _subsets(settings)
    return [*(root / subset for subset in subsets), *_speaker_files(root, subsets)]


def _subsets(settings: LibriSpeechSettings) -> list[str]:
    return [subset for names in settings.subsets().values() for subset in names]


def _sexes(root: Path, subsets: list[str]) -> dict[str, str]:
    """Speaker → sex, by the nearest ``SPEAKERS.TXT``: beside the subsets, in the root, above it."""
    files = [file for file in _speaker_files(root, subsets) if file.is_file()]
    return read_sexes(files[0]) if files else {}


def _speaker_files(root: Path, subsets: list[str]) -> list[Path]:
    """Where a ``SPEAKERS.TXT`` may be, nearest first."""
    folders = [*((root / subset).parent for subset in subsets), root, root.parent]
    return [folder / SPEAKERS for folder in folders]


def _chapter_folders(root: Path, subset: str) -> list[Path]:
    """The chapter folders of a subset, in the order of their names."""
    if not root.is_dir():
        raise CorpusError(
            f"no corpus at {root}: expected a folder with the subset {subset!r} in it; "
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
    """What lies in ``folder``, by name; hidden files are no part of a corpus."""
    with os.scandir(folder) as entries:
        return sorted(
            (entry for entry in entries if not entry.name.startswith(".")),
            key=lambda entry: entry.name,
        )


def _read_chapter(part_and_folder: tuple[str, Path]) -> list[Found | Skipped]:
    """The utterances of one chapter, each read or skipped with its reason."""
    part, folder = part_and_folder
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
        line = Line(part, name, audio, text, folder.parent.name, folder.name)
        found += _check(line, sizes.get(audio.name))
    for file in sorted(sizes.keys() - seen):
        reason = f"audio without a transcript: expected a line in {transcripts}"
        found.append(Skipped(file.removesuffix(".flac"), str(folder / file), reason))
    return found


def _transcript_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Utterance id and text of every line, nothing where there is no such file."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        name, _, text = line.strip().partition(" ")
        if name:
            yield name, text.strip()


def _check(line: Line, size: int | None) -> list[Found | Skipped]:
    """The utterance, or the reason why it cannot be used."""
    if size is not None and "�" in line.text:
        reason = "unreadable transcript: it is not UTF-8"
    elif size is not None and not any(map(str.isalnum, line.text)):
        reason = "empty transcript: it holds no letter and no digit"
    else:
        return look_at([line], size)
    return [Skipped(line.utterance_id, str(line.audio), reason)]
