"""Activation shards on disk: every layer of some utterances, whole and checked, or absent.

A shard is two files: ``shard-00003.safetensors``, one tensor a layer, and ``shard-00003.json``, its
manifest, written last: a shard without a manifest was never finished. Each layer has its own
checksum, so that reading one layer neither reads nor trusts the others.

Legend: U utterances, D the pooled width of a layer.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from jobs.corpus.table import Skipped
from jobs.files import atomic_path, write_text
from jobs.identity import canonical_json
from jobs.span import split_span

FloatArray = npt.NDArray[np.float32]
Dtype = Literal["float32", "float16"]


class CorruptShard(RuntimeError):  # noqa: N818 (a finding about data, as FileNotFound would be)
    """A shard that is missing or damaged; extracting it again, from its utterances, mends it."""

    def __init__(self, folder: Path, index: int, reason: str) -> None:
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
    """What a manifest says of one layer."""

    width: int
    dtype: str
    checksum: str
    """BLAKE2b of the tensor's bytes."""


@dataclass(frozen=True)
class FileState:
    """What a file looked like from outside; another state may well be another content."""

    n_bytes: int
    mtime_ns: int
    """Time of its last change, as the file system tells it."""


NOT_THERE = FileState(-1, -1)
"""Of a file that cannot be looked at."""


@dataclass(frozen=True)
class ShardManifest:
    """What a shard holds."""

    index: int
    utterance_ids: tuple[str, ...]
    """In the order of the rows."""
    skipped: tuple[Skipped, ...]
    n_bytes: int
    """Size of the tensor file."""
    layers: dict[str, LayerEntry]
    """In depth order. Empty if every utterance was skipped: nothing was read to learn widths."""
    info: dict[str, Any]
    """Timing and the like; nothing reads it but people."""
    skipped_files: tuple[FileState, ...] = ()
    """The audio files of ``skipped``, before they were read."""


def data_path(folder: Path, index: int) -> Path:
    """The tensors of shard ``index``."""
    return folder / f"shard-{index:05d}.safetensors"


def manifest_path(folder: Path, index: int) -> Path:
    """The manifest of shard ``index``."""
    return folder / f"shard-{index:05d}.json"


def as_dtype(layer: str, values: FloatArray, dtype: Dtype) -> npt.NDArray[np.floating[Any]]:
    """``values`` as they are to be stored. Half precision costs about 2e-4 of a value.

    Values that are not finite stay as they are.

    Raises:
        OverflowError: a finite value has no place in half precision.
    """
    if dtype == "float32":
        return values
    with np.errstate(over="ignore"):
        stored = values.astype(np.float16)
    if np.any(np.isinf(stored) & np.isfinite(values)):
        largest = np.max(np.abs(values), where=np.isfinite(values), initial=0)
        raise OverflowError(
            f"layer {layer!r} reaches {largest:.4g}, beyond the ±65504 of float16; "
            "store this model with dtype float32"
        )
    return stored


def write_shard(
    folder: Path,
    index: int,
    activations: Mapping[str, npt.NDArray[np.floating[Any]]],
    utterance_ids: Sequence[str],
    skipped: Sequence[Skipped],
    info: dict[str, Any],
    skipped_files: Sequence[FileState] = (),
) -> ShardManifest:
    """Write a shard; a shard of that index is replaced.

    Args:
        folder: of the model's activations; made if absent.
        index: of the shard, from 0.
        activations: (U, D) float32 or float16 per layer, in depth order.
        utterance_ids: U, in the order of the rows.
        skipped: utterances of the shard that are not among them, and why.
        info: plain JSON values for people.
        skipped_files: for each of ``skipped``, the state of its file before it was read; without
            them the shard is stale from the start if anything was skipped.
    """
    arrays = {layer: np.ascontiguousarray(values) for layer, values in activations.items()}
    for layer, values in arrays.items():
        assert values.ndim == 2 and len(values) == len(utterance_ids), (layer, values.shape)
    # Never a manifest beside tensors that are not its own.
    manifest_path(folder, index).unlink(missing_ok=True)
    with atomic_path(data_path(folder, index)) as temporary:
        save_file(arrays, temporary)
    manifest = ShardManifest(
        index=index,
        utterance_ids=tuple(utterance_ids),
        skipped=tuple(skipped),
        n_bytes=data_path(folder, index).stat().st_size,
        layers={
            layer: LayerEntry(values.shape[1], values.dtype.name, _checksum(values))
            for layer, values in arrays.items()
        },
        info=info,
        skipped_files=tuple(skipped_files),
    )
    write_text(manifest_path(folder, index), _to_json(manifest))
    return manifest


def read_manifest(folder: Path, index: int) -> ShardManifest | None:
    """The manifest of a finished shard; None if the shard was never finished.

    Raises:
        CorruptShard: the manifest is damaged, or the tensor file is absent or of another size.
    """
    try:
        text = manifest_path(folder, index).read_bytes()
    except FileNotFoundError:
        return None
    try:
        manifest = _from_json(text)
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptShard(folder, index, f"its manifest is damaged ({error})") from error
    try:
        found = data_path(folder, index).stat().st_size
    except FileNotFoundError as error:
        raise CorruptShard(folder, index, "has a manifest but no tensor file") from error
    if found != manifest.n_bytes:
        raise CorruptShard(folder, index, f"expected {manifest.n_bytes} bytes, found {found}")
    return manifest


