"""Downloads that arrive whole and verified, or not at all.

What has come lies in ``NAME.part``; a later call goes on there (HTTP Range, RFC 9110, section 14).
The name itself appears last, when size and checksum are right.
"""

import base64
import hashlib
import http.client
import json
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from jobs.secrets import without_secrets
from jobs.storage.atomic import write_text

Progress = Callable[[int, int | None], None]
"""Told the bytes that are there, and the bytes of the whole where that is known."""

_BLOCK = 1 << 20
_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}
_LONGEST_WAIT = 30.0


class FetchError(RuntimeError):
    """Something could not be fetched; the message says why and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(without_secrets(message))


class _Interrupted(Exception):  # noqa: N818 - a state of the line, tried again
    """The transfer broke off; another attempt may go on."""


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
    """Bring ``url`` to ``path``, going on where an earlier call stopped.

    Args:
        url: http or https.
        path: where it arrives; its folder is made. What is there already is verified alone.
        size: bytes that it must have, if known.
        md5: hex digest that it must have, if known.
        progress: called after every block.
        attempts: how many in a row may bring nothing new.
        timeout: seconds without a byte after which an attempt is given up.
        wait: seconds before the second attempt; doubled before every further one, 30 at most.

    Raises:
        FetchError: not there, not reachable, or not what it should be. Wrong bytes are deleted,
            those of an unfinished download are kept.
    """
    if path.exists():
        # Stopped between its arrival and what was to be done with it.
        _verify(path, size, md5, url)
        return
    if not url.startswith(("http://", "https://")):
        raise FetchError(f"cannot fetch {url}: expected an address with http:// or https://")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(path, size)
    _receive_all(url, part, md5 is not None, progress, attempts, timeout, wait)
    _verify(part.path, size, md5, url)
    part.arrive()


class _Part:
    """What has come so far of ``path``."""

    def __init__(self, path: Path, expected: int | None) -> None:
        self._final, self._expected = path, expected
        self.path = path.with_name(f"{path.name}.part")
        self._notes = path.with_name(f"{path.name}.part.json")
        self.size = self.path.stat().st_size if self.path.exists() else 0
        notes = json.loads(self._notes.read_text()) if self._notes.exists() else {}
        self.total: int | None = notes.get("total")
        self.validator: str | None = notes.get("validator")

    @property
    def whole(self) -> bool:
        """As long as the server said."""
        return self.size > 0 and self.size == self.total

    def begin(self, total: int | None, validator: str | None) -> None:
        """Forget what has come; note what the server says of the whole."""
        self.path.write_bytes(b"")
        self.size, self.total, self.validator = 0, total, validator
        write_text(self._notes, json.dumps({"total": total, "validator": validator}))

    def check(self, url: str, total: int | None) -> None:
        """Refuse, before it is loaded, what has the wrong size or has no room."""
        if total is not None and self._expected not in (None, total):
            raise FetchError(
                f"{url} is not what it should be: expected {self._expected} bytes, the server "
                f"offers {total}; try another mirror"
            )
        free = shutil.disk_usage(self.path.parent).free
        if total is not None and total - self.size > free:
            raise FetchError(
                f"no room in {self.path.parent}: {url} needs {total - self.size} more bytes, "
                f"{free} are free"
            )

    def arrive(self) -> None:
        """Move the whole file to its name."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        self.path.replace(self._final)
        self._notes.unlink(missing_ok=True)

    def discard(self) -> None:
        """Delete what has come."""
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
    """Attempt after attempt, until the part is whole."""
    if part.size and part.validator is None and not has_checksum:
        part.discard()  # nothing could tell a file that has changed in between
    furthest, failures = part.size, 0
    while not part.whole:
        try:
            _receive(url, part, progress, timeout)
            break
        except _Interrupted as error:
            failures = 1 if part.size > furthest else failures + 1
            furthest = max(furthest, part.size)
            if failures >= attempts:
                kept = f"; {part.size} bytes are kept in {part.path}, the same command goes on"
                raise FetchError(
                    f"gave up on {url} after {attempts} attempts that brought nothing new: "
                    f"{error}{kept if part.size else ''}"
                ) from error
        time.sleep(min(wait * 2 ** (failures - 1), _LONGEST_WAIT))


def _receive(url: str, part: _Part, progress: Progress, timeout: float) -> None:
    """One attempt.

    Raises:
        _Interrupted: it broke off before the end.
    """
    with _open(url, part, timeout) as response:
        if response.status == 206:
            start, total = _content_range(response.headers.get("Content-Range"))
            if start != part.size or part.total not in (None, total):
                part.discard()
                raise _Interrupted("the server sent another range than was asked for")
        else:
            length = response.headers.get("Content-Length")
            total = int(length) if length is not None and length.isdigit() else None
            part.begin(total, _validator(response.headers))
        part.check(url, total)
        progress(part.size, total)
        with part.path.open("ab") as file:
            while block := _read(response):
                file.write(block)
                part.size += len(block)
                progress(part.size, total)
    if total is not None and part.size != total:
        raise _Interrupted(f"the connection ended after {part.size} of {total} bytes")


def _open(url: str, part: _Part, timeout: float) -> Any:
    """The server's answer, from where the part ends."""
    headers = {"User-Agent": "probing-sweep", "Accept-Encoding": "identity"}
    if part.size:
        headers["Range"] = f"bytes={part.size}-"
        if part.validator:
            headers["If-Range"] = part.validator
    request = _request(url, headers)
    try:
        return urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:
            part.discard()
            raise _Interrupted("the server has less than was loaded before") from error
        if error.code in _TRY_AGAIN:
            raise _Interrupted(f"HTTP {error.code} {error.reason}") from error
        raise FetchError(
            f"{url}: HTTP {error.code} {error.reason}; it may have moved: give its new folder "
            "with --mirror"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(str(error) or type(error).__name__) from error


def _request(url: str, headers: dict[str, str]) -> urllib.request.Request:
    """User and password of the address as a header, which urllib does not make of them; it is not
    passed on to where a server redirects to (RFC 7617)."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(parts._replace(netloc=host).geturl(), headers=headers)
    if at:
        encoded = base64.b64encode(unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {encoded}")
    return request


def _read(response: Any) -> bytes:
    """What has come, as soon as it has come; nothing at the end."""
    try:
        block: bytes = response.read1(_BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(str(error) or type(error).__name__) from error
    return block


def _content_range(header: str | None) -> tuple[int, int | None]:
    """First byte and length of the whole, of ``bytes 5-9/10`` or ``bytes 5-9/*``."""
    try:
        span, _, total = (header or "").removeprefix("bytes ").partition("/")
        return int(span.partition("-")[0]), None if total == "*" else int(total)
    except ValueError:
        return -1, None


def _validator(headers: Any) -> str | None:
    """What tells a changed file, for If-Range: a strong ETag, else the date."""
    etag: str | None = headers.get("ETag")
    date: str | None = headers.get("Last-Modified")
    return etag if etag and not etag.startswith("W/") else date


def _verify(path: Path, size: int | None, md5: str | None, url: str) -> None:
    """Delete ``path`` and say so unless it is what it should be."""
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
            f"what came from {url} is not what it should be: {problem}; it was deleted: "
            "fetch it again, or from another mirror"
        )
