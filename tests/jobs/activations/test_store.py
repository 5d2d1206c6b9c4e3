"""Activation shards: whole and checked, or absent; damage is found where it is read."""

import hashlib
import json
import os
import pickle
import shutil

import numpy as np
import pytest

from jobs.activations.cache_layout import data_path, manifest_path
from jobs.activations.dtype import as_dtype
from jobs.activations.manifest import CorruptShard, FileState
from jobs.activations.skips import file_state, has_stale_skips
from jobs.activations.store import read_layer, read_manifest, set_aside, write_shard
from jobs.corpus.skipped import Skipped
from jobs.identity import canonical_json

LAYERS = {"stem": 5, "layer1.0.simam": 3, "embedding": 2}


def values(n, seed, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal((n, width)).astype(dtype) for name, width in LAYERS.items()}


def write(folder, index, n=4, dtype=np.float32):
    names = [f"{index}-{row}" for row in range(n)]
    activations = values(n, index, dtype)
    manifest = write_shard(folder, index, activations, names, [], {"seconds": 1.5})
    return names, activations, manifest


def flip_bit(path, offset):
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_layers_of_several_shards_come_back_row_by_row(tmp_path, dtype):
    shards = [write(tmp_path, index, n, dtype) for index, n in enumerate((4, 1, 3))]
    for layer in LAYERS:
        names, found = read_layer(tmp_path, 3, layer)
        assert names == [name for shard in shards for name in shard[0]]
        assert found.dtype == np.float32
        expected = np.concatenate([shard[1][layer] for shard in shards])
        np.testing.assert_array_equal(found, expected.astype(np.float32))


def test_the_manifest_comes_back_as_it_was_written(tmp_path):
    skipped, files = [Skipped("u9", "some/where.flac", "empty file")], [FileState(0, 17)]
    info = {"host": "é", "s": [0.1]}
    written = write_shard(tmp_path, 3, values(1, 0), ["u1"], skipped, info, files)
    assert read_manifest(tmp_path, 3) == written
    assert written.skipped_files == tuple(files)
    assert written.skipped == tuple(skipped)
    assert written.n_bytes == data_path(tmp_path, 3).stat().st_size
    assert list(written.layers) == list(LAYERS)
    assert [entry.width for entry in written.layers.values()] == list(LAYERS.values())
    assert data_path(tmp_path, 3).name == "shard-00003.safetensors"
    assert manifest_path(tmp_path, 3).name == "shard-00003.json"


def test_values_that_are_not_contiguous_or_not_finite_are_stored_as_they_are(tmp_path):
    strange = np.array([[np.nan, np.inf], [-np.inf, 0.0], [1.0, -0.0]], dtype=np.float32)
    write_shard(tmp_path, 0, {"a": strange.T[:, ::-1]}, ["u", "v"], [], {})
    found = read_layer(tmp_path, 1, "a")[1]
    np.testing.assert_array_equal(found, strange.T[:, ::-1])


def test_a_shard_that_was_never_finished_is_absent(tmp_path):
    assert read_manifest(tmp_path, 0) is None
    write(tmp_path, 0)
    manifest_path(tmp_path, 0).unlink()
    assert read_manifest(tmp_path, 0) is None
    with pytest.raises(CorruptShard, match="missing"):
        read_layer(tmp_path, 1, "stem")


def test_nothing_but_the_two_files_is_left(tmp_path):
    write(tmp_path, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "shard-00000.json",
        "shard-00000.safetensors",
    ]


def test_dying_between_the_two_files_leaves_no_manifest_of_the_shard_before(tmp_path, monkeypatch):
    write(tmp_path, 0)

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("jobs.activations.store.write_text", die)
    with pytest.raises(KeyboardInterrupt):
        write_shard(tmp_path, 0, values(2, 9), ["x", "y"], [], {})
    assert read_manifest(tmp_path, 0) is None


def test_a_shard_without_utterances_counts_for_nothing(tmp_path):
    write_shard(tmp_path, 0, {}, [], [Skipped("u", "p", "silent")], {})
    names, activations, _ = write(tmp_path, 1)
    found_names, found = read_layer(tmp_path, 2, "embedding")
    assert found_names == names
    np.testing.assert_array_equal(found, activations["embedding"])
    names, found = read_layer(tmp_path, 1, "embedding")
    assert (names, found.shape) == ([], (0, 0))


