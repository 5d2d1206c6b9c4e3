"""``sweep watch``: the live view of a run that was started elsewhere, drawn from its events."""

import os
import time
from pathlib import Path
from typing import Literal

from sweep.control import Say, how_to_go_on
from sweep.events import Event, Listener, parse_event
from sweep.lock import LeaseWatch, read_holder
from sweep.run_folder import RunFolder

POLL_SECONDS = 0.3
GRACE_SECONDS = 5.0
"""How long a driver's last lines may take to arrive after it let go of the run."""

Ending = Literal["done", "failed", "interrupted", "died"]


def watch_run(folder: RunFolder, show: Listener, say: Say) -> Ending:
    """Show a run's events, those of the past first, until nobody drives it; wait for it to begin.

    Args:
        folder: of the run; it need not exist yet.
        show: given every event.
        say: told what is no event.
    """
    tail, lease = EventTail(folder.events), LeaseWatch(folder.lock)
    last: Event | None = None
    alone_since: float | None = None
    told_waiting = False
    while True:
        # Looked at before the events: what a driver wrote before it ended is read after.
        driven = lease.holder() is not None
        for event in tail.read():
            show(event)
            last, alone_since = event, None
        if driven:
            alone_since = None
        elif last is None:
            if not told_waiting:
                say(f"waiting for {folder.root} to begin")
                told_waiting = True
        elif last["kind"] == "run_finished":
            return _ended(last, folder, say)
        else:
            alone_since = alone_since or time.monotonic()
            if time.monotonic() - alone_since > GRACE_SECONDS:
                return _died(folder, say)
        time.sleep(POLL_SECONDS)


class EventTail:
    """New events of a file that another process appends to, and may replace."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._lines = 0
        self._file_number: int | None = None

    def read(self) -> list[Event]:
        """The whole lines since the last call; none while there is no file.

        The file is opened each time: NFS then asks its server for what is new.

        Raises:
            ValueError: a whole line is not an event.
        """
        try:
            with self._path.open("rb") as file:
                self._find_place(file.fileno())
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        events = []
        for line in whole.splitlines():
            self._lines += 1
            events.append(parse_event(line, f"{self._path}:{self._lines}"))
        return events

    def _find_place(self, descriptor: int) -> None:
        """Begin anew in another file, or in one that was cut."""
        status = os.fstat(descriptor)
        if status.st_ino != self._file_number or status.st_size < self._offset:
            self._offset = self._lines = 0
            self._file_number = status.st_ino


def _ended(event: Event, folder: RunFolder, say: Say) -> Ending:
    status: Ending = event["status"]
    if status == "interrupted":
        say(how_to_go_on(folder))
    return status


def _died(folder: RunFolder, say: Say) -> Ending:
    holder = read_holder(folder.lock)
    who = f"its driver, {holder}, died" if holder else "its driver ended"
    say(f"{folder.root} is not finished, and {who}; {how_to_go_on(folder)}")
    return "died"
