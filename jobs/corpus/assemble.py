"""Assemble a corpus from the lines of a reader, with the same checks and notes for every reader."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

from jobs.audio.read import AudioError
from jobs.audio.segments import Span
from jobs.corpus.audio_checks import AudioFile, describe_audio
from jobs.corpus.examined import ExaminedFiles
from jobs.corpus.skipped import Skipped
from jobs.corpus.table import (
    USUAL_FORMAT,
    AudioFormat,
    Corpus,
    CorpusError,
    Utterance,
    make_table,
)
from jobs.progress import ProgressCallback, ignore_progress

THREADS = 16
"""Threads that read headers; most of their time is spent waiting for the disk."""


_Item = TypeVar("_Item")


class Line(NamedTuple):
    """The metadata of an utterance, before its audio is examined."""

    split: str
    utterance_id: str
    audio: Path
    text: str
    speaker_id: str
    chapter_id: str
    span: Span | None = None
    """Its position in the file, None for the whole file."""


class Found(NamedTuple):
    """An utterance that can be used."""

    utterance: Utterance
    audio: AudioFile


def absolute(path: Path) -> Path:
    """Return ``path`` as an absolute path, with ``~`` expanded.

    Raises:
        CorpusError: it names an unknown home directory.
    """
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise CorpusError(
            f"no home directory for {path}: expected the name of a user after ~; correct the path"
        ) from error


def examine_file(
    lines: Sequence[Line], size: int | None, examined: ExaminedFiles | None = None
) -> list[Found | Skipped]:
    """Read the header of the file of ``lines``, ``size`` bytes long, None if it does not exist."""
    audio = lines[0].audio
    try:
        if size is None:
            raise AudioError("missing audio: no such file")
        file = describe_audio(audio, size, examined)
    except (AudioError, OSError) as error:
        return [Skipped(line.utterance_id, str(audio), str(error)) for line in lines]
    return [_utterance(line, file) for line in lines]


def _utterance(line: Line, file: AudioFile) -> Found | Skipped:
    path = str(line.audio) if line.span is None else line.span.of(line.audio)
    try:
        audio = file if line.span is None else file.piece(line.span)
    except AudioError as error:
        return Skipped(line.utterance_id, path, str(error))
    utterance = Utterance(
        utterance_id=line.utterance_id,
        audio_path=path,
        text=line.text,
        speaker_id=line.speaker_id,
        chapter_id=line.chapter_id,
        split=line.split,
        seconds=audio.seconds,
        n_samples=audio.n_samples,
        audio_digest=audio.digest,
    )
    return Found(utterance, audio)


def assemble_lines(
    lines: Iterable[Line | Skipped],
    progress: ProgressCallback = ignore_progress,
    cache: Path | None = None,
) -> Corpus:
    """Assemble a corpus from ``lines``; threads read the header of each file once.

    Args:
        lines: of all splits.
        progress: called after every file.
        cache: folder that keeps what had to be decoded.
    """
    examined = None if cache is None else ExaminedFiles(cache)
    files: dict[Path, list[Line]] = {}
    skipped = []
    for line in lines:
        if isinstance(line, Skipped):
            skipped.append(line)
        else:
            files.setdefault(line.audio, []).append(line)

    def look(lines: list[Line]) -> list[Found | Skipped]:
        audio = lines[0].audio
        try:
            size = audio.stat().st_size if audio.is_file() else None
        except OSError as error:  # its folder may not be read, or its name is too long
            reason = f"unreadable audio: {error.strerror}"
            return [Skipped(line.utterance_id, str(audio), reason) for line in lines]
        return examine_file(lines, size, examined)

    with ThreadPoolExecutor(THREADS) as pool:
        looked = with_progress(
            pool.map(look, files.values()), "reading files", len(files), progress
        )
        found = [item for items in looked for item in items]
    if examined is not None:
        examined.save()
    return assemble([*skipped, *found])


def with_progress(
    items: Iterable[_Item], what: str, total: int, progress: ProgressCallback
) -> Iterator[_Item]:
    """Yield ``items`` unchanged and report the progress after each."""
    if total:
        progress(what, 0, total)
    for done, item in enumerate(items, start=1):
        yield item
        progress(what, done, total)


def assemble(items: Iterable[Found | Skipped]) -> Corpus:
    """Assemble a corpus; utterances with a repeated id are skipped."""
    found: dict[str, Found] = {}
    skipped: list[Skipped] = []
    for item in items:
        if isinstance(item, Skipped):
            skipped.append(item)
            continue
        name, path = item.utterance.utterance_id, item.utterance.audio_path
        if name in found:
            first = found[name].utterance.audio_path
            skipped.append(
                Skipped(name, path, f"duplicate utterance id: already read from {first}")
            )
        else:
            found[name] = item
    table = make_table(item.utterance for item in found.values())
    formats = {
        name: AudioFormat(item.audio.sample_rate, item.audio.channels, item.audio.full_scale)
        for name, item in found.items()
    }
    unusual = {name: one for name, one in formats.items() if one != USUAL_FORMAT}
    return Corpus(table, tuple(skipped), formats=unusual)
