"""Serve the report of a run on the loopback interface, and nothing else of it."""

import webbrowser
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from jobs.storage.regular_files import read_regular
from sweep import open_run
from sweep.errors import RunError, UsageError, describe_os_error

LOOPBACK = "127.0.0.1"
SECONDS = 10.0
"""Seconds that a browser may take to send a request."""


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD of ``/`` and ``/report.html`` with the page as it is now."""

    timeout = SECONDS

    def __init__(self, page: Path, *arguments: object) -> None:
        self._page = page
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Send the page."""
        self._answer(send_body=True)

    def do_HEAD(self) -> None:
        """Send the headers of the page."""
        self._answer(send_body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing for each request."""

    def _answer(self, *, send_body: bool) -> None:
        if urlsplit(self.path).path not in ("/", f"/{self._page.name}"):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            body = read_regular(self._page)
        except OSError as error:
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, describe_os_error(error))
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if send_body:
            self.wfile.write(body)


def serve_report(run: str, port: int, *, open_browser: bool) -> None:
    """Serve the report of a run until Ctrl-C.

    Args:
        run: folder or URL; of a URL, the files are copied to this machine first.
        port: port to listen on; 0: any that is free.
        open_browser: whether to open the page in a browser.

    Raises:
        RunError: the run has no report.
        UsageError: the port cannot be used.
    """
    page = open_run(run).folder.report
    if not page.exists():
        raise RunError(f"{run} has no report yet: `sweep report {run}` builds it")
    try:
        server = ThreadingHTTPServer((LOOPBACK, port), partial(_Handler, page))
    except OSError as error:
        raise UsageError(f"cannot listen on port {port}: {error.strerror}; try --port 0") from None
    address = f"http://{LOOPBACK}:{server.server_port}/"
    print(f"{page} is at {address} until Ctrl-C", flush=True)
    print(
        f"from another machine: ssh -L {server.server_port}:{LOOPBACK}:{server.server_port} "
        "THIS-MACHINE, and the same address there",
        flush=True,
    )
    if open_browser:
        webbrowser.open(address)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass  # the usual way to end it
    finally:
        server.server_close()
