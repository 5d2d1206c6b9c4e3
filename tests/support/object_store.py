"""An S3 of our own on loopback (moto), that can be told to fail for a while."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
import fsspec
import pytest
from moto.backends import get_backend
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

BUCKET = "probing"
SECRET = "a-key-that-nobody-should-ever-see"
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass
class ObjectStore:
    """What a test needs of it."""

    endpoint: str
    failing: int = 0
    """So many requests from here on get an error of the server."""
    refuse: Callable[[str, str], bool] = lambda method, path: False
    """Requests that get one, always."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    """(method, path), those that failed among them."""

    @property
    def url(self) -> str:
        """Of the bucket."""
        return f"s3://{BUCKET}"

    def objects(self) -> dict[str, bytes]:
        """Everything in the bucket, by key."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
        return {key: self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}

    def put(self, key: str, data: bytes) -> None:
        """Write an object behind everyone's back."""
        self.client.put_object(Bucket=BUCKET, Key=key, Body=data)

    def delete(self, key: str) -> None:
        """Take an object away."""
        self.client.delete_object(Bucket=BUCKET, Key=key)

    @property
    def client(self) -> Any:
        """Amazon's own, as an oracle."""
        return boto3.client("s3", endpoint_url=self.endpoint)

    def wrap(self, app: Wsgi) -> Wsgi:
        """``app``, with failures."""

        def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            request = environ["REQUEST_METHOD"], environ["PATH_INFO"]
            self.requests.append(request)
            refused = self.refuse(*request)
            if self.failing > 0 or refused:
                self.failing -= not refused
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                start("503 Service Unavailable", [("Content-Type", "application/xml")])
                return [b"<Error><Code>ServiceUnavailable</Code><Message>later</Message></Error>"]
            return app(environ, start)

        return answer


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """A server with an empty bucket; ended with the block. The environment must name it."""
    store = ObjectStore("")
    app = store.wrap(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    store.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        get_backend("s3")["123456789012"]["aws"].reset()
        server.shutdown()
        thread.join()
        server.server_close()


def environment(store: ObjectStore) -> dict[str, str]:
    """What a process needs to find it."""
    return {
        "AWS_ENDPOINT_URL": store.endpoint,
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "3",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@contextmanager
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """A server that this process' environment names, with a bucket."""
    client = fsspec.get_filesystem_class("s3")
    with object_store() as store:
        for name, value in environment(store).items():
            monkeypatch.setenv(name, value)
        client.clear_instance_cache()  # they know the server before
        store.client.create_bucket(Bucket=BUCKET)
        yield store
    client.clear_instance_cache()