def read_layer(folder: Path, n_shards: int, layer: str) -> tuple[list[str], FloatArray]:
    """One layer of all shards; the rest of the files is not read, and nothing is written.

    Returns:
        The utterance ids, shard after shard, and their rows, (U, D) float32; (0, 0) if every
        utterance was skipped.

    Raises:
        CorruptShard: a shard is missing, or this layer of it is damaged.
        KeyError: the shards have no such layer.
    """
    manifests = []
    for index in range(n_shards):
        manifest = read_manifest(folder, index)
        if manifest is None:
            raise CorruptShard(folder, index, "is missing, or was never finished")
        if manifest.utterance_ids:
            manifests.append(manifest)
    utterance_ids = [name for manifest in manifests for name in manifest.utterance_ids]
    width = _entry(manifests[0], layer).width if manifests else 0
    values_UD = np.empty((len(utterance_ids), width), dtype=np.float32)
    start = 0
    for manifest in manifests:
        stop = start + len(manifest.utterance_ids)
        values_UD[start:stop] = _read_tensor(folder, manifest, layer, width)
        start = stop
    return utterance_ids, values_UD


def file_state(audio_path: str) -> FileState:
    """The state of an audio file, or of the file that a piece is of."""
    path, _ = split_span(audio_path)
    try:
        status = path.stat()
    except OSError:
        return NOT_THERE
    return FileState(status.st_size, status.st_mtime_ns)


def has_stale_skips(manifest: ShardManifest, audio_paths: Mapping[str, str]) -> bool:
    """Whether a skipped utterance's file is not the one that was found unusable.

    A damaged FLAC and its repair have the same header, so that the shard's id does not tell.

    Args:
        manifest: of a finished shard.
        audio_paths: utterance id → where its audio lies now.
    """
    if len(manifest.skipped_files) != len(manifest.skipped):
        return True
    return any(
        file_state(audio_paths.get(skipped.utterance_id, skipped.path)) != state
        for skipped, state in zip(manifest.skipped, manifest.skipped_files, strict=True)
    )


def set_aside(folder: Path, index: int) -> list[Path]:
    """Rename what there is of a shard to ``*.corrupt``, so that it counts as never extracted.

    Returns:
        The new paths.
    """
    moved = []
    for path in (manifest_path(folder, index), data_path(folder, index)):
        if path.exists():
            moved.append(path.replace(path.with_name(f"{path.name}.corrupt")))
    return moved


def _entry(manifest: ShardManifest, layer: str) -> LayerEntry:
    if layer not in manifest.layers:
        raise KeyError(f"no layer {layer!r} in the shard: found {', '.join(manifest.layers)}")
    return manifest.layers[layer]


def _read_tensor(
    folder: Path, manifest: ShardManifest, layer: str, width: int
) -> npt.NDArray[np.floating[Any]]:
    entry = _entry(manifest, layer)
    try:
        with safe_open(data_path(folder, manifest.index), framework="numpy") as file:
            values: npt.NDArray[np.floating[Any]] = file.get_tensor(layer)
    except SafetensorError as error:
        raise CorruptShard(folder, manifest.index, f"its header is damaged ({error})") from error
    expected = (len(manifest.utterance_ids), width)
    if values.shape != expected or values.dtype.name != entry.dtype:
        reason = (
            f"layer {layer!r}: expected {expected} {entry.dtype}, "
            f"found {values.shape} {values.dtype.name}"
        )
        raise CorruptShard(folder, manifest.index, reason)
    if _checksum(values) != entry.checksum:
        raise CorruptShard(folder, manifest.index, f"layer {layer!r}: its checksum is wrong")
    return values


def _checksum(values: npt.NDArray[np.floating[Any]]) -> str:
    return hashlib.blake2b(values.reshape(-1).view(np.uint8).data, digest_size=16).hexdigest()


def _to_json(manifest: ShardManifest) -> str:
    body = {
        "index": manifest.index,
        "utterance_ids": list(manifest.utterance_ids),
        "skipped": [[s.utterance_id, s.path, s.reason] for s in manifest.skipped],
        "n_bytes": manifest.n_bytes,
        "layers": [[k, v.width, v.dtype, v.checksum] for k, v in manifest.layers.items()],
        "info": manifest.info,
        "skipped_files": [[state.n_bytes, state.mtime_ns] for state in manifest.skipped_files],
    }
    return json.dumps({"checksum": _body_checksum(body), **body}, indent=1) + "\n"


def _from_json(text: bytes) -> ShardManifest:
    body = json.loads(text)
    if not isinstance(body, dict) or body.pop("checksum", None) != _body_checksum(body):
        raise ValueError("its checksum is wrong")
    return ShardManifest(
        index=body["index"],
        utterance_ids=tuple(body["utterance_ids"]),
        skipped=tuple(Skipped(*fields) for fields in body["skipped"]),
        n_bytes=body["n_bytes"],
        layers={layer: LayerEntry(*fields) for layer, *fields in body["layers"]},
        info=body["info"],
        # Absent in shards from before it was recorded.
        skipped_files=tuple(FileState(*fields) for fields in body.get("skipped_files", [])),
    )


def _body_checksum(body: dict[str, Any]) -> str:
    return hashlib.blake2b(canonical_json(body).encode(), digest_size=16).hexdigest()
