"""One download, against a real server on loopback that misbehaves on demand."""

import hashlib
import random
import shutil

import pytest

from jobs.downloads.connection import FetchError
from jobs.downloads.http import download
from tests.support.loopback import Server

DATA = random.Random(0).randbytes(3_000_000)
MD5 = hashlib.md5(DATA).hexdigest()


@pytest.fixture
def server():
    running = Server()
    running.files["/data.bin"] = DATA
    yield running
    running.close()


@pytest.fixture
def get(server, tmp_path):
    """Fetch data.bin; further attempts follow at once."""

    def run(**options):
        options = {"wait": 0.0, "timeout": 5.0, "md5": MD5} | options
        download(f"{server.url}/data.bin", tmp_path / "in" / "data.bin", **options)
        return (tmp_path / "in" / "data.bin").read_bytes()

    return run


def left(tmp_path):
    return sorted(path.name for path in (tmp_path / "in").iterdir())


def test_a_file_arrives_whole_and_alone(server, get, tmp_path):
    told = []
    assert get(size=len(DATA), progress=lambda done, total: told.append((done, total))) == DATA
    assert told[0] == (0, len(DATA))
    assert told[-1] == (len(DATA), len(DATA))
    assert left(tmp_path) == ["data.bin"]


def test_what_is_there_is_verified_and_not_fetched_again(server, get):
    get()
    assert get() == DATA
    assert len(server.ranges) == 1


def test_a_cut_connection_goes_on_where_it_was_cut(server, get, tmp_path):
    server.behaviour = ["cut", "cut"]
    assert get() == DATA
    half, quarter = len(DATA) // 2, len(DATA) // 4
    assert server.ranges == [None, f"bytes={half}-", f"bytes={half + quarter}-"]
    assert server.sent == len(DATA)  # not one byte twice
    assert left(tmp_path) == ["data.bin"]


def test_more_cuts_than_attempts_do_no_harm_as_long_as_something_comes(server, get):
    server.behaviour = ["cut"] * 8
    assert get(attempts=2) == DATA
    assert server.sent == len(DATA)


def test_a_server_that_falls_silent_is_left_after_the_timeout(server, get):
    server.behaviour = ["hang"]
    assert get(timeout=0.2) == DATA
    assert server.ranges == [None, f"bytes={len(DATA) // 2}-"]


def test_a_later_call_goes_on_where_an_earlier_one_was_stopped(server, get, tmp_path):
    server.behaviour = ["cut", "503", "503"]
    with pytest.raises(FetchError, match=r"gave up.*2 attempts.*503.*kept in .*data\.bin\.part"):
        get(attempts=2)
    assert left(tmp_path) == ["data.bin.part", "data.bin.part.json"]
    assert get() == DATA
    assert server.ranges[-1] == f"bytes={len(DATA) // 2}-"
    assert server.sent == len(DATA)


def test_a_file_that_changed_in_between_is_fetched_anew(server, get):
    server.behaviour = ["cut", "503"]
    with pytest.raises(FetchError):
        get(attempts=1)
    server.files["/data.bin"] = changed = DATA[::-1]
    server.etag = '"two"'
    assert get(md5=hashlib.md5(changed).hexdigest()) == changed


def test_a_server_without_ranges_is_read_from_the_start(server, get):
    server.behaviour = ["cut", "no ranges"]
    assert get() == DATA
    assert server.sent == len(DATA) * 3 // 2


def test_a_server_that_cuts_always_and_knows_no_ranges_is_given_up(server, get):
    server.behaviour = ["cut, no ranges"] * 20
    with pytest.raises(FetchError, match="3 attempts without new data"):
        get(attempts=3)
    assert len(server.ranges) == 3


def test_another_range_than_asked_for_is_not_taken(server, get):
    server.behaviour = ["cut", "wrong range"]
    assert get() == DATA
    assert server.ranges[-1] is None


def test_without_validator_and_checksum_nothing_is_continued_by_a_later_call(server, get):
    server.etag = None
    server.behaviour = ["cut", "503"]
    with pytest.raises(FetchError):
        get(attempts=1, md5=None)
    assert get(md5=None) == DATA
    assert server.ranges[-1] is None


def test_a_part_longer_than_the_file_is_thrown_away(server, get, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "data.bin.part").write_bytes(bytes(len(DATA) + 5))
    assert get() == DATA
    assert server.ranges == [f"bytes={len(DATA) + 5}-", None]


def test_a_length_that_is_too_long_is_a_cut_that_never_heals(server, get, tmp_path):
    server.behaviour = ["says more"] * 20
    with pytest.raises(FetchError, match="gave up"):
        get(attempts=3)
    assert "data.bin" not in left(tmp_path)
    assert len(server.ranges) < 10


def test_a_length_that_is_too_short_gives_wrong_bytes(server, get, tmp_path):
    server.behaviour = ["says less"]
    with pytest.raises(FetchError, match=f"expected MD5 {MD5}, found .*it was deleted"):
        get()
    assert left(tmp_path) == []


def test_a_wrong_size_is_refused_before_anything_is_loaded(server, get, tmp_path):
    with pytest.raises(FetchError, match=f"expected 1234 bytes, the server offers {len(DATA)}"):
        get(size=1234)
    assert "data.bin" not in left(tmp_path)


def test_wrong_bytes_are_refused_and_deleted(server, get, tmp_path):
    server.behaviour = ["wrong bytes"]
    with pytest.raises(FetchError, match="expected MD5"):
        get()
    assert left(tmp_path) == []
    assert get() == DATA


def test_a_file_that_is_not_there_is_not_tried_again(server, tmp_path):
    with pytest.raises(FetchError, match=r"HTTP 404 Not Found.*--mirror"):
        download(f"{server.url}/none", tmp_path / "none")
    assert len(server.ranges) == 1


@pytest.mark.parametrize("code", ["500", "503", "429"])
def test_a_server_in_trouble_is_tried_again(server, get, code):
    server.behaviour = [code, code]
    assert get() == DATA
    assert len(server.ranges) == 3


def test_nobody_listening_is_said_after_bounded_attempts(tmp_path):
    with pytest.raises(FetchError, match=r"gave up.*refused"):
        download("http://127.0.0.1:9/x", tmp_path / "x", attempts=2, wait=0.0)


def test_other_schemes_are_refused(tmp_path):
    (tmp_path / "secret").write_text("1")
    with pytest.raises(FetchError, match="expected an address with http"):
        download((tmp_path / "secret").as_uri(), tmp_path / "x")


def test_a_full_disk_is_said_before_anything_is_loaded(server, get, monkeypatch):
    full = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(FetchError, match=r"no room in .* needs 3000000 more bytes, 1000 are free"):
        get()
