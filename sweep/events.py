"""What happened in a run: ``events.jsonl``, a JSON object a line; all displays are drawn from it.

An event has ``time`` (ISO 8601, UTC) and ``kind``, and the fields of its kind:

============== ====================================================================================
stage_started  stage: prepare | extract | probe | report; a run begins with prepare
stage_finished stage, seconds
planned        run, models: [name], totals: {stage: n}, done: {stage: n} by earlier runs
shard_done     model, shard, utterances, skipped, seconds
cells_done     model, layer, layer_index, cells (that came back), failed (of these), seconds,
               best: {probe, target, r2} or null
warning        message
failure        stage, model or null, where, error; for stage probe beside a cells_done
retry          where, attempt, error
run_finished   status: done | failed | interrupted, done, failed, seconds
============== ====================================================================================

Totals of stage ``extract`` count shards, those of ``probe`` count cells. Several runs into one
folder append to one file, each beginning with its ``prepare``.
"""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from jobs.files import cut_torn_line

Event = dict[str, Any]
Listener = Callable[[Event], None]


class EventLog:
    """The one writer of a run's events: a line in the file, then a call to every listener.

    A run begins before its folder is known: until ``open`` its lines are held back. From then on
    every line is on its way to the disk when ``emit`` returns, so that another process can follow
    the file. To be used from one thread.
    """

    def __init__(self, listeners: Iterable[Listener] = ()) -> None:
        self.listeners = list(listeners)
        self._held: list[str] = []
        self._file: TextIO | None = None

    def open(self, path: Path) -> None:
        """Append to ``path`` from now on, what was held back first.

        A line that a killed run tore is cut off, or the next event would be glued to it.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        cut_torn_line(path)
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._file.writelines(self._held)
        self._held.clear()

    def emit(self, kind: str, **fields: Any) -> Event:
        """Record an event now and return it, ``time`` and ``kind`` added.

        Raises:
            TypeError: a field is not a JSON value (a numpy integer, a path).
            ValueError: a number is NaN or infinite; give None for what is undefined.
        """
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        event: Event = {"time": time, "kind": kind, **fields}
        line = json.dumps(event, ensure_ascii=False, allow_nan=False) + "\n"
        if self._file is None:
            self._held.append(line)
        else:
            self._file.write(line)
        for listener in self.listeners:
            listener(event)
        return event

    def close(self) -> None:
        """Close the file, if there is one; listeners are their owner's to stop."""
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


def read_events(path: Path) -> list[Event]:
    """All whole events of a file, oldest first; a last line without its newline is left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line before that is not an event.
    """
    lines = path.read_bytes().split(b"\n")[:-1]
    return [_parse(line, f"{path}:{number}") for number, line in enumerate(lines, start=1)]


def _parse(line: bytes, where: str) -> Event:
    try:
        event = json.loads(line)
    except ValueError as error:
        raise ValueError(
            f"{where}: expected a JSON object, found {line[:60]!r}: {error}"
        ) from error
    if not isinstance(event, dict) or not {"time", "kind"} <= event.keys():
        raise ValueError(f"{where}: expected an object with time and kind, found {line[:60]!r}")
    return event
