import base64
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from jobs.downloads.connection import FetchError
from jobs.downloads.http import download
from jobs.secrets import without_secrets
from sweep.errors import reason
from sweep.plan.provenance import describe_session
from sweep.running.driver_log import driver_log

SECRET = "s3cr3t-V4lue"


@pytest.mark.parametrize(
    "text",
    [
        f"https://user:{SECRET}@host:80/x",
        f"https://user:a@{SECRET}@host/x",
        f"https://user:{SECRET} or so@host/x",
        f"https://user:'{SECRET}'@host/x",
        f'https://user:a"{SECRET}@host/x',
        f"https://user:a/{SECRET}@host/x",
        f"s3://{SECRET}@bucket/x",
        f"https://host/x?X-Amz-Signature={SECRET}&part=1",
        f"https://host/x?a=1&token={SECRET}",
        f"models.0.args.token={SECRET}",
        f"AWS_SECRET_ACCESS_KEY={SECRET}",
        f"api-key: {SECRET}",
        f"{{'password': '{SECRET}', 'a': 1}}",
        f'{{"private_key": "{SECRET} and more"}}',
        f"Authorization: Bearer {SECRET}",
        f"Authorization: Basic {SECRET}",
    ],
)
def test_a_secret_is_hidden_by_its_place(text: str) -> None:
    shown = without_secrets(text)
    assert SECRET not in shown
    assert "***" in shown


@pytest.mark.parametrize(
    "text", ["hf_" + "a1B2" * 8, "ghp_" + "a1B2" * 9, "AKIA" + "A1B2" * 4, "glpat-" + "a1_2" * 5]
)
def test_a_secret_is_hidden_by_its_shape(text: str) -> None:
    assert without_secrets(f"no model {text}: found none") == "no model ***: found none"


@pytest.mark.parametrize(
    "text",
    [
        "https://host:8265/a@b?part=1",
        "--set probes.0.epochs=5 --set models.0.args.tokenizer=bpe",
        "specs/x.yaml --only a/*/ridge --address 10.0.0.1:6379",
        "layer3.0.relu1: expected a token, found key=3 monkey=4 signatures=2",
        "a@b.c wrote: this",
        "https://host:8265 does not answer: ask a@b.c",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert without_secrets(text) == text


def test_the_rest_of_an_address_stays() -> None:
    text = f"https://me:{SECRET}@host:80/x?sig={SECRET}&part=1: HTTP 403"
    assert without_secrets(text) == "https://***@host:80/x?sig=***&part=1: HTTP 403"


def test_provenance_has_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", SECRET)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    arguments = ["run", "x.yaml", "--set", f"a.token={SECRET}", "--cache", f"s3://u:{SECRET}@b/c"]
    session = describe_session(arguments, "inline")
    assert session["arguments"] == [*arguments[:3], "a.token=***", "--cache", "s3://***@b/c"]
    assert SECRET not in json.dumps(session)


def test_the_log_and_the_reason_of_a_failure_have_no_secrets(tmp_path: Path) -> None:
    try:
        raise OSError(f"GET https://me:{SECRET}@host/x failed")
    except OSError as error:
        assert reason(error) == "OSError: GET https://***@host/x failed"
        with driver_log(tmp_path / "driver.log"):
            logging.getLogger("a").error("token=%s", SECRET, exc_info=error)
    log = (tmp_path / "driver.log").read_text()
    assert SECRET not in log
    assert "Traceback" in log


def test_an_address_that_cannot_be_fetched_is_told_without_its_password(tmp_path: Path) -> None:
    # Port 9 (discard) of this machine: nothing listens there.
    with pytest.raises(FetchError) as error:
        download(f"http://me:{SECRET}@127.0.0.1:9/x", tmp_path / "x", attempts=1)
    assert SECRET not in str(error.value)
    assert "http://***@127.0.0.1:9/x" in str(error.value)


def test_user_and_password_of_an_address_go_to_its_server_alone(tmp_path: Path) -> None:
    seen: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers["Authorization"]))
            if self.path == "/x":
                self.send_response(302)
                self.send_header("Location", "/elsewhere")
                self.end_headers()
            else:
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            download(f"http://me:a%40b@127.0.0.1:{server.server_port}/x", tmp_path / "x")
        finally:
            server.shutdown()
            thread.join()
    assert (tmp_path / "x").read_bytes() == b"ok"
    basic = f"Basic {base64.b64encode(b'me:a@b').decode()}"
    assert seen == [("/x", basic), ("/elsewhere", None)]
