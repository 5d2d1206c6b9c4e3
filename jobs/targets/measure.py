"""Measuring the audio of a table, each utterance once, by all cores.

What was measured is kept by the digest of the audio in ``<cache>/measured``, a file a measurement,
JSON lines of ``[digest, values]``, null for an undefined one. Its name has the version of the
measurement and of the package that measures: another one measures anew.
"""

import fcntl
import json
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
from jobs.storage.atomic import cut_torn_line
from jobs.targets.pitch import measure_level, measure_pitch
from jobs.targets.voice_activity import measure_speech

Values = tuple[float, ...]

POOL_SECONDS = 10.0
"""Of work of one core; less is done in this process, sooner than others have started."""
BLOCK_SECONDS = 60.0
"""Of audio that is measured at once: an interruption loses no more of each process' work."""


class MeasureError(RuntimeError):
    """Measuring cannot go on; the message says what to do."""


@dataclass(frozen=True)
class Measurement:
    """Something that is measured in a waveform."""

    name: str
    version: int
    """Raise it when the same audio gives other values: everything is measured anew."""
    columns: tuple[str, ...]
    """What its values are called."""
    of: Callable[[FloatArray], Values]
    """(N,) samples at 16 kHz in int16 scale → the values, NaN where undefined."""
    cost: float
    """Seconds of one core a second of audio, roughly: how it is run, and no more."""
    package: OptionalPackage | None = None
    """What it is measured with."""

    @property
    def file(self) -> str:
        """Where its values are kept."""
        package = f"-{self.package.name}-{self.package.version}" if self.package else ""
        return f"{self.name}-{self.version}{package}.jsonl"

    def missing(self) -> str | None:
        """What has to be installed first; None if nothing."""
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
        ),
        Measurement(
            name="pitch",
            version=1,
            columns=("f0_mean", "f0_sd"),
            of=measure_pitch,
            cost=0.007,
            package=PARSELMOUTH,
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
    table: pd.DataFrame, names: Iterable[str], cache: Path, tell: ProgressCallback = ignore_progress
) -> pd.DataFrame:
    """Measure the audio of every utterance, but for what is known of it already.

    Args:
        table: utterances, of which ``audio_path``, ``audio_digest`` and ``seconds`` are read.
        names: of measurements.
        cache: where measured values are kept; an interrupted call goes on where it was.
        tell: told after every block of utterances.

    Returns:
        (U, columns of the measurements), with the index of ``table``; NaN where undefined, and for
        audio that cannot be used.

    Raises:
        MeasureError: a process that measures died, or what is kept is damaged.
    """
    kept = {name: _Kept(cache / "measured" / MEASUREMENTS[name].file) for name in names}
    tasks = _tasks(table, kept)
    what, done = f"measuring {', '.join(kept)}", 0
    if tasks:
        tell(what, done, len(tasks))
    for results in _measured(_blocks(tasks)):
        for name, one in kept.items():
            one.add({found.digest: found.values[name] for found in results if name in found.values})
        done += len(results)
        tell(what, done, len(tasks))
    columns = {}
    for name, one in kept.items():
        undefined = (math.nan,) * len(MEASUREMENTS[name].columns)
        rows = [one.values.get(digest, undefined) for digest in table["audio_digest"]]
        for position, column in enumerate(MEASUREMENTS[name].columns):
            columns[column] = [row[position] for row in rows]
    return pd.DataFrame(columns, index=table.index, dtype=float)


@dataclass(frozen=True)
class _Task:
    """What is to be measured of one utterance."""

    digest: str
    path: str
    seconds: float
    names: tuple[str, ...]

    @property
    def work(self) -> float:
        """Seconds of one core."""
        return self.seconds * sum(MEASUREMENTS[name].cost for name in self.names)


@dataclass(frozen=True)
class _Found:
    """What was measured of one utterance; nothing of audio that the system did not give."""

    digest: str
    values: dict[str, Values]


class _Kept:
    """The known values of one measurement: audio digest → values."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.values: dict[str, Values] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            # Another run may be writing: a line of its that is under way is no torn one.
            fcntl.flock(file, fcntl.LOCK_EX)
            cut_torn_line(path)
            lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, start=1):
            try:
                digest, values = json.loads(line)
                self.values[digest] = tuple(math.nan if v is None else float(v) for v in values)
            except (ValueError, TypeError) as error:
                raise MeasureError(
                    f"{path}:{number} is damaged: expected [digest, values], found {line[:60]!r}; "
                    "delete the file, its values are measured anew"
                ) from error

    def add(self, values: dict[str, Values]) -> None:
        """Keep more of them, on the disk when it returns."""
        if not values:
            return
        self.values |= values
        lines = [
            json.dumps([digest, [None if math.isnan(v) else v for v in row]], allow_nan=False)
            for digest, row in values.items()
        ]
        with self._path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write("".join(f"{line}\n" for line in lines).encode())
            file.flush()
            os.fsync(file.fileno())


def _tasks(table: pd.DataFrame, kept: dict[str, _Kept]) -> list[_Task]:
    """What is not known yet, the same audio once."""
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


def _measured(blocks: Sequence[list[_Task]]) -> Iterator[list[_Found]]:
    """The results of every block, as they come."""
    n_processes = min(cpu_count(), len(blocks))
    if n_processes <= 1 or sum(task.work for block in blocks for task in block) < POOL_SECONDS:
        yield from map(_measure_block, blocks)
        return
    # Spawned: a fork of a process with torch's threads may stand still for ever.
    pool = ProcessPoolExecutor(n_processes, get_context("spawn"), initializer=_start_worker)
    try:
        with _ctrl_c_ignored():
            waiting = [pool.submit(_measure_block, block) for block in blocks]
        for future in as_completed(waiting):
            yield future.result()
    except BrokenProcessPool as error:
        raise MeasureError(
            "a process that measured audio died, probably for want of memory; what was measured "
            "is kept: run again"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    """Processes that are started here ignore Ctrl-C: it goes to their parent alone, which lets the
    blocks that are under way come to their end."""
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
    """The pool's own workers wait for ever if their parent is killed."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _measure_block(block: Sequence[_Task]) -> list[_Found]:
    return [_Found(task.digest, _measure(task)) for task in block]


def _measure(task: _Task) -> dict[str, Values]:
    try:
        wave = load_audio(task.path)
    except AudioUnavailable:
        # Nothing is known of it; extraction says so, if it is still away then.
        return {}
    except AudioError:
        return {name: (math.nan,) * len(MEASUREMENTS[name].columns) for name in task.names}
    return {name: tuple(MEASUREMENTS[name].of(wave)) for name in task.names}
