"""Shards on an object store are what they are on a disk, and damage to them is found as there."""

import numpy as np
import pytest

from jobs.activations.manifest import CorruptShard
from jobs.activations.store import (
    look_into,
    read_layer,
    read_manifest,
    read_names,
    read_sums,
    set_aside,
    write_shard,
)
from jobs.corpus.skipped import Skipped
from jobs.storage.location import parse_location
from tests.support.object_store import ObjectStore, s3

LAYERS = {"stem": 5, "layer1.0.simam": 3, "embedding": 2}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWEEP_NODE_CACHE", str(tmp_path_factory.mktemp("near")))
        with s3(patch) as started:
            yield started


@pytest.fixture
def key(request):
    return request.node.name.replace("[", "-").replace("]", "")


@pytest.fixture
def folder(store, key):
    return parse_location(f"{store.url}/{key}")


def write(folder, index, n=4, dtype=np.float32, seed=0):
    rng = np.random.default_rng([seed, index])
    arrays = {name: rng.standard_normal((n, width)).astype(dtype) for name, width in LAYERS.items()}
    names = [f"{index}-{row}" for row in range(n)]
    skipped = [Skipped(f"{index}-x", "x.flac", "empty file")]
    return write_shard(folder, index, arrays, names, skipped, {"seconds": 1.5})


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_layer_is_what_it_is_on_a_disk(folder, tmp_path, dtype, monkeypatch):
    monkeypatch.setattr("jobs.activations.remote.AT_A_TIME", 2)
    for place in (folder, tmp_path):
        for index, n in enumerate((4, 1, 3, 0, 2)):
            write(place, index, n, dtype)
    for layer in LAYERS:
        names, values = read_layer(folder, 5, layer)
        expected_names, expected = read_layer(tmp_path, 5, layer)
        assert names == expected_names
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, expected)
    assert read_manifest(folder, 0) == read_manifest(tmp_path, 0)


def test_statistics_are_what_they_are_on_a_disk(folder, tmp_path):
    for place in (folder, tmp_path):
        rng = np.random.default_rng(0)
        for index, n in enumerate((3, 0, 40)):
            names = [f"{index}-{row}" for row in range(n)]
            sums = {k: rng.standard_normal((2, 9 * width)) for k, width in LAYERS.items()}
            write_shard(place, index, sums if n else {}, names, [], {}, sums=True)
    assert read_names(folder, 3) == read_names(tmp_path, 3)
    for layer, width in LAYERS.items():
        found, expected = (list(read_sums(place, 3, layer)) for place in (folder, tmp_path))
        assert [one.shape for one in found] == [(2, 9 * width)] * 2
        np.testing.assert_array_equal(found, expected)


def test_the_objects_are_the_files_of_a_disk(store: ObjectStore, folder, key, tmp_path):
    for place in (folder, tmp_path):
        write(place, 0)
    found = {k: v for k, v in store.objects().items() if k.startswith(f"{key}/")}
    assert found == {f"{key}/{path.name}": path.read_bytes() for path in tmp_path.iterdir()}


def test_the_manifest_is_uploaded_last_and_taken_away_first(store: ObjectStore, folder):
    write(folder, 0)
    before = len(store.requests)
    write(folder, 0)
    changes = [
        (method, path.rpartition(".")[2])
        for method, path in store.requests[before:]
        if method in ("PUT", "DELETE")
    ]
    assert changes == [("DELETE", "json"), ("PUT", "safetensors"), ("PUT", "json")]


def test_a_layer_fetches_its_own_bytes_alone_and_only_once(store: ObjectStore, folder, key):
    for index in range(3):
        write(folder, index)
    read_layer(folder, 3, "stem")
    before = len(store.requests)
    read_layer(folder, 3, "embedding")
    asked = [(m, p.rpartition("/")[2]) for m, p in store.requests[before:]]
    tensors = [(m, p) for m, p in asked if p.endswith(".safetensors")]
    assert sorted(tensors) == [("GET", f"shard-{i:05d}.safetensors") for i in range(3)]
    before = len(store.requests)
    read_layer(folder, 3, "embedding")
    assert len(store.requests) == before + 1  # the listing


def test_a_shard_that_was_never_finished_is_absent(store: ObjectStore, folder, key):
    assert read_manifest(folder, 0) is None
    write(folder, 0)
    store.delete(f"{key}/shard-00000.json")
    assert read_manifest(folder, 0) is None
    with pytest.raises(CorruptShard, match="missing"):
        read_layer(folder, 1, "stem")


def flip(data, offset):
    changed = bytearray(data)
    changed[offset] ^= 1
    return bytes(changed)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: flip(data, -1), "checksum"),
        (lambda data: flip(data, 8), "header"),
        (lambda data: data[:-1], "expected .* bytes"),
    ],
    ids=["bit", "header", "cut"],
)
def test_damage_on_the_store_is_found(store: ObjectStore, folder, key, damage, message):
    write(folder, 0)
    name = f"{key}/shard-00000.safetensors"
    layer = min(LAYERS, key=LAYERS.__getitem__)
    last = list(LAYERS)[-1]
    assert layer == last
    store.put(name, damage(store.objects()[name]))
    with pytest.raises(CorruptShard, match=message):
        for one in LAYERS:
            read_layer(folder, 1, one)


def test_a_damaged_manifest_is_found(store: ObjectStore, folder, key):
    write(folder, 0)
    name = f"{key}/shard-00000.json"
    store.put(name, store.objects()[name].replace(b"float32", b"float16", 1))
    with pytest.raises(CorruptShard, match="manifest is damaged"):
        read_manifest(folder, 0)


def test_damage_to_what_this_machine_keeps_is_mended_from_the_store(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("SWEEP_NODE_CACHE", str(tmp_path))
    write(folder, 0)
    _, expected = read_layer(folder, 1, "stem")
    damaged = 0
    for path in tmp_path.iterdir():
        if not path.read_bytes().startswith(b"{"):  # the manifest has a checksum of its own
            path.write_bytes(flip(path.read_bytes(), -1))
            damaged += 1
    assert damaged == 2  # header and layer
    _, found = read_layer(folder, 1, "stem")
    np.testing.assert_array_equal(found, expected)


def test_a_shard_that_is_extracted_anew_replaces_what_is_kept(folder):
    write(folder, 0)
    read_layer(folder, 1, "stem")
    write(folder, 0, seed=1)
    _, found = read_layer(folder, 1, "stem")
    expected = np.random.default_rng([1, 0]).standard_normal((4, 5)).astype(np.float32)
    np.testing.assert_array_equal(found, expected)


def test_a_shard_is_set_aside(store: ObjectStore, folder, key):
    write(folder, 0)
    moved = set_aside(folder, 0)
    assert {place.name for place in moved} == {
        "shard-00000.json.corrupt",
        "shard-00000.safetensors.corrupt",
    }
    assert {k.rpartition("/")[2] for k in store.objects() if k.startswith(f"{key}/")} == {
        place.name for place in moved
    }
    assert set_aside(folder, 0) == []


def test_many_manifests_cost_one_listing(store: ObjectStore, folder):
    for index in range(4):
        write(folder, index, n=1)
    look_into(folder, 4)
    before = len(store.requests)
    seen = look_into(folder, 5)
    assert [read_manifest(seen, index) is None for index in range(5)] == [False] * 4 + [True]
    assert len(store.requests) == before + 1


def test_an_error_names_the_place_and_not_what_was_listed(folder):
    with pytest.raises(CorruptShard) as missing:
        read_layer(folder, 1, "stem")
    assert missing.value.folder.listing is None
    assert str(folder) in str(missing.value)
