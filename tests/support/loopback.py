"""A real HTTP server on loopback that misbehaves on demand."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """Serves ``files`` from memory, and goes wrong as ``behaviour`` says, request by request."""

    def __init__(self):
        self.files = {}
        self.ranges = []
        """The Range header of every request."""
        self.behaviour = []
        """Names of faults for the next requests; none left: all is well."""
        self.etag = '"one"'
        self.sent = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.answer(self)

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def answer(self, handler):
        fault = self.behaviour.pop(0) if self.behaviour else ""
        wanted = handler.headers.get("Range")
        self.ranges.append(wanted)
        body = self.files.get(handler.path.partition("?")[0])
        if body is None or fault.isdigit():
            handler.send_error(int(fault) if fault else 404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        fresh = handler.headers.get("If-Range") not in (None, self.etag)
        if "no ranges" in fault or fresh:
            start = 0
        if start >= len(body):
            handler.send_error(416)
            return
        rest = body[start:]
        handler.send_response(206 if start else 200)
        if start:
            shown = start + 7 if fault == "wrong range" else start
            handler.send_header("Content-Range", f"bytes {shown}-{len(body) - 1}/{len(body)}")
        length = {"says more": len(rest) + 1000, "says less": len(rest) - 1000}.get(
            fault, len(rest)
        )
        handler.send_header("Content-Length", str(length))
        if self.etag:
            handler.send_header("ETag", self.etag)
        handler.send_header("Connection", "close")
        handler.end_headers()
        if fault == "wrong bytes":
            rest = bytes(len(rest))
        sent = rest[: len(rest) // 2] if "cut" in fault or fault == "hang" else rest[:length]
        handler.wfile.write(sent)
        handler.wfile.flush()
        self.sent += len(sent)
        if fault == "hang":
            time.sleep(1.0)
        handler.close_connection = True