def test_a_flipped_bit_fails_its_own_layer_and_no_other(tmp_path):
    write(tmp_path, 0)
    _, activations, _ = write(tmp_path, 1)
    path = data_path(tmp_path, 1)
    wanted = activations["layer1.0.simam"].tobytes()
    flip_bit(path, path.read_bytes().index(wanted) + 7)
    with pytest.raises(CorruptShard, match=r"'layer1.0.simam': its checksum is wrong") as caught:
        read_layer(tmp_path, 2, "layer1.0.simam")
    assert (caught.value.folder, caught.value.index) == (tmp_path, 1)
    for layer in ("stem", "embedding"):
        assert np.isfinite(read_layer(tmp_path, 2, layer)[1]).all()


def test_every_flipped_bit_of_a_file_is_found(tmp_path):
    _, activations, _ = write(tmp_path, 0, n=1)
    path = data_path(tmp_path, 0)
    whole = path.read_bytes()
    for offset in range(len(whole)):
        flip_bit(path, offset)
        found = []
        for layer in LAYERS:
            try:
                found.append(np.array_equal(read_layer(tmp_path, 1, layer)[1], activations[layer]))
            except CorruptShard:
                found.append(None)
        # Wrong values never come back; where the data lie, exactly one layer is lost.
        assert False not in found, offset
        if offset >= len(whole) - sum(array.nbytes for array in activations.values()):
            assert found.count(None) == 1, offset
        path.write_bytes(whole)


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_truncated_tensor_file_is_found_by_its_size(tmp_path, keep):
    write(tmp_path, 0)
    path = data_path(tmp_path, 0)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CorruptShard, match=r"expected \d+ bytes, found \d+"):
        read_manifest(tmp_path, 0)
    with pytest.raises(CorruptShard):
        read_layer(tmp_path, 1, "stem")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_pipe_or_a_folder_in_place_of_a_manifest_is_corrupt(tmp_path, make):
    make(manifest_path(tmp_path, 0))
    with pytest.raises(CorruptShard, match="expected a file"):
        read_manifest(tmp_path, 0)


def test_a_manifest_without_its_tensors_is_corrupt(tmp_path):
    write(tmp_path, 0)
    data_path(tmp_path, 0).unlink()
    with pytest.raises(CorruptShard, match="no tensor file"):
        read_manifest(tmp_path, 0)


@pytest.mark.parametrize("keep", [0, 1, 60, -3])
def test_a_torn_manifest_is_corrupt(tmp_path, keep):
    write(tmp_path, 0)
    path = manifest_path(tmp_path, 0)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CorruptShard, match="manifest is damaged"):
        read_manifest(tmp_path, 0)


@pytest.mark.parametrize("content", [b"[]", b"3", b"{}", b'"x"', b"\xff\xfe", b"null"])
def test_a_manifest_of_something_else_is_corrupt(tmp_path, content):
    write(tmp_path, 0)
    manifest_path(tmp_path, 0).write_bytes(content)
    with pytest.raises(CorruptShard, match="manifest is damaged"):
        read_manifest(tmp_path, 0)


def test_a_changed_utterance_id_is_found(tmp_path):
    write(tmp_path, 0)
    path = manifest_path(tmp_path, 0)
    content = json.loads(path.read_text())
    content["utterance_ids"][0] = "another"
    path.write_text(json.dumps(content))
    with pytest.raises(CorruptShard, match="its checksum is wrong"):
        read_manifest(tmp_path, 0)


def test_shards_whose_widths_differ_are_not_mixed(tmp_path):
    write_shard(tmp_path, 0, {"a": np.ones((1, 3), np.float32)}, ["u"], [], {})
    write_shard(tmp_path, 1, {"a": np.ones((1, 1), np.float32)}, ["v"], [], {})
    with pytest.raises(CorruptShard, match=r"expected \(1, 3\) float32, found \(1, 1\)"):
        read_layer(tmp_path, 2, "a")


def test_an_unknown_layer_is_no_corruption(tmp_path):
    write(tmp_path, 0)
    with pytest.raises(KeyError, match=r"no layer 'layer9'.*stem"):
        read_layer(tmp_path, 1, "layer9")


