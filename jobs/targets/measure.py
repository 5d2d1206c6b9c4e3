"""Measure the audio of a table on all cores, each recording once.

Values are kept by the digest of the audio in ``<cache>/measured``, one file per measurement, as
JSON lines, see `jobs.targets.measured_values`. The file name contains the versions
of the measurement and of the package that it uses, so that a new version measures again.

A measurement may depend on the other utterances of the speaker, see ``SpeakerContext``. Its values
are kept by the digest and the speaker's values.
"""

import math
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path

import pandas as pd
from joblib import cpu_count

from jobs.audio.read import AudioError, AudioUnavailable, load_audio
from jobs.process import limit_threads
from jobs.progress import ProgressCallback, ignore_progress
from jobs.targets.measured_values import MeasuredValues, MeasureError, Values
from jobs.targets.measurements import MEASUREMENTS, SpeakerContext

POOL_SECONDS = 10.0
"""Seconds of work for one core below which no processes are started, which takes longer."""
BLOCK_SECONDS = 60.0
"""Seconds of audio per block: the most that an interruption loses in each process."""


def measure(
    table: pd.DataFrame,
    names: Iterable[str],
    cache: Path,
    progress: ProgressCallback = ignore_progress,
) -> pd.DataFrame:
    """Measure the audio of every utterance whose values are not known yet.

    Args:
        table: utterances, of which ``audio_path``, ``audio_digest``, ``seconds`` and, for
            measurements with a context, ``speaker_id`` are read.
        names: names of measurements.
        cache: folder of measured values; an interrupted call resumes where it stopped.
        progress: called after every block of utterances.

    Returns:
        (U, columns of the measurements), with the index of ``table``; NaN where undefined, and for
        audio that cannot be used.

    Raises:
        MeasureError: a measuring process died, or a file of values is damaged.
    """
    chosen = [MEASUREMENTS[name] for name in names]
    contexts = {one.context.measurement: one.context for one in chosen if one.context}
    speaker_values: dict[str, list[SpeakerValues]] = {}
    if contexts:
        before = measure(table, contexts, cache, progress)
        speaker_values = {
            name: _speaker_values(table, before, one) for name, one in contexts.items()
        }
    requests = {
        one.name: _requests(table, speaker_values[one.context.measurement] if one.context else None)
        for one in chosen
    }
    kept = {
        one.name: MeasuredValues(cache / "measured" / one.file, len(one.columns)) for one in chosen
    }
    tasks = _tasks(table, requests, kept)
    what, done = f"measuring {', '.join(kept)}", 0
    if tasks:
        progress(what, done, len(tasks))
    for results in _measure_blocks(_blocks(tasks)):
        for name, values in kept.items():
            values.add({found[name][0]: found[name][1] for found in results if name in found})
        done += len(results)
        progress(what, done, len(tasks))
    columns = {}
    for one in chosen:
        undefined = (math.nan,) * len(one.columns)
        rows = [kept[one.name].values.get(key, undefined) for key, _ in requests[one.name]]
        for position, column in enumerate(one.columns):
            columns[column] = [row[position] for row in rows]
    return pd.DataFrame(columns, index=table.index, dtype=float)


def speaker_values(table: pd.DataFrame, name: str, cache: Path) -> "list[SpeakerValues]":
    """Return, for every row, the values of the speaker that a measurement with a context takes.

    Args:
        table: see ``measure``; what is not known of it is measured.
        name: of the measurement.
        cache: folder of measured values.

    Raises:
        MeasureError: see ``measure``.
    """
    context = MEASUREMENTS[name].context
    assert context is not None
    return _speaker_values(table, measure(table, [context.measurement], cache), context)


SpeakerValues = tuple[float, ...]
"""Values of a speaker that a measurement takes beside the waveform, such as a range of pitch."""
_Request = tuple[str, SpeakerValues | None]
"""Key under which the values of a recording are kept, and the values of its speaker."""
_Found = dict[str, tuple[str, Values]]
"""Measurement → key and values of one recording; empty if its audio could not be read."""


def _speaker_values(
    table: pd.DataFrame, before: pd.DataFrame, context: SpeakerContext
) -> list[SpeakerValues]:
    """Return the speaker's values for each row of ``table``."""
    columns = list(MEASUREMENTS[context.measurement].columns)
    values = before[columns].to_numpy()
    rows_of = pd.Series(range(len(table))).groupby(table["speaker_id"].to_numpy()).groups
    found: dict[int, SpeakerValues] = {}
    for rows in rows_of.values():
        found |= dict.fromkeys(rows, context.combine(values[rows]))
    return [found[row] for row in range(len(table))]


def _requests(table: pd.DataFrame, speaker_values: list[SpeakerValues] | None) -> list[_Request]:
    """Return the request of one measurement for every row."""
    if speaker_values is None:
        return [(digest, None) for digest in table["audio_digest"]]
    return [
        (f"{digest} {' '.join(f'{value:.6g}' for value in values)}", values)
        for digest, values in zip(table["audio_digest"], speaker_values, strict=True)
    ]


@dataclass(frozen=True)
class _Task:
    """The measurements that one recording still needs."""

    path: str
    seconds: float
    requests: dict[str, _Request]

    @property
    def work(self) -> float:
        """Seconds for one core."""
        return self.seconds * sum(MEASUREMENTS[name].cost for name in self.requests)


def _tasks(
    table: pd.DataFrame,
    requests: dict[str, list[_Request]],
    kept: dict[str, MeasuredValues],
) -> list[_Task]:
    """Return the measurements that are not known yet, each of a recording once."""
    tasks: list[_Task] = []
    seen: set[tuple[str, str]] = set()
    for row, (path, seconds) in enumerate(zip(table["audio_path"], table["seconds"], strict=True)):
        wanted = {name: rows[row] for name, rows in requests.items()}
        new = {
            name: request
            for name, request in wanted.items()
            if request[0] not in kept[name].values and (name, request[0]) not in seen
        }
        if new:
            seen |= {(name, request[0]) for name, request in new.items()}
            tasks.append(_Task(path, seconds, new))
    return tasks


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
    return [_measure(task) for task in block]


def _measure(task: _Task) -> _Found:
    try:
        wave = load_audio(task.path)
    except (AudioError, AudioUnavailable):
        # Nothing is recorded: a damaged file and its repair may share a digest. Extraction skips
        # the file, or reports it, if it is still unusable then.
        return {}
    found: _Found = {}
    for name, (key, speaker_values) in task.requests.items():
        of = MEASUREMENTS[name].of
        found[name] = key, tuple(of(wave) if speaker_values is None else of(wave, speaker_values))
    return found
