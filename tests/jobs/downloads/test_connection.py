"""Servers that are slow, silent or hostile, on loopback."""

import gc
import threading
import time
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from jobs.downloads import connection
from jobs.downloads.connection import FetchError, read
from jobs.downloads.http import download

STOPPED = threading.Event()
"""Ends what trickles."""


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        match self.path:
            case "/trickle":
                self.send_response(200)
                self.end_headers()
                self._trickle(b"x")
            case "/slow-headers":
                self._trickle(b"H")
            case "/length":
                head = "HTTP/1.0 200 OK\r\nContent-Length: ²\r\n\r\nx"
                self.wfile.write(head.encode("latin-1"))
            case "/na%C3%AFve%20name":
                self.send_response(200)
                self.send_header("Content-Length", "4")
                self.end_headers()
                self.wfile.write(b"good")
            case "/away":
                self.send_response(302)
                self.send_header("Location", "http://[::1/x")
                self.end_headers()

    def _trickle(self, byte: bytes) -> None:
        try:
            while not STOPPED.wait(0.01):
                self.wfile.write(byte)
                self.wfile.flush()
        except OSError:
            pass  # the client has hung up


@pytest.fixture
def url() -> Iterator[str]:
    STOPPED.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    STOPPED.set()
    server.shutdown()
    server.server_close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of connections that were given up
        time.sleep(0.3)
        gc.collect()


def test_a_server_that_trickles_is_given_up(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_SLOW_SECONDS", 0.1)
    with pytest.raises(FetchError, match="less than 1000 a second"):
        download(f"{url}/trickle", tmp_path / "x", attempts=2, wait=0.0, md5="0" * 32)
    with pytest.raises(FetchError, match="less than 1000 a second"):
        read(f"{url}/trickle", 1000)


def test_a_server_that_never_ends_its_headers_is_given_up(url: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="no answer within"):
        download(f"{url}/slow-headers", tmp_path / "x", attempts=1, timeout=0.1)


def test_an_odd_length_is_no_length(url: str) -> None:
    assert read(f"{url}/length", 10) == b"x"


def test_an_address_may_have_blanks_and_letters_of_any_script(url: str, tmp_path: Path) -> None:
    download(f"{url}/naïve name", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"good"


@pytest.mark.parametrize("address", ["http://[::1/x", "http://.example.com/x"])
def test_what_is_not_a_url_is_said_to_be_none(address: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="is not a URL"):
        download(address, tmp_path / "x", attempts=1)


def test_a_redirect_to_what_is_not_a_url_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="is not a URL"):
        download(f"{url}/away", tmp_path / "x", attempts=1)
