"""Assemble a corpus from the lines of a reader, with the same checks and notes for every reader."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

from jobs.audio.frames import SAMPLE_RATE
from jobs.audio.read import AudioError
from jobs.audio.segments import Span
from jobs.corpus.audio_checks import AudioFile, describe_audio
from jobs.corpus.examined import ExaminedFiles
from jobs.corpus.skipped import Skipped
from jobs.corpus.table import Corpus, CorpusError, Utterance, make_table
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
        size = audio.stat().st_size if audio.is_file() else None
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
    return Corpus(table, tuple(skipped), _notes([item.audio for item in found.values()]))


def _notes(files: Sequence[AudioFile]) -> tuple[str, ...]:
    """Report the conversion of files that are not mono at 16 kHz with a full scale of 1."""
    rates = Counter(file.sample_rate for file in files if file.sample_rate != SAMPLE_RATE)
    channels = Counter(file.channels for file in files if file.channels != 1)
    notes = []
    if rates:
        shown = ", ".join(f"{count} from {rate} Hz" for rate, count in sorted(rates.items()))
        notes.append(f"{rates.total()} of {len(files)} utterances are resampled to 16 kHz: {shown}")
    if channels:
        shown = ", ".join(f"{count} of {n} channels" for n, count in sorted(channels.items()))
        notes.append(f"{channels.total()} of {len(files)} utterances are mixed to mono: {shown}")
    scales = Counter(file.full_scale for file in files if file.full_scale != 1.0)
    if scales:
        shown = ", ".join(f"{count} from ±{scale:.0f}" for scale, count in sorted(scales.items()))
        notes.append(
            f"{scales.total()} of {len(files)} utterances have float samples in the range of "
            f"integers, which are brought to a full scale of ±1: {shown}"
        )
    return tuple(notes)
