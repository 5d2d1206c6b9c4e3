"""Events of a run: ``events.jsonl``, one JSON object per line; all displays are drawn from it.

An event has ``time`` (ISO 8601, UTC; measured from the run's start, independent of changes to the
system clock) and ``kind``, and the fields of its kind:

============== ====================================================================================
stage_started  stage: prepare | extract | probe | report; a run begins with prepare
stage_progress stage: prepare; what, done, total: units of what takes long in it, such as files
stage_finished stage, seconds
planned        run, models: [name], totals: {stage: n}, done: {stage: n} by earlier runs,
               targets: {name: its score, r2 or accuracy}, work: {model: {shards, shards_done,
               layers: [index], layers_done}}, by earlier runs
scored_earlier model, layers: of earlier runs, [{layer, layer_index, best, best_accuracy, scores}]
activity       message: what the run begins to do, such as starting Ray
began          stage: extract | probe, model: its first job was sent to an executor
resources      nodes, jobs, places, and where known cpus, memory (bytes), gpus: [in use, in all],
               gpu_busy: share of time
shard_done     model, shard, utterances, skipped, seconds, forward_seconds: of these, in networks
cells_done     model, layer, layer_index, cells (that came back), failed (of these), seconds
               (of their fits), best: {probe, target, r2} or null, best_accuracy: {probe, target,
               accuracy} or null, scores: {target: its main score by the best probe}
compared       seconds: of a job of the optional analysis ``analysis`` (similarity, if not given)
warning        message
failure        stage, model or null, where, error; for stage probe beside a cells_done, with cells:
               the number of those that failed so
retry          where, attempt, error
run_finished   status: done | failed | interrupted, done, failed, seconds
============== ====================================================================================

Totals of stage ``extract`` count shards, those of ``probe`` count cells,
those of an analysis with jobs of its own, such as ``similarity``, jobs. Several runs into one
folder append to one file, each beginning with its ``prepare``.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any

from jobs.progress import ProgressCallback
from jobs.storage.atomic import DISK_FULL, cut_torn_line
from jobs.storage.json_files import parse_json
from jobs.storage.regular_files import DamagedFile, open_to_write, read_regular
from sweep.state.event_fields import check_event

log = logging.getLogger(__name__)

Event = dict[str, Any]
Listener = Callable[[Event], None]
PROGRESS_SECONDS = 1.0
"""Seconds between two ``stage_progress``, and before the first; quick work has none."""


class EventLog:
    """The only writer of a run's events: a line in the file, then a call to every listener.

    A listener that fails is logged and removed.

    A run begins before its folder is known: until ``open``, its lines are held back. From then on,
    every line is flushed when ``emit`` returns, so that another process can follow the file; while
    the disk is full, lines are held back again. Use it from one thread only.
    """

    def __init__(self, listeners: Iterable[Listener] = ()) -> None:
        self.listeners = list(listeners)
        self._held: list[str] = []
        self._file: FileIO | None = None
        self._began, self._ticks = datetime.now(UTC), _ticks()

    def open(self, path: Path) -> None:
        """Append to ``path`` from now on, beginning with the lines held back.

        An incomplete last line of a killed run is removed, as the next event would be appended to
        it.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = open_to_write(path, os.O_WRONLY | os.O_APPEND)
        self._file = FileIO(descriptor, "ab")
        cut_torn_line(path)
        self._write_held()

    def emit(self, kind: str, **fields: Any) -> Event:
        """Record an event now and return it, ``time`` and ``kind`` added.

        Raises:
            TypeError: a field is not a JSON value (a numpy integer, a path).
            ValueError: a number is NaN or infinite; pass None for an undefined value.
        """
        now = self._began + timedelta(seconds=_ticks() - self._ticks)
        event: Event = {"time": now.isoformat(timespec="milliseconds"), "kind": kind, **fields}
        line = json.dumps(event, ensure_ascii=False, allow_nan=False) + "\n"
        self._held.append(line)
        self._write_held()
        for listener in tuple(self.listeners):
            try:
                listener(event)
            except Exception:  # a display must never end the run, whatever it raises
                log.exception("a listener failed and receives no more events")
                self.listeners.remove(listener)
        return event

    def _write_held(self) -> None:
        if self._file is None:
            return
        before = os.fstat(self._file.fileno()).st_size
        data = "".join(self._held).encode()
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            os.ftruncate(self._file.fileno(), before)
            if error.errno not in DISK_FULL:
                raise
        else:
            self._held.clear()

    def close(self) -> None:
        """Close the file, if there is one; listeners are stopped by their owner."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> "EventLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _ticks() -> float:
    """Seconds of a monotonic clock that includes the time that a laptop sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)  # Linux has it
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def progress_events(events: EventLog, stage: str) -> ProgressCallback:
    """Return a function that emits ``stage_progress`` from its calls, now and then."""
    last = time.monotonic()

    def report(what: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= PROGRESS_SECONDS:
            last = time.monotonic()
            events.emit("stage_progress", stage=stage, what=what, done=done, total=total)

    return report


def read_events(path: Path) -> list[Event]:
    """Read all complete events of a file, oldest first; a last line without its newline is left
    out.

    Raises:
        OSError: there is no such file, or it cannot be read.
        DamagedFile: a line before that is not an event.
    """
    return [parse_event(line, where) for line, where in _complete_lines(path)]


def readable_events(path: Path) -> tuple[list[Event], list[str]]:
    """Read the events of a file that can be read, and describe the damaged lines.

    Raises:
        OSError: there is no such file, or it cannot be read.
        DamagedFile: it is not a file.
    """
    events, damaged = [], []
    for line, where in _complete_lines(path):
        try:
            events.append(parse_event(line, where))
        except DamagedFile as error:
            damaged.append(str(error))
    return events, damaged


def _complete_lines(path: Path) -> Iterator[tuple[bytes, str]]:
    for number, line in enumerate(read_regular(path).split(b"\n")[:-1], start=1):
        yield line, f"{path}:{number}"


def parse_event(line: bytes, where: str) -> Event:
    """Parse the event of a line; ``where`` is for the message of the DamagedFile if it is not
    one."""
    try:
        event: Event = parse_json(line)
        check_event(event)
    except DamagedFile as error:
        raise DamagedFile(
            f"{where}: expected a JSON object of an event, found {line[:60]!r}: {error}"
        ) from None
    return event
