"""Atomic, verified and resumable downloads.

Received bytes are kept in ``NAME.part``, from which a later call resumes (HTTP Range, RFC 9110,
section 14). ``NAME`` itself appears only after size and checksum have been verified.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jobs.downloads.connection import (
    FetchError,
    InterruptedTransferError,
    RangeNotAvailableError,
    Speed,
    TooSlowError,
    content_range,
    open_url,
    read_block,
    validator,
    whole_number,
)
from jobs.storage.atomic import write_text

Progress = Callable[[int, int | None], None]
"""Called with the bytes received so far, and the total bytes if known."""

_MAX_WAIT = 30.0


def download(
    url: str,
    path: Path,
    *,
    size: int | None = None,
    md5: str | None = None,
    progress: Progress = lambda done, total: None,
    attempts: int = 5,
    timeout: float = 30.0,
    wait: float = 1.0,
) -> None:
    """Download ``url`` to ``path``, resuming an earlier call that was interrupted.

    Args:
        url: http or https address.
        path: target file, whose folder is created. An existing file is only verified.
        size: expected size in bytes, if known.
        md5: expected hex digest, if known.
        progress: called after every block.
        attempts: maximum number of consecutive attempts without new bytes.
        timeout: seconds without a byte after which an attempt is given up.
        wait: seconds before the second attempt; doubled before each further one, at most 30.

    Raises:
        FetchError: the file is missing, not reachable, or fails verification. Wrong bytes are
            deleted, those of an unfinished download are kept.
    """
    if path.exists():
        # An earlier run was interrupted after the download, before the file was used.
        _verify(path, size, md5, url)
        return
    if not url.startswith(("http://", "https://")):
        raise FetchError(f"cannot fetch {url}: expected an address with http:// or https://")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(path, size)
    _receive_all(url, part, md5 is not None, progress, attempts, timeout, wait)
    _verify(part.path, size, md5, url)
    part.finish()


class _Part:
    """The received part of ``path``, with the server's metadata."""

    def __init__(self, path: Path, expected: int | None) -> None:
        self._final, self._expected = path, expected
        self.path = path.with_name(f"{path.name}.part")
        self._notes = path.with_name(f"{path.name}.part.json")
        self.size = self.path.stat().st_size if self.path.exists() else 0
        notes = json.loads(self._notes.read_text()) if self._notes.exists() else {}
        self.total: int | None = notes.get("total")
        self.validator: str | None = notes.get("validator")

    @property
    def complete(self) -> bool:
        """Return whether all bytes announced by the server have been received."""
        return self.size > 0 and self.size == self.total

    def begin(self, total: int | None, validator: str | None) -> None:
        """Start from zero, recording the total size and validator that the server announces."""
        self.path.write_bytes(b"")
        self.size, self.total, self.validator = 0, total, validator
        write_text(self._notes, json.dumps({"total": total, "validator": validator}))

    def check(self, url: str, total: int | None) -> None:
        """Check size and disk space before the transfer.

        Raises:
            FetchError: the size is wrong, or the disk has too little space.
        """
        if total is not None and self._expected not in (None, total):
            raise FetchError(
                f"{url} is not the expected file: expected {self._expected} bytes, the server "
                f"offers {total}; try another mirror"
            )
        free = shutil.disk_usage(self.path.parent).free
        if total is not None and total - self.size > free:
            raise FetchError(
                f"no room in {self.path.parent}: {url} needs {total - self.size} more bytes, "
                f"{free} are free"
            )

    def finish(self) -> None:
        """Move the complete file to its final name."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        self.path.replace(self._final)
        self._notes.unlink(missing_ok=True)

    def discard(self) -> None:
        """Delete the received part."""
        self.path.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)
        self.size, self.total, self.validator = 0, None, None


def _receive_all(
    url: str,
    part: _Part,
    has_checksum: bool,
    progress: Progress,
    attempts: int,
    timeout: float,
    wait: float,
) -> None:
    """Retry until the part is complete.

    Raises:
        FetchError: ``attempts`` consecutive attempts received nothing new.
    """
    if part.size and part.validator is None and not has_checksum:
        part.discard()  # nothing would reveal that the file has changed meanwhile
    furthest, failures = part.size, 0
    while not part.complete:
        try:
            _receive(url, part, progress, timeout)
            break
        except InterruptedTransferError as error:
            goes_on = part.size > furthest and not isinstance(error, TooSlowError)
            failures = 1 if goes_on else failures + 1
            furthest = max(furthest, part.size)
            if failures >= attempts:
                kept = f"; {part.size} bytes are kept in {part.path}, the same command resumes"
                raise FetchError(
                    f"gave up on {url} after {attempts} attempts without new data: "
                    f"{error}{kept if part.size else ''}"
                ) from error
        time.sleep(min(wait * 2 ** (failures - 1), _MAX_WAIT))


def _receive(url: str, part: _Part, progress: Progress, timeout: float) -> None:
    """Make one attempt to receive the rest of the file.

    Raises:
        InterruptedTransferError: the transfer ended early.
        FetchError: retrying would not help.
    """
    with _request_rest(url, part, timeout) as response:
        if response.status == 206:
            start, total = content_range(response.headers.get("Content-Range"))
            if start != part.size or part.total not in (None, total):
                part.discard()
                raise InterruptedTransferError("the server sent another range than requested")
        else:
            length = response.headers.get("Content-Length")
            total = whole_number(length)
            part.begin(total, validator(response.headers))
        part.check(url, total)
        progress(part.size, total)
        speed = Speed()
        with part.path.open("ab") as file:
            while block := read_block(response):
                speed.count(len(block))
                file.write(block)
                part.size += len(block)
                progress(part.size, total)
    if total is not None and part.size != total:
        raise InterruptedTransferError(f"the connection ended after {part.size} of {total} bytes")


def _request_rest(url: str, part: _Part, timeout: float) -> Any:
    """Request the file from the end of the part; return the response."""
    headers = {"Range": f"bytes={part.size}-"} if part.size else {}
    if part.size and part.validator:
        headers["If-Range"] = part.validator
    try:
        return open_url(url, headers, timeout)
    except RangeNotAvailableError:
        part.discard()
        raise


def _verify(path: Path, size: int | None, md5: str | None, url: str) -> None:
    """Check size and MD5 of ``path``, and delete it if they are wrong.

    Raises:
        FetchError: they are wrong.
    """
    found_size = path.stat().st_size
    problem = None
    if size not in (None, found_size):
        problem = f"expected {size} bytes, found {found_size}"
    elif md5 is not None:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "md5").hexdigest()
        if found != md5:
            problem = f"expected MD5 {md5}, found {found}"
    if problem:
        path.unlink()
        path.with_name(f"{path.name}.json").unlink(missing_ok=True)
        raise FetchError(
            f"the file from {url} is not the expected one: {problem}; it was deleted: "
            "fetch it again, or from another mirror"
        )