def test_a_shard_set_aside_is_absent_and_can_be_written_again(tmp_path):
    write(tmp_path, 0)
    moved = set_aside(tmp_path, 0)
    assert sorted(path.name for path in moved) == [
        "shard-00000.json.corrupt",
        "shard-00000.safetensors.corrupt",
    ]
    assert all(path.exists() for path in moved)
    assert read_manifest(tmp_path, 0) is None
    assert set_aside(tmp_path, 0) == []
    _, activations, _ = write(tmp_path, 0)
    np.testing.assert_array_equal(read_layer(tmp_path, 1, "stem")[1], activations["stem"])


def test_corruption_survives_the_way_between_processes(tmp_path):
    error = pickle.loads(pickle.dumps(CorruptShard(tmp_path, 4, "is missing")))
    assert (error.folder, error.index, error.reason) == (tmp_path, 4, "is missing")
    assert "shard-00004.safetensors: is missing" in str(error)


# Half precision.


def test_half_precision_rounds_and_keeps_what_is_not_finite():
    given = np.array([[1 / 3, 65504, -65519, 0, np.nan, np.inf, -np.inf]], dtype=np.float32)
    stored = as_dtype("a", given, "float16")
    assert stored.dtype == np.float16
    np.testing.assert_array_equal(stored, given.astype(np.float16))
    np.testing.assert_allclose(stored[0, :4], given[0, :4], rtol=5e-4)


def test_a_value_beyond_half_precision_names_its_layer():
    given = np.array([[1.0, np.inf, -65520.0]], dtype=np.float32)
    with pytest.raises(OverflowError, match=r"'layer1.0.relu2' reaches 6.552e\+04"):
        as_dtype("layer1.0.relu2", given, "float16")


def test_single_precision_is_left_alone():
    given = np.array([[1e30]], dtype=np.float32)
    assert as_dtype("a", given, "float32") is given


def skipping(folder, path, states=None):
    """A shard that left out the audio at ``path``."""
    states = [file_state(str(path))] if states is None else states
    skipped = [Skipped("u", str(path), "silent")]
    return write_shard(folder, 0, values(1, 0), ["v"], skipped, {}, states)


def test_a_skip_is_stale_when_size_or_time_of_its_file_differ(tmp_path):
    path = tmp_path / "a.flac"
    path.write_bytes(b"damaged")
    manifest = skipping(tmp_path / "shards", path)
    paths = {"u": str(path), "v": "/nowhere"}
    assert not has_stale_skips(manifest, paths)
    before = path.stat()
    path.write_bytes(b"mended!")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert has_stale_skips(manifest, paths)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not has_stale_skips(manifest, paths)
    path.write_bytes(b"longer than before")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert has_stale_skips(manifest, paths)
    path.unlink()
    assert has_stale_skips(manifest, paths)


def test_the_file_that_counts_is_where_the_corpus_lies_now(tmp_path):
    old, new = tmp_path / "old.wav", tmp_path / "new.wav"
    old.write_bytes(b"damaged")
    new.write_bytes(b"whole, elsewhere")
    manifest = skipping(tmp_path / "shards", old)
    assert has_stale_skips(manifest, {"u": str(new)})
    shutil.copy2(old, new)
    assert not has_stale_skips(manifest, {"u": str(new)})
    assert not has_stale_skips(manifest, {"u": f"{new}#t=0.000000,1.000000"})


def test_skips_of_files_whose_state_nobody_recorded_are_stale(tmp_path):
    path = tmp_path / "a.flac"
    path.touch()
    assert has_stale_skips(skipping(tmp_path / "shards", path, states=[]), {"u": str(path)})
    _, _, manifest = write(tmp_path / "whole", 0)
    assert not has_stale_skips(manifest, {})


def test_a_manifest_from_before_file_states_were_recorded_can_be_read(tmp_path):
    _, _, written = write(tmp_path, 0)
    path = manifest_path(tmp_path, 0)
    body = json.loads(path.read_text())
    del body["skipped_files"], body["checksum"]
    checksum = hashlib.blake2b(canonical_json(body).encode(), digest_size=16).hexdigest()
    path.write_text(json.dumps({"checksum": checksum, **body}))
    assert read_manifest(tmp_path, 0) == written
