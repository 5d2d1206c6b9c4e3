"""Activation shards on disk: all layers of some utterances, complete and checked, or absent.

A shard is two files: ``shard-00003.safetensors``, with one tensor per layer, and
``shard-00003.json``, its manifest, which is written last: a shard without a manifest is unfinished.
Each layer has its own checksum, so that reading one layer does not read the others. A shard of
statistics (``jobs.gram.sums``) has the same form, but its rows are not utterances.

Legend: U utterances, D the pooled width of a layer.
"""

import errno
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from jobs.activations.cache_layout import data_path, manifest_path
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
from jobs.activations.remote import read_ahead, read_remote_tensors
from jobs.corpus.skipped import Skipped
from jobs.storage.location import Location
from jobs.storage.object_store import (
    atomic_path,
    exists,
    read_bytes,
    remove,
    rename,
    size,
    write_text,
)

FloatArray = npt.NDArray[np.float32]


def write_shard(
    folder: Location,
    index: int,
    activations: Mapping[str, npt.NDArray[np.floating[Any]]],
    utterance_ids: Sequence[str],
    skipped: Sequence[Skipped],
    info: dict[str, Any],
    skipped_files: Sequence[FileState] = (),
    *,
    sums: bool = False,
) -> ShardManifest:
    """Write a shard, replacing any shard of that index.

    Args:
        folder: folder of the model's activations; created if missing.
        index: position of the shard, from 0.
        activations: (U, D) float32 or float16 per layer, in depth order.
        utterance_ids: U, in the order of the rows.
        skipped: other utterances of the shard, with the reasons.
        info: plain JSON values, for information.
        skipped_files: for each of ``skipped``, the state of its file before it was read; without
            them the shard is stale from the start if anything was skipped.
        sums: ``activations`` are statistics, whose rows are not utterances.
    """
    arrays = {layer: np.ascontiguousarray(values) for layer, values in activations.items()}
    for layer, values in arrays.items():
        assert values.ndim == 2, (layer, values.shape)
        assert sums or len(values) == len(utterance_ids), (layer, values.shape)
    # A manifest must never be next to tensors of another version.
    remove(manifest_path(folder, index))
    with atomic_path(data_path(folder, index)) as temporary:
        save_tensors(arrays, temporary)
        n_bytes = temporary.stat().st_size
    manifest = ShardManifest(
        index=index,
        utterance_ids=tuple(utterance_ids),
        skipped=tuple(skipped),
        n_bytes=n_bytes,
        layers={
            layer: LayerEntry(
                values.shape[1],
                values.dtype.name,
                checksum(values),
                len(values) if sums else None,
            )
            for layer, values in arrays.items()
        },
        info=info,
        skipped_files=tuple(skipped_files),
    )
    write_text(manifest_path(folder, index), to_json(manifest))
    return manifest


def save_tensors(arrays: Mapping[str, npt.NDArray[Any]], path: Path) -> None:
    """Write contiguous ``arrays`` as safetensors.

    Raises:
        OSError: the file cannot be written, for example on a full disk.
    """
    try:
        save_file(dict(arrays), path)
    except SafetensorError as error:
        found = re.search(r"os error (\d+)", str(error))
        number = int(found[1]) if found else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from error


def look_into(folder: Location, n_shards: int) -> Location:
    """Return ``folder`` prepared for reading many manifests: a remote one is listed once."""
    if isinstance(folder, Path):
        return folder
    return read_ahead(folder, n_shards)


def read_manifest(folder: Location, index: int) -> ShardManifest | None:
    """Read the manifest of a finished shard; None if the shard was never finished.

    Raises:
        CorruptShard: the manifest is damaged, or the tensor file is absent or of another size.
    """
    try:
        manifest = from_json(read_bytes(manifest_path(folder, index)))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptShard(folder, index, f"its manifest is damaged ({error})") from error
    try:
        found = size(data_path(folder, index))
    except FileNotFoundError as error:
        raise CorruptShard(folder, index, "has a manifest but no tensor file") from error
    if found != manifest.n_bytes:
        raise CorruptShard(folder, index, f"expected {manifest.n_bytes} bytes, found {found}")
    return manifest


