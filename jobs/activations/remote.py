"""Read layers of shards on an object store.

A probe needs one layer of hundreds of shards: for each shard the header is read, which has the
offsets of the layer, and then the layer's bytes, many shards at a time. Manifests, headers and
layers are cached on this node; a layer from the cache is checked against its manifest, too.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs.activations.cache_layout import data_name, manifest_name
from jobs.activations.manifest import (
    CorruptShard,
    ShardManifest,
    check_tensor,
    entry_of,
)
from jobs.storage.location import RemotePath
from jobs.storage.object_store import (
    Part,
    exists,
    forget_part,
    read_parts,
    stat,
    whole_object,
    with_listing,
)

AT_A_TIME = 32
"""Number of shards whose layer is in memory or being fetched."""

Tensor = npt.NDArray[np.floating[Any]]


def read_ahead(folder: RemotePath, n_shards: int) -> RemotePath:
    """Return the current listing of ``folder``, with the manifests of its shards cached."""
    seen = with_listing(folder)
    places = [seen / manifest_name(index) for index in range(n_shards)]
    read_parts([whole_object(place) for place in places if exists(place)])
    return seen


def read_remote_tensors(
    folder: RemotePath, manifests: Sequence[ShardManifest], layer: str, width: int
) -> Iterator[Tensor]:
    """Yield a layer of each shard.

    Raises:
        CorruptShard: this layer of a shard is damaged on the store.
        KeyError: the shards have no such layer.
    """
    for start in range(0, len(manifests), AT_A_TIME):
        group = manifests[start : start + AT_A_TIME]
        read_parts([_header(folder, manifest) for manifest in group])
        parts = [_layer(folder, manifest, layer) for manifest in group]
        for manifest, part, data in zip(group, parts, read_parts(parts), strict=True):
            values = _array(manifest, layer, data)
            try:
                check_tensor(folder, manifest, layer, width, values)
            except CorruptShard:  # in the cache, or on the store?
                forget_part(part)
                values = _array(manifest, layer, read_parts([part])[0])
                check_tensor(folder, manifest, layer, width, values)
            yield values


def _header(folder: RemotePath, manifest: ShardManifest) -> Part:
    """Return the part before the tensors, whose sizes are known from the manifest."""
    tensors = sum(
        manifest.n_rows(layer) * entry.width * np.dtype(entry.dtype).itemsize
        for layer, entry in manifest.layers.items()
    )
    place = folder / data_name(manifest.index)
    return Part(place, stat(place), 0, manifest.n_bytes - tensors)


def _layer(folder: RemotePath, manifest: ShardManifest, layer: str) -> Part:
    """Return the part with a layer; in safetensors, an 8-byte length and JSON precede tensors."""
    entry_of(manifest, layer)
    header = _header(folder, manifest)
    try:
        try:
            start, stop = _offsets(header, layer)
        except (ValueError, KeyError, TypeError):  # in the cache, or on the store?
            forget_part(header)
            start, stop = _offsets(header, layer)
    except (ValueError, KeyError, TypeError) as error:
        reason = f"its header is damaged ({error})"
        raise CorruptShard(folder, manifest.index, reason) from error
    return Part(header.place, header.state, header.stop + start, header.stop + stop)


def _offsets(header: Part, layer: str) -> tuple[int, int]:
    start, stop = json.loads(read_parts([header])[0][8:])[layer]["data_offsets"]
    return start, stop


def _array(manifest: ShardManifest, layer: str, data: bytes) -> Tensor:
    """Return the values (U, D), or without a second axis if their number does not fit."""
    dtype = np.dtype(manifest.layers[layer].dtype)
    values: Tensor = np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype)
    rows = manifest.n_rows(layer)
    return values.reshape(rows, -1) if len(values) % rows == 0 else values
