"""From what a reader found to a corpus: the same checks and the same notes for every reader."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

from jobs.audio.frames import SAMPLE_RATE
from jobs.audio.read import AudioError
from jobs.audio.segments import Span
from jobs.corpus.audio_checks import AudioFile, describe_audio
from jobs.corpus.table import Corpus, CorpusError, Skipped, Utterance, make_table
from jobs.progress import ProgressCallback, ignore_progress

THREADS = 16
"""That read headers at once: the time goes into waiting for the disk."""


_Item = TypeVar("_Item")


class Line(NamedTuple):
    """What a corpus says of an utterance, before its audio is looked at."""

    part: str
    utterance_id: str
    audio: Path
    text: str
    speaker_id: str
    chapter_id: str
    span: Span | None = None
    """Where it lies in its file, if it is not the whole."""


class Found(NamedTuple):
    """An utterance that can be used."""

    utterance: Utterance
    audio: AudioFile


def absolute(path: Path) -> Path:
    """``path`` from the file system's root, ``~`` resolved.

    Raises:
        CorpusError: the home directory that it names is not known.
    """
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise CorpusError(
            f"no home directory for {path}: expected the name of a user after ~; correct the path"
        ) from error


def look_at(lines: Sequence[Line], size: int | None) -> list[Found | Skipped]:
    """Look at the one file of ``lines``, ``size`` bytes long, None if there is no such file."""
    audio = lines[0].audio
    try:
        if size is None:
            raise AudioError("missing audio: no such file")
        file = describe_audio(audio, size)
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
        split=line.part,
        seconds=audio.seconds,
        n_samples=audio.n_samples,
        audio_digest=audio.digest,
    )
    return Found(utterance, audio)


def look_at_all(
    lines: Iterable[Line | Skipped], tell: ProgressCallback = ignore_progress
) -> Corpus:
    """A corpus of ``lines``: headers are read by several threads, each file once."""
    files: dict[Path, list[Line]] = {}
    skipped = []
    for line in lines:
        if isinstance(line, Skipped):
            skipped.append(line)
        else:
            files.setdefault(line.audio, []).append(line)

    def look(lines: list[Line]) -> list[Found | Skipped]:
        audio = lines[0].audio
        return look_at(lines, audio.stat().st_size if audio.is_file() else None)

    with ThreadPoolExecutor(THREADS) as pool:
        looked = told(pool.map(look, files.values()), "reading files", len(files), tell)
        found = [item for items in looked for item in items]
    return assemble([*skipped, *found])


def told(items: Iterable[_Item], what: str, total: int, tell: ProgressCallback) -> Iterator[_Item]:
    """``items`` as they are, ``tell`` told of each."""
    if total:
        tell(what, 0, total)
    for done, item in enumerate(items, start=1):
        yield item
        tell(what, done, total)


def assemble(items: Iterable[Found | Skipped]) -> Corpus:
    """The utterances, each id once, what was skipped, and what a reader should know of the rest."""
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
    return Corpus(table, tuple(skipped), _notes([item.audio for item in found.values()]))


def _notes(files: Sequence[AudioFile]) -> tuple[str, ...]:
    """What is done to files that are not mono at 16 kHz."""
    rates = Counter(file.sample_rate for file in files if file.sample_rate != SAMPLE_RATE)
    channels = Counter(file.channels for file in files if file.channels != 1)
    notes = []
    if rates:
        shown = ", ".join(f"{count} from {rate} Hz" for rate, count in sorted(rates.items()))
        notes.append(f"{rates.total()} of {len(files)} utterances are resampled to 16 kHz: {shown}")
    if channels:
        shown = ", ".join(f"{count} of {n} channels" for n, count in sorted(channels.items()))
        notes.append(f"{channels.total()} of {len(files)} utterances are mixed to mono: {shown}")
    return tuple(notes)
