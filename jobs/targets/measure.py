"""Measure the audio of a table on all cores, each recording once.

Values are kept by the digest of the audio in ``<cache>/measured``, one file per measurement, as
JSON lines, see `jobs.targets.measured_values`. The file name contains the versions
of the measurement and of the package that it uses, so that a new version measures again.
"""

import math
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path

import pandas as pd
from joblib import cpu_count

from jobs.audio.read import AudioError, AudioUnavailable, FloatArray, load_audio
from jobs.optional_packages import PARSELMOUTH, SILERO_VAD, OptionalPackage
from jobs.process import limit_threads
from jobs.progress import ProgressCallback, ignore_progress
from jobs.targets.measured_values import MeasuredValues, MeasureError, Values
from jobs.targets.pitch import PITCH_METHOD, measure_level, measure_pitch
from jobs.targets.voice_activity import SPEECH_METHOD, measure_speech

POOL_SECONDS = 10.0
"""Seconds of work for one core below which no processes are started, which takes longer."""
BLOCK_SECONDS = 60.0
"""Seconds of audio per block: the most that an interruption loses in each process."""


@dataclass(frozen=True)
class Measurement:
    """A set of values that are measured in a waveform."""

    name: str
    version: int
    """To be raised when the same audio gives other values: everything is then measured again."""
    columns: tuple[str, ...]
    """Names of its values."""
    of: Callable[[FloatArray], Values]
    """(N,) samples at 16 kHz in int16 scale → the values, NaN where undefined."""
    cost: float
    """Approximate seconds of one core per second of audio, which decides how it is run."""
    package: OptionalPackage | None = None
    """Optional package that it needs."""
    method: str = ""
    """Sentence on how it is done, for the methods text; empty: the description of its targets says
    it."""

    @property
    def file(self) -> str:
        """Name of the file of its values."""
        package = f"-{self.package.name}-{self.package.version}" if self.package else ""
        return f"{self.name}-{self.version}{package}.jsonl"

    def missing(self) -> str | None:
        """Return how to install the package that it lacks, None if nothing is missing."""
        return None if self.package is None else self.package.missing()


MEASUREMENTS: dict[str, Measurement] = {
    one.name: one
    for one in (
        Measurement(
            name="speech",
            version=1,
            columns=("speaking_seconds", "span_seconds"),
            of=measure_speech,
            cost=0.012,
            package=SILERO_VAD,
            method=SPEECH_METHOD,
        ),
        Measurement(
            name="pitch",
            version=2,
            columns=("f0_mean", "f0_sd"),
            of=measure_pitch,
            cost=0.01,
            package=PARSELMOUTH,
            method=PITCH_METHOD,
        ),
        Measurement(
            name="level",
            version=1,
            columns=("energy",),
            of=lambda wave: (measure_level(wave),),
            cost=0.0003,
        ),
    )
}


def measure(
    table: pd.DataFrame,
    names: Iterable[str],
    cache: Path,
    progress: ProgressCallback = ignore_progress,
) -> pd.DataFrame:
    """Measure the audio of every utterance whose values are not known yet.

    Args:
        table: utterances, of which ``audio_path``, ``audio_digest`` and ``seconds`` are read.
        names: names of measurements.
        cache: folder of measured values; an interrupted call resumes where it stopped.
        progress: called after every block of utterances.

    Returns:
        (U, columns of the measurements), with the index of ``table``; NaN where undefined, and for
        audio that cannot be used.

    Raises:
        MeasureError: a measuring process died, or a file of values is damaged.
    """
    kept = {
        name: MeasuredValues(
            cache / "measured" / MEASUREMENTS[name].file, len(MEASUREMENTS[name].columns)
        )
        for name in names
    }
    tasks = _tasks(table, kept)
    what, done = f"measuring {', '.join(kept)}", 0
    if tasks:
        progress(what, done, len(tasks))
    for results in _measure_blocks(_blocks(tasks)):
        for name, one in kept.items():
            one.add({found.digest: found.values[name] for found in results if name in found.values})
        done += len(results)
        progress(what, done, len(tasks))
    columns = {}
    for name, one in kept.items():
        undefined = (math.nan,) * len(MEASUREMENTS[name].columns)
        rows = [one.values.get(digest, undefined) for digest in table["audio_digest"]]
        for position, column in enumerate(MEASUREMENTS[name].columns):
            columns[column] = [row[position] for row in rows]
    return pd.DataFrame(columns, index=table.index, dtype=float)


@dataclass(frozen=True)
class _Task:
    """The measurements that one recording still needs."""

    digest: str
    path: str
    seconds: float
    names: tuple[str, ...]

    @property
    def work(self) -> float:
        """Seconds for one core."""
        return self.seconds * sum(MEASUREMENTS[name].cost for name in self.names)


@dataclass(frozen=True)
class _Found:
    """The measured values of one recording; none if its audio could not be read."""

    digest: str
    values: dict[str, Values]


def _tasks(table: pd.DataFrame, kept: dict[str, MeasuredValues]) -> list[_Task]:
    """Return the measurements that are not known yet, each recording once."""
    tasks: dict[str, _Task] = {}
    for digest, path, seconds in zip(
        table["audio_digest"], table["audio_path"], table["seconds"], strict=True
    ):
        names = tuple(name for name, one in kept.items() if digest not in one.values)
        if names:
            tasks.setdefault(digest, _Task(digest, path, seconds, names))
    return list(tasks.values())


def _blocks(tasks: Sequence[_Task]) -> list[list[_Task]]:
    blocks: list[list[_Task]] = []
    seconds = math.inf
    for task in tasks:
        if seconds + task.seconds > BLOCK_SECONDS:
            blocks.append([])
            seconds = 0.0
        blocks[-1].append(task)
        seconds += task.seconds
    return blocks


def _measure_blocks(blocks: Sequence[list[_Task]]) -> Iterator[list[_Found]]:
    """Yield the results of every block as they are completed."""
    n_processes = min(cpu_count(), len(blocks))
    if n_processes <= 1 or sum(task.work for block in blocks for task in block) < POOL_SECONDS:
        yield from map(_measure_block, blocks)
        return
    # Spawned: a fork of a process with torch's threads may deadlock.
    pool = ProcessPoolExecutor(n_processes, get_context("spawn"), initializer=_start_worker)
    try:
        with _ctrl_c_ignored():
            waiting = [pool.submit(_measure_block, block) for block in blocks]
        for future in as_completed(waiting):
            yield future.result()
    except BrokenProcessPool as error:
        raise MeasureError(
            "a process that measured audio died, probably because memory ran out; measured values "
            "are kept: run again"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    """Start processes that ignore Ctrl-C: only their parent handles it, and lets running blocks
    finish."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _start_worker() -> None:
    limit_threads(1)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """Exit if the parent is killed: the pool's workers would otherwise wait forever."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _measure_block(block: Sequence[_Task]) -> list[_Found]:
    return [_Found(task.digest, _measure(task)) for task in block]


def _measure(task: _Task) -> dict[str, Values]:
    try:
        wave = load_audio(task.path)
    except (AudioError, AudioUnavailable):
        # Nothing is recorded: a damaged file and its repair may share a digest. Extraction skips
        # the file, or reports it, if it is still unusable then.
        return {}
    return {name: tuple(MEASUREMENTS[name].of(wave)) for name in task.names}
