"""Looking over the shards of a set: what is believed, what is read, and that nothing is missed."""

import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from jobs.activations import index as shard_index
from jobs.activations.cache_layout import INDEX, data_path, manifest_path
from jobs.activations.index import SeenShard, look_over
from jobs.activations.manifest import CorruptShard, FileState
from jobs.activations.store import set_aside, write_shard
from jobs.corpus.skipped import Skipped
from jobs.storage.location import Location, RemotePath
from jobs.storage.object_store import exists, list_files, read_bytes, remove, write_text


@pytest.fixture(params=["disk", "store"])
def folder(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Location:
    monkeypatch.setenv("SWEEP_NODE_CACHE", str(tmp_path / "near"))
    if request.param == "disk":
        return tmp_path / "set"
    return RemotePath(f"file://{tmp_path}/{uuid.uuid4().hex}/set")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The shards whose manifests are read from here on."""
    seen: list[int] = []
    read = shard_index.read_manifest

    def counted(folder: Location, index: int) -> object:
        seen.append(index)
        return read(folder, index)

    monkeypatch.setattr(shard_index, "read_manifest", counted)
    return seen


def put(folder: Location, index: int, *, skipped: bool = False, rows: int = 2) -> None:
    names = [f"{index}-{row}" for row in range(rows)]
    left_out = [Skipped(f"{index}-x", "/x.flac", "is cut off")] if skipped else []
    values = {"stem": np.full((rows, 3), index, dtype=np.float32)}
    files = [FileState(1, 2)] * len(left_out)
    write_shard(folder, index, values, names, left_out, {}, files)


def test_every_manifest_is_read_once(folder: Location, reads: list[int]) -> None:
    assert look_over(folder, 2) == [None, None]
    assert not exists(folder / INDEX)
    put(folder, 0)
    put(folder, 2, skipped=True)
    first = look_over(folder, 4)
    assert [one is not None for one in first] == [True, False, True, False]
    assert isinstance(first[2], SeenShard)
    assert [one.reason for one in first[2].skipped] == ["is cut off"]
    assert first[2].skipped_files == (FileState(1, 2),)
    assert reads == [0, 2]
    assert look_over(folder, 4) == first
    assert reads == [0, 2]
    put(folder, 1)
    second = look_over(folder, 4)
    assert (second[0], second[2], second[3]) == (first[0], first[2], None)
    assert isinstance(second[1], SeenShard)
    assert reads == [0, 2, 1]


def test_a_shard_that_was_written_anew_is_read_anew(folder: Location, reads: list[int]) -> None:
    put(folder, 0)
    look_over(folder, 1)
    put(folder, 0, skipped=True)
    [seen] = look_over(folder, 1)
    assert isinstance(seen, SeenShard)
    assert len(seen.skipped) == 1
    assert reads == [0, 0]


@pytest.mark.parametrize("what", ["cut", "gone", "manifest"])
def test_damage_is_found_behind_the_index_and_told_until_it_is_mended(
    folder: Location, what: str
) -> None:
    for index in range(3):
        put(folder, index)
    look_over(folder, 3)
    data, manifest = data_path(folder, 1), manifest_path(folder, 1)
    if what == "gone":
        remove(data)
    elif what == "cut":
        write_text(data, "x")
    else:
        write_text(manifest, read_bytes(manifest).decode().replace("1-0", "1-9"))
    for _ in range(2):
        found = look_over(folder, 3)
        assert isinstance(found[1], CorruptShard)
        assert isinstance(found[0], SeenShard) and isinstance(found[2], SeenShard)
    set_aside(folder, 1)
    assert look_over(folder, 3)[1] is None
    put(folder, 1)
    assert all(isinstance(one, SeenShard) for one in look_over(folder, 3))


def test_a_manifest_that_is_gone_is_a_shard_that_was_never_finished(folder: Location) -> None:
    put(folder, 0)
    look_over(folder, 1)
    remove(manifest_path(folder, 0))
    assert look_over(folder, 1) == [None]


@pytest.mark.parametrize("content", ["", "{", "[[0]]", "7", '[["0", 1, 2, 3]]', "null"])
def test_a_damaged_index_is_said_and_read_around(
    folder: Location, content: str, reads: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    put(folder, 0)
    first = look_over(folder, 1)
    write_text(folder / INDEX, content)
    assert look_over(folder, 1) == first
    assert "is damaged" in caplog.text
    assert reads == [0, 0]
    assert look_over(folder, 1) == first
    assert reads == [0, 0]


def test_a_folder_that_cannot_be_written_to_is_read_every_time(
    tmp_path: Path,
    reads: list[int],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    put(tmp_path, 0)

    def refuse(place: Location, text: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(shard_index, "write_text", refuse)
    first = look_over(tmp_path, 1)
    assert look_over(tmp_path, 1) == first != [None]
    assert reads == [0, 0]
    assert "cannot be written" in caplog.text


def test_a_file_of_the_same_size_and_another_time_is_not_believed(
    tmp_path: Path, reads: list[int]
) -> None:
    put(tmp_path, 0)
    look_over(tmp_path, 1)
    path = data_path(tmp_path, 0)
    assert isinstance(path, Path)
    os.utime(path, (1, 1))
    assert isinstance(look_over(tmp_path, 1)[0], SeenShard)
    assert reads == [0, 0]


def test_nothing_is_left_on_the_way(folder: Location) -> None:
    put(folder, 0)
    look_over(folder, 1)
    names = (
        {path.name for path in folder.iterdir()} if isinstance(folder, Path) else list_files(folder)
    )
    assert set(names) == {INDEX, "shard-00000.json", "shard-00000.safetensors"}


def test_without_the_wish_to_keep_an_index_nothing_is_written(folder: Location) -> None:
    put(folder, 0)
    assert look_over(folder, 1, keep_index=False) != [None]
    assert not exists(folder / INDEX)


def test_a_store_is_asked_for_its_list_and_not_for_each_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEP_NODE_CACHE", str(tmp_path / "near"))
    folder = RemotePath(f"memory://{uuid.uuid4().hex}/set")
    for index in range(20):
        put(folder, index)
    asked: list[str] = []
    store = type(fsspec.filesystem("memory"))
    for name in ("info", "find", "cat_ranges"):
        monkeypatch.setattr(store, name, counting(getattr(store, name), asked, name))
    assert all(isinstance(one, SeenShard) for one in look_over(folder, 20))
    assert asked.count("find") == asked.count("cat_ranges") == 1
    assert asked.count("info") < 20


def counting(method: Callable[..., Any], asked: list[str], name: str) -> Callable[..., Any]:
    def counted(*arguments: Any, **options: Any) -> Any:
        asked.append(name)
        return method(*arguments, **options)

    return counted


def test_a_manifest_that_vanishes_while_it_is_looked_over_is_missing_and_the_rest_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEP_NODE_CACHE", str(tmp_path / "near"))
    folder = RemotePath(f"memory://{uuid.uuid4().hex}/set")
    for index in range(3):
        put(folder, index)
    states = shard_index._states

    def then_removed(place: Location) -> object:
        found = states(place)
        remove(manifest_path(folder, 1))
        return found

    monkeypatch.setattr(shard_index, "_states", then_removed)
    found = look_over(folder, 3)
    assert [isinstance(one, SeenShard) for one in found] == [True, False, True]
    assert found[1] is None


def test_a_shard_that_is_written_anew_while_it_is_looked_over_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEP_NODE_CACHE", str(tmp_path / "near"))
    folder = RemotePath(f"memory://{uuid.uuid4().hex}/set")
    put(folder, 0)
    states = shard_index._states

    def then_written(place: Location) -> object:
        found = states(place)
        put(folder, 0, skipped=True, rows=9)
        return found

    monkeypatch.setattr(shard_index, "_states", then_written)
    assert isinstance(look_over(folder, 1)[0], SeenShard)
