"""Read a corpus from lhotse's manifests: recordings and supervisions, as its recipes write them.

Each supervision is an utterance: a whole recording or a segment of it. A recording must be a single
file, and an utterance must include all its channels.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jobs.audio.segments import SLACK, Span
from jobs.corpus.assemble import Line, absolute, assemble_lines
from jobs.corpus.lhotse_settings import LhotseSettings
from jobs.corpus.skipped import Skipped
from jobs.corpus.speakers import with_labels
from jobs.corpus.table import Corpus, CorpusError
from jobs.optional_packages import LHOTSE, MissingPackageError
from jobs.progress import ProgressCallback, ignore_progress

_SLACK = 0.025
"""Seconds of a whole recording that a supervision of it may leave out at either end: one frame."""


def read_lhotse(
    settings: LhotseSettings,
    progress: ProgressCallback = ignore_progress,
    cache: Path | None = None,
) -> Corpus:
    """Read the manifests of every split; unusable utterances are skipped with a reason.

    Returns:
        The corpus; the utterance table has a column ``sex`` if supervisions have a gender, and
        ``language`` if they have one.

    Raises:
        CorpusError: a manifest is missing or cannot be read, or lhotse is not installed.
    """
    try:
        lhotse = LHOTSE.load()
    except MissingPackageError as error:
        raise CorpusError(f"kind: lhotse: {error}") from None
    root = absolute(settings.root)
    lines: list[Line | Skipped] = []
    genders: dict[str, str] = {}
    languages: dict[str, str] = {}
    for split, manifests in settings.splits.items():
        recordings = {one.id: one for one in _read(lhotse.RecordingSet, manifests.recordings)}
        supervisions = _read(lhotse.SupervisionSet, manifests.supervisions)
        lines += _lines(split, root, recordings, supervisions)
        for one in supervisions:
            genders.setdefault(one.id, str(one.gender or ""))
            languages.setdefault(one.id, str(one.language or ""))
    corpus = with_labels(assemble_lines(lines, progress, cache), "sex", "utterance_id", genders)
    return with_labels(corpus, "language", "utterance_id", languages)


def _read(kind: Any, path: Path) -> list[Any]:
    """Return all entries of a manifest."""
    path = absolute(path)
    if not path.is_file():
        raise CorpusError(f"no manifest at {path}: correct corpus.splits")
    try:
        return list(kind.from_file(path))
    # lhotse raises whatever a wrong line leads to: AssertionError, KeyError, TypeError, …
    except Exception as error:
        what = "recordings" if kind.__name__ == "RecordingSet" else "supervisions"
        raise CorpusError(
            f"{path} is not a manifest of {what}: {type(error).__name__}: {error}; expected what "
            "lhotse writes"
        ) from error


def _lines(
    split: str, root: Path, recordings: dict[str, Any], supervisions: Iterable[Any]
) -> Iterator[Line | Skipped]:
    for one in supervisions:
        recording = recordings.get(one.recording_id)
        reason = _problem(one, recording)
        if reason is not None:
            path = one.recording_id if recording is None else _source(recording)
            yield Skipped(one.id, path, reason)
        else:
            text = (one.text or "").strip()
            audio = root / _source(recording)
            speaker, span = str(one.speaker), _span(one, recording)
            yield Line(split, one.id, audio, text, speaker, one.recording_id, span)


def _problem(supervision: Any, recording: Any) -> str | None:
    """Return why a supervision cannot be used, None if it can."""
    if recording is None:
        return f"missing audio: no recording is called {supervision.recording_id!r}"
    if not supervision.speaker:
        return "no speaker: the supervision names none"
    if len(recording.sources) != 1 or recording.sources[0].type != "file":
        return "no single audio file: expected a recording with one source of the type 'file'"
    if recording.transforms:
        return "changed on the fly: the recording has transforms; save it with lhotse first"
    channels = supervision.channel
    if sorted(channels if isinstance(channels, list) else [channels]) != recording.channel_ids:
        return "one of several channels: expected an utterance of all; split the channels first"
    return None


def _span(supervision: Any, recording: Any) -> Span | None:
    """Return the position of an utterance in its recording, None for all of it."""
    begins = -SLACK <= supervision.start <= _SLACK
    if begins and -_SLACK <= supervision.end - recording.duration <= SLACK:
        return None
    return Span(float(supervision.start), float(supervision.end))


def _source(recording: Any) -> str:
    return str(recording.sources[0].source) if recording.sources else ""
