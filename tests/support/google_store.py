"""A Google Cloud Storage on loopback: an emulator, with the one condition that it does not know."""

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import HTTPServer

import fsspec
import pytest
from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.server import RequestHandler
from gcp_storage_emulator.storage import Storage

BUCKET = "probing"


class Handler(RequestHandler):
    """Honours ``ifGenerationMatch=0``, which is how an object is created that must not be there.

    https://cloud.google.com/storage/docs/json_api/v1/objects/insert: "Setting to 0 makes the
    operation succeed only if there are no live versions of the object"; else the answer is 412.
    """

    def do_POST(self) -> None:  # noqa: N802 - http.server's name
        if "ifGenerationMatch=0" in self.path:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.rfile = io.BytesIO(body)
            name = json.loads(body.split(b"\n\n")[1].partition(b"\n--")[0])["name"]
            if name in objects(self.storage):
                self.send_error(412, "Precondition Failed")
                return
        super().do_POST()


def objects(storage: Storage) -> dict[str, bytes]:
    """Everything in the bucket, by name."""
    try:
        found, _ = storage.get_file_list(BUCKET)
    except NotFound:
        return {}
    return {one["name"]: storage.get_file(BUCKET, one["name"]) for one in found}


@contextmanager
def google_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """A server that this process' environment names, with an empty bucket."""
    storage = Storage(use_memory_fs=True)
    storage.create_bucket(BUCKET, {"name": BUCKET, "kind": "storage#bucket", "id": BUCKET})
    server = HTTPServer(("127.0.0.1", 0), partial(Handler, storage))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
    # There is no account here: do not look for one at Google's.
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    client = fsspec.get_filesystem_class("gs")
    client.clear_instance_cache()  # they know the server before
    try:
        yield storage
    finally:
        client.clear_instance_cache()
        server.shutdown()
        thread.join()
        server.server_close()
