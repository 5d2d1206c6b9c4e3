"""The manifest of a shard, and its JSON form."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs.activations.cache_layout import data_path
from jobs.corpus.skipped import Skipped
from jobs.identity import canonical_json, canonical_text
from jobs.storage.json_files import parse_json
from jobs.storage.location import Location, RemotePath


class CorruptShard(RuntimeError):  # noqa: N818 (a finding about data, as FileNotFound would be)
    """A shard that is missing or damaged; extracting it again from its utterances repairs it."""

    def __init__(self, folder: Location, index: int, reason: str) -> None:
        folder = folder if isinstance(folder, Path) else RemotePath(folder.url)
        super().__init__(folder, index, reason)
        self.folder = folder
        self.index = index
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"{data_path(self.folder, self.index)}: {self.reason}; extract this shard again "
            "(a further run does)"
        )


@dataclass(frozen=True)
class LayerEntry:
    """A manifest's entry for one layer."""

    width: int
    dtype: str
    checksum: str
    """BLAKE2b of the tensor's bytes."""
    rows: int | None = None
    """Rows of a tensor of statistics; None: one row per utterance."""


@dataclass(frozen=True)
class FileState:
    """Size and modification time of a file; if they differ, its content may have changed."""

    n_bytes: int
    mtime_ns: int
    """Time of its last modification, in the file system's clock."""


MISSING_FILE = FileState(-1, -1)
"""State of a file whose status cannot be read."""


@dataclass(frozen=True)
class ShardManifest:
    """Contents of a shard."""

    index: int
    utterance_ids: tuple[str, ...]
    """In the order of the rows."""
    skipped: tuple[Skipped, ...]
    n_bytes: int
    """Size of the tensor file."""
    layers: dict[str, LayerEntry]
    """In depth order. Empty if every utterance was skipped: nothing was read to learn widths."""
    info: dict[str, Any]
    """Timing and the like, for information; besides, measured errors of the precision."""
    skipped_files: tuple[FileState, ...] = ()
    """States of the audio files of ``skipped`` before they were read."""

    def n_rows(self, layer: str) -> int:
        """Return the number of rows of a layer's tensor."""
        rows = self.layers[layer].rows
        return len(self.utterance_ids) if rows is None else rows


def entry_of(manifest: ShardManifest, layer: str) -> LayerEntry:
    """Return the manifest's entry for a layer.

    Raises:
        KeyError: the shard has no such layer.
    """
    if layer not in manifest.layers:
        raise KeyError(f"no layer {layer!r} in the shard: found {', '.join(manifest.layers)}")
    return manifest.layers[layer]


def check_tensor(
    folder: Location,
    manifest: ShardManifest,
    layer: str,
    width: int,
    values: npt.NDArray[np.floating[Any]],
) -> None:
    """Compare a layer that was read with its entry in the manifest.

    Raises:
        CorruptShard: shape, type or checksum differ.
    """
    entry = entry_of(manifest, layer)
    expected = (manifest.n_rows(layer), width)
    if values.shape != expected or values.dtype.name != entry.dtype:
        reason = (
            f"layer {layer!r}: expected {expected} {entry.dtype}, "
            f"found {values.shape} {values.dtype.name}"
        )
        raise CorruptShard(folder, manifest.index, reason)
    if checksum(values) != entry.checksum:
        raise CorruptShard(folder, manifest.index, f"layer {layer!r}: its checksum is wrong")


def checksum(values: npt.NDArray[np.floating[Any]]) -> str:
    """Return the checksum of a tensor's bytes."""
    return hashlib.blake2b(values.reshape(-1).view(np.uint8).data, digest_size=16).hexdigest()


def to_json(manifest: ShardManifest) -> str:
    """Return the manifest as JSON, with a checksum of its own."""
    body = {
        "index": manifest.index,
        "utterance_ids": list(manifest.utterance_ids),
        "skipped": [[s.utterance_id, s.path, s.reason] for s in manifest.skipped],
        "n_bytes": manifest.n_bytes,
        "layers": [
            [k, v.width, v.dtype, v.checksum, *([] if v.rows is None else [v.rows])]
            for k, v in manifest.layers.items()
        ],
        "info": manifest.info,
        "skipped_files": [[state.n_bytes, state.mtime_ns] for state in manifest.skipped_files],
    }
    return json.dumps({"checksum": _digest(canonical_json(body)), **body}, indent=1) + "\n"


def from_json(text: bytes) -> ShardManifest:
    """Read a manifest from JSON.

    Raises:
        ValueError, KeyError, TypeError: it is damaged.
    """
    body = parse_json(text)
    if body.pop("checksum", None) != _digest(canonical_text(body)):
        raise ValueError("its checksum is wrong")
    return ShardManifest(
        index=body["index"],
        utterance_ids=tuple(body["utterance_ids"]),
        skipped=tuple(Skipped(*fields) for fields in body["skipped"]),
        n_bytes=body["n_bytes"],
        layers={layer: LayerEntry(*fields) for layer, *fields in body["layers"]},
        info=body["info"],
        # Absent from old shards.
        skipped_files=tuple(FileState(*fields) for fields in body.get("skipped_files", [])),
    )


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
