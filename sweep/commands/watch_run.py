"""``sweep watch``: the live view of a run that was started elsewhere, drawn from its events."""

import os
import time
from pathlib import Path
from typing import Literal

from jobs.storage.json_files import parse_json
from jobs.storage.location import RemotePath
from jobs.storage.object_store import read_uncached, stat
from jobs.storage.regular_files import DamagedFile, open_regular, read_regular
from sweep.state.control import DriverLease, Say, resume_command
from sweep.state.events import Event, Listener, parse_event
from sweep.state.run_folder import RunFolder

POLL_SECONDS, REMOTE_POLL_SECONDS = 0.3, 5.0
HEAD_BYTES = 200
"""Length of the beginning that identifies a file of events, as its first event has a time."""
GRACE_SECONDS = 5.0
"""Seconds that a driver's last lines may take to arrive after it released the run."""
SUBMIT_SECONDS = 120.0
"""Seconds that a submitted run may take to begin if an earlier run has ended."""

Ending = Literal["done", "failed", "interrupted", "died"]


def watch_run(folder: RunFolder, show: Listener, say: Say) -> Ending:
    """Show a run's events, past ones first, until no driver is left; wait for it to begin.

    A run on an object store is shown from there, as far as its driver has uploaded it, unless it is
    driven from this machine.

    Args:
        folder: the run's folder; it need not exist yet.
        show: called with every event.
        say: called with messages that are not events.

    Raises:
        ValueError: a line is not an event.
        StorageError: the store cannot be read.
    """
    lease = DriverLease(folder)
    place = folder.for_jobs(folder.events) if lease.is_remote else folder.events
    tail = EventTail(place) if isinstance(place, Path) else RemoteTail(place)
    last: Event | None = None
    alone_since: float | None = None
    warned = seen_driven = False
    began = time.monotonic()
    while True:
        # Checked before the events are read, so that a driver's last events are not missed.
        driven = lease.holder() is not None
        for event in tail.read():
            show(event)
            last, alone_since = event, None
        if driven:
            alone_since, seen_driven = None, True
        elif last is None:
            if not warned:
                say(f"waiting for {folder.for_jobs(folder.root)} to begin")
                warned = True
        elif last["kind"] == "run_finished":
            submitted = None if seen_driven else _submitted(folder, tail)
            if submitted is None or time.monotonic() - began > SUBMIT_SECONDS:
                return _ended(last, folder, say, before=not seen_driven)
            if not warned:
                say(f"this is the run that ended at {last['time']}; waiting for {submitted}")
                warned = True
        else:
            alone_since = alone_since or time.monotonic()
            if time.monotonic() - alone_since > GRACE_SECONDS:
                return _died(folder, lease, say)
        time.sleep(REMOTE_POLL_SECONDS if lease.is_remote else POLL_SECONDS)


def _submitted(folder: RunFolder, tail: "EventTail | RemoteTail") -> str | None:
    """Return the job that was submitted since the events were written; None if there is none."""
    place = folder.for_jobs(folder.submission)
    try:
        data = read_regular(place) if isinstance(place, Path) else read_uncached(place)
        note = parse_json(data, {"told": int, "id": str, "since": str})
    except (FileNotFoundError, DamagedFile):
        return None
    return None if tail.position > note["told"] else f"{note['id']}, submitted {note['since']}"


class EventTail:
    """Reader of new events from a file that another process appends to, and may replace."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._lines = 0
        self._file_number: int | None = None

    @property
    def position(self) -> int:
        """Number of bytes read so far."""
        return self._offset

    def read(self) -> list[Event]:
        """Read the complete new lines; none if there is no file.

        The file is opened each time, so that NFS fetches new data from its server.

        Raises:
            ValueError: a whole line is not an event.
        """
        try:
            with open_regular(self._path) as file:
                self._find_place(file.fileno())
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        events = _events_of(data, str(self._path), self._lines)
        self._offset += data.rfind(b"\n") + 1
        self._lines += len(events)
        return events

    def _find_place(self, descriptor: int) -> None:
        """Start again in a replaced or truncated file."""
        status = os.fstat(descriptor)
        if status.st_ino != self._file_number or status.st_size < self._offset:
            self._offset = self._lines = 0
            self._file_number = status.st_ino


class RemoteTail:
    """Reader of new events from an object that a driver uploads repeatedly, longer each time."""

    def __init__(self, place: RemotePath) -> None:
        self._place = place
        self._version = ""
        self._head = b""
        self._offset = 0
        self._lines = 0

    @property
    def position(self) -> int:
        """Number of bytes read so far."""
        return self._offset

    def read(self) -> list[Event]:
        """Read the complete new lines; none if there is no object.

        Raises:
            ValueError: a whole line is not an event.
            StorageError: the store cannot be read.
        """
        try:
            state = stat(self._place)
            if state.version == self._version:
                return []
            head = (
                read_uncached(self._place, 0, min(HEAD_BYTES, state.n_bytes))
                if state.n_bytes
                else b""
            )
            if not head.startswith(self._head):  # another file: --fresh
                self._offset = self._lines = 0
            data = b""
            if state.n_bytes > self._offset:
                data = read_uncached(self._place, self._offset, state.n_bytes)
        except FileNotFoundError:
            return []
        events = _events_of(data, str(self._place), self._lines)
        self._version, self._head = state.version, head
        self._offset += data.rfind(b"\n") + 1
        self._lines += len(events)
        return events


def _events_of(data: bytes, name: str, before: int) -> list[Event]:
    """Parse the events of the complete lines of ``data``, which follow ``before`` others of the
    file."""
    lines = data.split(b"\n")[:-1]
    return [parse_event(line, f"{name}:{n}") for n, line in enumerate(lines, start=before + 1)]


def _ended(event: Event, folder: RunFolder, say: Say, *, before: bool) -> Ending:
    """Args: before: it had ended before it was watched."""
    status: Ending = event["status"]
    if before:
        say(f"this is the run that ended at {event['time']}; nobody drives it now")
    if status == "interrupted":
        say(resume_command(folder))
    return status


def _died(folder: RunFolder, lease: DriverLease, say: Say) -> Ending:
    holder = lease.last_holder()
    who = f"its driver, {holder}, died" if holder else "its driver ended"
    say(f"{folder.for_jobs(folder.root)} is not finished, and {who}; {resume_command(folder)}")
    return "died"
