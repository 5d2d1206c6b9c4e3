"""The manifest of a shard as text: what is written, what is read, and what is refused."""

import json
import pickle
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.activations.manifest import (
    CorruptShard,
    FileState,
    LayerEntry,
    ShardManifest,
    check_tensor,
    checksum,
    entry_of,
    from_json,
    to_json,
)
from jobs.activations.store import read_manifest, write_shard
from jobs.corpus.skipped import Skipped
from jobs.storage.location import RemotePath, Stat

MANIFEST = ShardManifest(
    index=3,
    utterance_ids=("z", "a", "ü"),
    skipped=(Skipped("b", "/audio/b.flac", "empty file"),),
    n_bytes=120,
    layers={"stem": LayerEntry(2, "float32", "00ff"), "embedding": LayerEntry(1, "float16", "11")},
    info={"batches": 1},
    skipped_files=(FileState(0, 1_700_000_000_123_456_789),),
)
WRITTEN = """\
{
 "checksum": "8d259b6d7ddd555ea5fb50baa9ec4772",
 "index": 3,
 "utterance_ids": [
  "z",
  "a",
  "\\u00fc"
 ],
 "skipped": [
  [
   "b",
   "/audio/b.flac",
   "empty file"
  ]
 ],
 "n_bytes": 120,
 "layers": [
  [
   "stem",
   2,
   "float32",
   "00ff"
  ],
  [
   "embedding",
   1,
   "float16",
   "11"
  ]
 ],
 "info": {
  "batches": 1
 },
 "skipped_files": [
  [
   0,
   1700000000123456789
  ]
 ]
}
"""


def signed(body: dict[str, Any]) -> bytes:
    """``body`` as a manifest of another version would be: with a checksum that is right."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return json.dumps(
        {**body, "checksum": blake2b(text.encode(), digest_size=16).hexdigest()}
    ).encode()


def body(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(to_json(MANIFEST))
    del values["checksum"]
    return {**values, **changes}


def test_a_manifest_is_written_as_it_was_when_the_first_one_was() -> None:
    assert to_json(MANIFEST) == WRITTEN
    assert from_json(WRITTEN.encode()) == MANIFEST


def test_layers_and_utterances_keep_their_order() -> None:
    found = from_json(to_json(MANIFEST).encode())
    assert list(found.layers) == ["stem", "embedding"]
    assert found.utterance_ids == ("z", "a", "ü")


def test_its_checksum_is_of_what_it_says_and_not_of_how_that_is_laid_out() -> None:
    values = json.loads(WRITTEN)
    assert from_json(json.dumps(dict(reversed(values.items()))).encode()) == MANIFEST


@pytest.mark.parametrize("key", sorted(body()))
def test_any_value_that_was_changed_is_noticed(key: str) -> None:
    values = json.loads(WRITTEN)
    values[key] = [] if values[key] != [] else [1]
    with pytest.raises(ValueError, match="checksum is wrong"):
        from_json(json.dumps(values).encode())


def test_rows_of_statistics_are_their_own_and_those_of_activations_are_utterances() -> None:
    sums = replace(MANIFEST, layers={"stem": LayerEntry(9, "float64", "22", rows=4)})
    found = from_json(to_json(sums).encode())
    assert found == sums
    assert found.n_rows("stem") == 4
    assert MANIFEST.n_rows("stem") == 3


def test_a_manifest_of_before_file_states_and_statistics_is_read() -> None:
    old = body()
    del old["skipped_files"]
    assert from_json(signed(old)) == replace(MANIFEST, skipped_files=())


def test_what_a_later_version_adds_beside_is_read_over() -> None:
    assert from_json(signed(body(added={"by": "a later version"}))) == MANIFEST


@pytest.mark.parametrize(
    "foreign",
    [
        {"shards": 3},
        {key: value for key, value in body().items() if key != "layers"},
        body(layers=[["stem", 2, "float32", "00ff", None, "a sixth"]]),
        body(skipped=[["b", "/audio/b.flac"]]),
        body(utterance_ids=3),
    ],
)
def test_a_whole_file_of_another_form_is_a_damaged_shard(
    foreign: dict[str, Any], tmp_path: Path
) -> None:
    write_shard(tmp_path, 0, {"stem": np.ones((1, 2), np.float32)}, ["u"], [], {})
    (tmp_path / "shard-00000.json").write_bytes(signed(foreign))
    with pytest.raises(CorruptShard, match=r"shard-00000.*manifest is damaged.*extract this shard"):
        read_manifest(tmp_path, 0)


def test_a_manifest_with_a_number_that_json_does_not_have_is_damaged() -> None:
    text = to_json(MANIFEST).replace('"batches": 1', '"batches": NaN')
    with pytest.raises(ValueError, match="JSON"):
        from_json(text.encode())


@pytest.mark.parametrize(
    ("info", "error"), [({"path": Path("x")}, TypeError), ({"s": float("nan")}, ValueError)]
)
def test_what_cannot_be_written_leaves_no_manifest_neither_new_nor_old(
    info: dict[str, Any], error: type[Exception], tmp_path: Path
) -> None:
    values = {"stem": np.ones((1, 2), np.float32)}
    write_shard(tmp_path, 0, values, ["u"], [], {})
    with pytest.raises(error):
        write_shard(tmp_path, 0, values, ["u"], [], info)
    assert read_manifest(tmp_path, 0) is None
    assert [path.name for path in tmp_path.iterdir()] == ["shard-00000.safetensors"]


def test_the_checksum_of_a_tensor_is_blake2b_of_its_bytes() -> None:
    values = np.array([[1.5, -2.0], [0.0, 3.25]], dtype=np.float32)
    assert checksum(values) == blake2b(values.tobytes(), digest_size=16).hexdigest()
    assert checksum(values) != checksum(values.astype(np.float64))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros((2, 2), np.float32), r"expected \(3, 2\) float32, found \(2, 2\) float32"),
        (np.zeros((3, 2), np.float16), r"expected \(3, 2\) float32, found \(3, 2\) float16"),
        (np.zeros((3, 2), np.float32), "its checksum is wrong"),
    ],
)
def test_a_tensor_that_is_not_the_one_of_the_manifest_is_refused(
    values: np.ndarray[Any, Any], reason: str
) -> None:
    with pytest.raises(CorruptShard, match=f"shard-00003.*layer 'stem': {reason}"):
        check_tensor(Path("/cache"), MANIFEST, "stem", 2, values)


def test_a_layer_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(KeyError, match="no layer 'middle' in the shard: found stem, embedding"):
        entry_of(MANIFEST, "middle")


def test_a_damaged_shard_of_a_store_forgets_what_was_listed_and_passes_between_processes() -> None:
    listed = RemotePath("s3://bucket/a", {"shard-00001.json": Stat(1, "old")})
    error = pickle.loads(pickle.dumps(CorruptShard(listed, 1, "is missing")))
    assert isinstance(error.folder, RemotePath)
    assert (error.folder.url, error.folder.listing) == ("s3://bucket/a", None)
    assert str(error).startswith("s3://bucket/a/shard-00001.safetensors: is missing")
