"""An S3 on loopback, and plain paths: the same calls do the same."""

import errno
import pickle
import threading
from unittest import mock

import fsspec
import pytest

from jobs.storage import object_store
from jobs.storage.location import parse_location
from tests.support.object_store import ObjectStore, s3


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWEEP_NODE_CACHE", str(tmp_path_factory.mktemp("near")))
        with s3(patch) as started:
            yield started


@pytest.fixture
def remote(store, request):
    return parse_location(f"{store.url}/{request.node.name}")


@pytest.fixture(params=["path", "s3", "memory"])
def place(request, tmp_path):
    if request.param == "path":
        return tmp_path / "folder"
    if request.param == "memory":
        return parse_location(f"memory://{tmp_path.name}")
    return request.getfixturevalue("remote")


def test_what_is_written_can_be_read_found_renamed_and_removed(place):
    file = place / "a.txt"
    assert not object_store.exists(file)
    with pytest.raises(FileNotFoundError):
        object_store.read_bytes(file)
    object_store.write_text(file, "Grüße")
    assert object_store.exists(file)
    assert object_store.size(file) == 7
    assert object_store.read_bytes(file).decode() == "Grüße"
    with object_store.open_file(file) as opened:
        assert opened.read(2) == b"Gr"
    renamed = object_store.rename(file, "b.txt")
    assert renamed == place / "b.txt"
    assert object_store.read_bytes(renamed).decode() == "Grüße"
    assert not object_store.exists(file)
    object_store.remove(renamed)
    object_store.remove(renamed)
    assert not object_store.exists(renamed)


def test_what_changes_all_the_time_is_read_as_it_is_now_and_not_kept(
    remote, store, tmp_path, monkeypatch
):
    monkeypatch.setenv("SWEEP_NODE_CACHE", str(tmp_path / "near"))
    file = remote / "lease"
    with pytest.raises(FileNotFoundError):
        object_store.read_uncached(file)
    for text in ("first", "other"):
        object_store.write_text(file, text)
        assert object_store.read_uncached(file) == text.encode()
        assert object_store.read_uncached(file, 1, 3) == text.encode()[1:3]
    assert not (tmp_path / "near").exists()


def test_a_file_appears_whole_or_not_at_all(place):
    file = place / "a.bin"
    with object_store.atomic_path(file) as temporary:
        temporary.write_bytes(b"one")
        assert not object_store.exists(file)
    with pytest.raises(KeyboardInterrupt), object_store.atomic_path(file) as temporary:
        temporary.write_bytes(b"half of two")
        raise KeyboardInterrupt
    assert object_store.read_bytes(file) == b"one"


def test_a_folder_goes_with_all_that_is_in_it(place):
    object_store.write_text(place / "x" / "a", "1")
    object_store.write_text(place / "x" / "deeper" / "b", "2")
    object_store.write_text(place / "xy", "3")
    object_store.remove_folder(place / "x")
    object_store.remove_folder(place / "x")
    assert not object_store.exists(place / "x" / "deeper" / "b")
    assert object_store.exists(place / "xy")


def test_objects_are_where_amazons_own_client_sees_them(store: ObjectStore, remote):
    object_store.write_text(remote / "a" / "b.txt", "x")
    assert store.objects()[f"{remote.name}/a/b.txt"] == b"x"
    assert set(object_store.list_files(remote)) == {"a/b.txt"}
    assert object_store.list_files(remote / "nothing") == {}


def test_what_was_read_is_not_fetched_again_until_it_changes(store: ObjectStore, remote):
    file = remote / "a"
    object_store.write_text(file, "one")
    assert object_store.read_bytes(file) == b"one"
    before = len(store.requests)
    assert object_store.read_bytes(file) == b"one"
    assert [method for method, _ in store.requests[before:]] == ["HEAD"]
    store.put(f"{remote.name}/a", b"two")
    assert object_store.read_bytes(file) == b"two"


def test_a_listed_folder_is_asked_for_once(store: ObjectStore, remote):
    for name in "abc":
        object_store.write_text(remote / name, name)
    seen = object_store.with_listing(remote)
    before = len(store.requests)
    assert [object_store.size(seen / name) for name in "abc"] == [1, 1, 1]
    assert not object_store.exists(seen / "d")
    assert len(store.requests) == before


def test_parts_of_many_objects_are_fetched_together(remote):
    for name in "abc":
        object_store.write_text(remote / name, f"{name}0123456789")
    parts = []
    for name in "cab":
        state = object_store.stat(remote / name)
        parts.append(object_store.Part(remote / name, state, 0, 3))
    parts.append(object_store.Part(remote / "a", object_store.stat(remote / "a"), 4, 4))
    assert object_store.read_parts(parts) == [b"c01", b"a01", b"b01", b""]


def test_of_several_that_create_one_object_one_succeeds(remote):
    file, won = remote / "lease", []

    def create(number):
        try:
            object_store.create(file, str(number).encode())
        except FileExistsError:
            return
        won.append(number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert object_store.read_bytes(file) == str(won[0]).encode()


def test_a_store_that_fails_for_a_moment_is_asked_again(store: ObjectStore, remote):
    object_store.write_text(remote / "a", "x")
    store.failing = 2
    assert object_store.read_bytes(remote / "a") == b"x"
    assert store.failing == 0


def test_a_store_that_goes_on_failing_is_an_error_that_other_processes_can_read(
    store: ObjectStore, remote
):
    store.failing = 1000
    try:
        with pytest.raises(object_store.StorageError, match=f"{remote}/a: ") as failed:
            object_store.write_text(remote / "a", "x")
    finally:
        store.failing = 0
    assert isinstance(pickle.loads(pickle.dumps(failed.value)), object_store.StorageError)
    assert not object_store.exists(remote / "a")


def test_a_store_that_is_not_there_is_an_error_too(remote, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    try:
        with pytest.raises(object_store.StorageError, match="EndpointConnectionError"):
            object_store.write_text(remote / "a", "x")
    finally:
        fsspec.get_filesystem_class("s3").clear_instance_cache()


def test_a_full_disk_of_this_machine_is_not_the_stores_fault(remote, monkeypatch, tmp_path):
    client = mock.Mock()
    client.get_file.side_effect = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr("jobs.storage.object_store._filesystem", lambda place: client)
    with pytest.raises(OSError, match="No space") as failed:
        object_store.download(remote / "a", tmp_path / "a")
    assert failed.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []
