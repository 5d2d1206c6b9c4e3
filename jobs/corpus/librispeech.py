"""Reader of the LibriSpeech layout: ``root/SUBSET/SPEAKER/CHAPTER/``, FLAC and transcripts.

Every chapter folder holds ``SPEAKER-CHAPTER.trans.txt`` (a line an utterance: id, space, text) and
an ``ID.flac`` for each. Nothing is decoded: length and identity of the audio come from the header.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import field_validator

from jobs.corpus.table import Corpus, CorpusError, Skipped, Utterance, make_table
from jobs.features import SAMPLE_RATE, AudioError, check_format
from jobs.identity import file_digest
from jobs.settings import Settings

_THREADS = 16
_HEADER_BYTES = 42
_NO_MD5 = bytes(16)


class LibriSpeechSettings(Settings):
    """A corpus on disk in LibriSpeech's layout."""

    kind: Literal["librispeech"] = "librispeech"
    root: Path
    """The folder that holds the subset folders (``dev-clean``, …)."""
    splits: dict[str, str | list[str]]
    """Name of a part → the subset folder, or folders, that it is made of."""

    @field_validator("splits")
    @classmethod
    def _each_subset_once(cls, splits: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
        if not splits:
            raise ValueError("expected at least one part, such as {test: test-clean}")
        subsets = [subset for value in splits.values() for subset in as_list(value)]
        twice = sorted({subset for subset in subsets if subsets.count(subset) > 1})
        if twice:
            raise ValueError(f"a subset belongs to one part only; named twice: {', '.join(twice)}")
        empty = [part for part, value in splits.items() if not all(as_list(value)) or not value]
        if empty:
            raise ValueError(f"expected a subset folder for the part {', '.join(empty)}")
        return splits


class FlacHeader(NamedTuple):
    """What a STREAMINFO block says."""

    sample_rate: int
    channels: int
    n_samples: int
    """0 where the encoder did not know."""
    md5: bytes
    """Of the decoded audio; 16 zero bytes where the encoder did not compute it."""


def as_list(value: str | list[str]) -> list[str]:
    """One or several subset folders, as a list."""
    return [value] if isinstance(value, str) else value


def read_librispeech(settings: LibriSpeechSettings) -> Corpus:
    """Walk the parts of a corpus; what is wrong with one utterance is named, never fatal.

    Raises:
        CorpusError: the root or a subset folder is missing, or is not in LibriSpeech's layout.
    """
    root = settings.root.expanduser().absolute()
    chapters = [
        (part, chapter)
        for part, subsets in settings.splits.items()
        for subset in as_list(subsets)
        for chapter in _chapter_folders(root, subset)
    ]
    with ThreadPoolExecutor(_THREADS) as pool:
        found = [item for items in pool.map(_read_chapter, chapters) for item in items]
    utterances: dict[str, Utterance] = {}
    skipped: list[Skipped] = []
    for item in found:
        if isinstance(item, Skipped):
            skipped.append(item)
        elif item.utterance_id in utterances:
            first = utterances[item.utterance_id].audio_path
            reason = f"duplicate utterance id: already read from {first}"
            skipped.append(Skipped(item.utterance_id, item.audio_path, reason))
        else:
            utterances[item.utterance_id] = item
    return Corpus(make_table(utterances.values()), tuple(skipped))


def read_flac_header(path: Path) -> FlacHeader:
    """Read the STREAMINFO block, by its definition in RFC 9639, section 8.2.

    The file begins with ``fLaC``; the first block must be STREAMINFO (type 0, 34 bytes). Its bytes
    10 to 17 pack 20 bits of sample rate, 3 of channels − 1, 5 of bits a sample − 1 and 36 of
    samples a channel; the last 16 bytes are the MD5 of the decoded samples.

    Raises:
        AudioError: empty, or not a FLAC file.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if not header:
        raise AudioError("empty file")
    if header[:4] != b"fLaC" or len(header) < _HEADER_BYTES or header[4] & 0x7F != 0:
        raise AudioError(f"not FLAC audio: it begins with {header[:4]!r}, expected b'fLaC'")
    packed = int.from_bytes(header[18:26])
    return FlacHeader(
        sample_rate=packed >> 44,
        channels=(packed >> 41 & 0b111) + 1,
        n_samples=packed & (1 << 36) - 1,
        md5=header[26:42],
    )


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


def _read_chapter(part_and_folder: tuple[str, Path]) -> list[Utterance | Skipped]:
    """The utterances of one chapter, each read or skipped with its reason."""
    part, folder = part_and_folder
    sizes = {
        entry.name: entry.stat().st_size
        for entry in _entries(folder)
        if entry.name.endswith(".flac") and entry.is_file()
    }
    transcripts = folder / f"{folder.parent.name}-{folder.name}.trans.txt"
    found: list[Utterance | Skipped] = []
    seen = set()
    for name, text in _transcript_lines(transcripts):
        audio = folder / f"{name}.flac"
        seen.add(audio.name)
        try:
            size = sizes.get(audio.name)
            found.append(_utterance(part, audio, name, text, size))
        except (AudioError, OSError) as error:
            found.append(Skipped(name, str(audio), str(error)))
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


def _utterance(part: str, audio: Path, name: str, text: str, size: int | None) -> Utterance:
    """Check one utterance.

    Raises:
        AudioError: with the reason why it cannot be used.
    """
    if size is None:
        raise AudioError("missing audio: there is a transcript, but no such file")
    if "�" in text:
        raise AudioError("unreadable transcript: it is not UTF-8")
    if not any(map(str.isalnum, text)):
        raise AudioError("empty transcript: it holds no letter and no digit")
    header = read_flac_header(audio)
    check_format(header.sample_rate, header.channels, header.n_samples)
    # A file that was cut off keeps its header, so the size belongs to the identity.
    md5 = header.md5.hex() if header.md5 != _NO_MD5 else file_digest(audio)
    return Utterance(
        utterance_id=name,
        audio_path=str(audio),
        text=text,
        speaker_id=audio.parent.parent.name,
        chapter_id=audio.parent.name,
        split=part,
        seconds=header.n_samples / SAMPLE_RATE,
        n_samples=header.n_samples,
        audio_digest=f"{md5}-{header.n_samples}-{size}",
    )