def read_layer(folder: Location, n_shards: int, layer: str) -> tuple[list[str], FloatArray]:
    """Read one layer of all shards, and nothing else of their files.

    Returns:
        The utterance ids, shard by shard, and their rows, (U, D) float32; (0, 0) if every
        utterance was skipped.

    Raises:
        CorruptShard: a shard is missing, or this layer of it is damaged.
        KeyError: the shards have no such layer.
    """
    folder = look_into(folder, n_shards)
    manifests = _finished(folder, n_shards)
    utterance_ids = [name for manifest in manifests for name in manifest.utterance_ids]
    width = entry_of(manifests[0], layer).width if manifests else 0
    values_UD = np.empty((len(utterance_ids), width), dtype=np.float32)
    start = 0
    for values in _read_tensors(folder, manifests, layer, width):
        stop = start + len(values)
        values_UD[start:stop] = values
        start = stop
    return utterance_ids, values_UD


def read_shard(
    folder: Location, index: int
) -> tuple[tuple[str, ...], dict[str, npt.NDArray[np.floating[Any]]]]:
    """Read a finished shard completely: its utterance ids, and each layer (U, D) as stored.

    Raises:
        FileNotFoundError: the shard was never finished.
        CorruptShard: the shard is damaged.
    """
    manifest = read_manifest(folder, index)
    if manifest is None:
        raise FileNotFoundError(f"{manifest_path(folder, index)}: no such shard")
    layers = {
        layer: values
        for layer, entry in manifest.layers.items()
        for values in _read_tensors(folder, [manifest], layer, entry.width)
    }
    return manifest.utterance_ids, layers


def read_names(folder: Location, n_shards: int) -> list[str]:
    """Read the utterance ids of all shards, shard by shard.

    Raises:
        CorruptShard: a shard is missing.
    """
    manifests = _finished(look_into(folder, n_shards), n_shards)
    return [name for manifest in manifests for name in manifest.utterance_ids]


def read_sums(folder: Location, n_shards: int, layer: str) -> Iterator[npt.NDArray[np.float64]]:
    """Yield the statistics of one layer, (rows, length) float64, shard by shard.

    Raises:
        CorruptShard: a shard is missing, or this layer of it is damaged.
        KeyError: the shards have no such layer.
    """
    folder = look_into(folder, n_shards)
    for manifest in _finished(folder, n_shards):
        width = entry_of(manifest, layer).width
        for values in _read_tensors(folder, [manifest], layer, width):
            yield values.astype(np.float64, copy=False)


def set_aside(folder: Location, index: int) -> list[Location]:
    """Rename the files of a shard to ``*.corrupt``, so that it counts as never extracted.

    Returns:
        The new locations.
    """
    moved = []
    for place in (manifest_path(folder, index), data_path(folder, index)):
        if exists(place):
            moved.append(rename(place, f"{place.name}.corrupt"))
    return moved


def _finished(folder: Location, n_shards: int) -> list[ShardManifest]:
    """Read the manifests of all shards; return those of shards that are not empty."""
    manifests = []
    for index in range(n_shards):
        manifest = read_manifest(folder, index)
        if manifest is None:
            raise CorruptShard(folder, index, "is missing, or was never finished")
        if manifest.utterance_ids:
            manifests.append(manifest)
    return manifests


def _read_tensors(
    folder: Location, manifests: Sequence[ShardManifest], layer: str, width: int
) -> Iterator[npt.NDArray[np.floating[Any]]]:
    """Yield a layer of each shard."""
    if not isinstance(folder, Path):
        yield from read_remote_tensors(folder, manifests, layer, width)
        return
    for manifest in manifests:
        entry_of(manifest, layer)
        try:
            with safe_open(data_path(folder, manifest.index), framework="numpy") as file:
                values: npt.NDArray[np.floating[Any]] = file.get_tensor(layer)
        except SafetensorError as error:
            reason = f"its header is damaged ({error})"
            raise CorruptShard(folder, manifest.index, reason) from error
        check_tensor(folder, manifest, layer, width, values)
        yield values
