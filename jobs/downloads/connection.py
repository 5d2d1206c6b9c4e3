"""Connections to HTTP servers, which may be slow, silent or hostile."""

import base64
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from threading import Thread
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from jobs.secrets import without_secrets

_BLOCK = 1 << 20
_RETRYABLE = {408, 425, 429, 500, 502, 503, 504}
_SLOW_SECONDS = 60.0
"""Seconds over which the speed of a transfer is averaged."""
_SLOWEST = 1_000
"""Bytes a second; an attempt that is slower is given up."""
_KEPT_IN_URLS = "%/:=&?~#+!$,;'@()*[]"
"""Characters of a URL that are sent as they are."""


class FetchError(RuntimeError):
    """A download failed; the message says why and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(without_secrets(message))


class InterruptedTransferError(Exception):
    """The transfer was interrupted; another attempt may resume it."""


class RangeNotAvailableError(InterruptedTransferError):
    """The server's file has no such bytes."""


class TooSlowError(InterruptedTransferError):
    """The server sends too little; its new bytes are no reason to try for ever."""


class Speed:
    """The speed of a transfer."""

    def __init__(self) -> None:
        self._since, self._bytes = time.monotonic(), 0

    def count(self, received: int) -> None:
        """Count the bytes of a block.

        Raises:
            TooSlowError: there were too few of them lately.
        """
        self._bytes += received
        seconds = time.monotonic() - self._since
        if seconds < _SLOW_SECONDS:
            return
        if self._bytes < _SLOWEST * seconds:
            raise TooSlowError(
                f"the server sent {self._bytes} bytes in {seconds:.0f} s, less than {_SLOWEST} a "
                "second"
            )
        self._since, self._bytes = time.monotonic(), 0


def open_url(url: str, headers: Mapping[str, str], timeout: float) -> Any:
    """Send a request; return the response.

    Raises:
        RangeNotAvailableError: the server's file is shorter than the range that was asked for.
        InterruptedTransferError: another attempt may succeed.
        FetchError: it would not.
    """
    sent = {"User-Agent": "probing-sweep", "Accept-Encoding": "identity", **headers}
    try:
        return _answer(_request(url, sent), timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and "Range" in headers:
            raise RangeNotAvailableError("the server's file is shorter than the part") from error
        if error.code in _RETRYABLE:
            raise InterruptedTransferError(f"HTTP {error.code} {error.reason}") from error
        raise FetchError(
            f"{url}: HTTP {error.code} {error.reason}; it may have moved: give its new folder "
            "with --mirror"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise InterruptedTransferError(str(error) or type(error).__name__) from error
    except ValueError as error:  # of an address, here or in a redirect
        raise FetchError(f"{url}: it, or where it leads, is not a URL: {error}") from error


def _answer(request: urllib.request.Request, timeout: float) -> Any:
    """Wait for status and headers, up to twice the time that may pass without a byte.

    A server that sends a byte now and then would keep ``urlopen`` for ever; its thread is left
    behind.

    Raises:
        InterruptedTransferError: there is no answer in time; otherwise what ``urlopen`` raises.
    """
    found: Future[Any] = Future()

    def work() -> None:
        try:
            found.set_result(urllib.request.urlopen(request, timeout=timeout))
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            found.set_exception(error)

    Thread(target=work, daemon=True).start()
    try:
        return found.result(2 * timeout)
    except FutureTimeoutError:
        if found.done():  # a time-out of the connection, whose class is the same
            raise
        raise InterruptedTransferError(f"no answer within {2 * timeout:g} s") from None


def read(url: str, most: int, timeout: float = 30.0) -> bytes:
    """Receive up to ``most`` bytes into memory, in one attempt.

    Raises:
        FetchError: the server does not answer, or too slowly, or the address is not a URL.
    """
    received, speed = bytearray(), Speed()
    try:
        with open_url(url, {}, timeout) as response:
            while len(received) < most and (block := read_block(response)):
                received += block
                speed.count(len(block))
    except InterruptedTransferError as error:
        raise FetchError(f"{url}: {error}") from error
    return bytes(received[:most])


def _request(url: str, headers: dict[str, str]) -> urllib.request.Request:
    """Make a request with user and password of the URL as a header, which urllib does not do.

    The header (RFC 7617) is not sent to the target of a redirect.
    """
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    address = quote(parts._replace(netloc=host).geturl(), safe=_KEPT_IN_URLS)
    request = urllib.request.Request(address, headers=headers)
    if at:
        encoded = base64.b64encode(unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {encoded}")
    return request


def read_block(response: Any) -> bytes:
    """Read the bytes available, without waiting for a full block; empty at the end."""
    try:
        block: bytes = response.read1(_BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise InterruptedTransferError(str(error) or type(error).__name__) from error
    return block


def whole_number(header: str | None) -> int | None:
    """Parse a number of bytes; None if it is none."""
    digits = header is not None and header.isascii() and header.isdigit() and len(header) < 19
    return int(header) if header is not None and digits else None


def content_range(header: str | None) -> tuple[int, int | None]:
    """Parse ``bytes 5-9/10`` or ``bytes 5-9/*`` to first byte and total, None if unknown."""
    try:
        span, _, total = (header or "").removeprefix("bytes ").partition("/")
        return int(span.partition("-")[0]), None if total == "*" else int(total)
    except ValueError:
        return -1, None


def validator(headers: Any) -> str | None:
    """Return the validator for If-Range: a strong ETag, else the modification date."""
    etag: str | None = headers.get("ETag")
    date: str | None = headers.get("Last-Modified")
    return etag if etag and not etag.startswith("W/") else date
