import os

import pytest

from jobs.storage.node_cache import FOLDER_VARIABLE, GIB_VARIABLE, NodeCache


def size(folder):
    return sum(path.stat().st_size for path in folder.iterdir())


def test_what_was_kept_comes_back_and_nothing_else(tmp_path):
    near = NodeCache(tmp_path, 100)
    near.keep(b"abc", "s3://x/y", "1")
    assert near.read("s3://x/y", "1") == b"abc"
    assert near.read("s3://x/y", "2") is None
    near.forget("s3://x/y", "1")
    assert near.read("s3://x/y", "1") is None


def test_the_least_recently_used_goes_first(tmp_path):
    near = NodeCache(tmp_path, 30)
    for name in "abc":
        assert near.make_room(10)
        near.keep(b"0123456789", name)
    for age, name in enumerate("cba"):  # c is the newest by age, a the oldest
        path = near._path((name,))
        os.utime(path, ns=(10**9 * (100 - age),) * 2)
    assert near.read("a") is not None  # from here on the newest
    assert near.make_room(15)
    near.keep(b"x" * 15, "d")
    assert [near.read(name) is not None for name in "abcd"] == [True, False, False, True]
    assert size(tmp_path) <= 30


def test_what_is_larger_than_all_room_throws_nothing_out(tmp_path):
    near = NodeCache(tmp_path, 10)
    near.keep(b"0123456789", "a")
    assert not near.make_room(11)
    assert near.read("a") is not None


def test_what_a_killed_process_left_goes_like_the_rest(tmp_path):
    (tmp_path / ".abc.tmp").write_bytes(b"x" * 10)
    assert NodeCache(tmp_path, 10).make_room(10)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_kept_is_no_error(tmp_path, caplog):
    near = NodeCache(tmp_path / "gone", 10)
    near.keep(b"abc", "a")
    assert near.read("a") is None
    assert "cannot keep 3 bytes" in caplog.text


def test_the_environment_says_where_and_how_much(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "near"))
    monkeypatch.setenv(GIB_VARIABLE, "0.5")
    near = NodeCache.of_this_machine()
    assert (near.folder, near.limit) == (tmp_path / "near", 2**29)
    assert near.folder.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_not_believed(tmp_path, monkeypatch):
    os.chown(tmp_path, 12345, 12345)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(PermissionError, match=FOLDER_VARIABLE):
        NodeCache.of_this_machine()
