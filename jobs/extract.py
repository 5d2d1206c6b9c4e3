"""One model's pooled activations of some utterances: every tap from one forward pass each.

Legend: U utterances, D the pooled width of a layer.
"""

import time
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from jobs.corpus.table import Skipped
from jobs.features import AudioError, FeatureSettings, load_audio
from jobs.models import ModelError, ModelSettings, load_model, weights_digest
from jobs.models.baselines import BaselineSettings
from jobs.models.taps import POOLINGS, Pooling, TapReader
from jobs.settings import Settings
from jobs.store import (
    CorruptShard,
    Dtype,
    FileState,
    ShardManifest,
    as_dtype,
    file_state,
    has_stale_skips,
    read_manifest,
    write_shard,
)

EXTRACT_VERSION = 1
"""Raised when the same settings give other activations than before: part of every activation id."""

MAX_BATCH_FRAMES = 3200
"""Utterances of equal length share a pass up to so many frames: enough to fill a GPU, and a bound
on memory (at 64 channels, 65 MB a value of the stem per 3200 frames of 80 bins)."""


class ExtractSettings(Settings):
    """What changes the activations."""

    model: ModelSettings
    features: FeatureSettings = FeatureSettings()
    pooling: Pooling = "mean"
    dtype: Dtype = "float32"
    """Of the stored values; the computation is in float32."""


@dataclass(frozen=True)
class Shard:
    """Some utterances, and where their activations go."""

    folder: Path
    index: int
    utterance_ids: tuple[str, ...]
    audio_paths: tuple[str, ...]
    model_digest: str
    """`weights_digest` of the model that the folder is for."""

    @property
    def paths(self) -> dict[str, str]:
        """Utterance id → its audio."""
        return dict(zip(self.utterance_ids, self.audio_paths, strict=True))


@dataclass(frozen=True)
class ShardReport:
    """What became of a shard."""

    index: int
    n_utterances: int
    """Stored, skipped ones not among them."""
    skipped: tuple[Skipped, ...]
    seconds: float
    """Wall time, reading and writing included."""
    frames_computed: int
    """Frames that went through the network."""
    frames_useful: int
    """Frames of the utterances: equal to those computed as long as nothing is padded."""
    bytes_written: int
    """Of tensors; 0 where the shard was there already."""


class Extractor:
    """A loaded model; build it once and give it shard after shard.

    Args:
        settings: what to compute.
        device: a torch device, such as ``cpu`` or ``cuda:0``.

    Raises:
        ModelError: the model cannot be loaded.
    """

    def __init__(self, settings: ExtractSettings, device: str = "cpu") -> None:
        self._settings = settings
        self._device = torch.device(device)
        # A GPU's convolutions would else round to 10 bits, under the same id as float32 on a CPU.
        torch.backends.cudnn.allow_tf32 = False
        model = load_model(settings.model)
        self._digest = weights_digest(model)
        self._front_end = model.front_end(settings.features)
        self._reader = TapReader(
            model.module.to(self._device), model.taps, POOLINGS[settings.pooling]
        )

    def extract(self, shard: Shard) -> ShardReport:
        """Compute and store a shard.

        An utterance whose audio cannot be used is skipped with its reason. Activations that are
        not finite are stored as they are. A shard that another run, sharing the cache, has finished
        is kept: probes may read it already, and writing it anew would take it away from them.

        Raises:
            ModelError: the model is not the one that the shard was planned for.
            AudioUnavailable: a file cannot be read, which says nothing of what is in it.
            OverflowError: a value does not fit the dtype that is to be stored.
        """
        start = time.perf_counter()
        if shard.model_digest != self._digest:
            raise ModelError(self._changed(shard.model_digest))
        found = _whole(shard)
        if found:
            return _report(found, start)
        utterance_ids, features, skipped, files = self._load(shard)
        loaded = time.perf_counter()
        activations, frames_computed = self._activations(features)
        stored = {
            layer: as_dtype(layer, values_UD.numpy(force=True), self._settings.dtype)
            for layer, values_UD in activations.items()
        }
        computed = time.perf_counter()
        info = {"load_seconds": loaded - start, "forward_seconds": computed - loaded}
        found = _whole(shard)
        manifest = found or write_shard(
            shard.folder, shard.index, stored, utterance_ids, skipped, info, files
        )
        return replace(
            _report(manifest, start),
            frames_computed=frames_computed,
            frames_useful=sum(len(one) for one in features),
            bytes_written=0 if found else manifest.n_bytes,
        )

    def _changed(self, planned: str) -> str:
        model = self._settings.model
        where = None if isinstance(model, BaselineSettings) else model.checkpoint
        return (
            f"{model.name}: the weights{f' in {where}' if where else ''} changed since the plan "
            f"was made: expected the digest {planned}, found {self._digest}; run again to plan anew"
        )

    def _load(self, shard: Shard) -> tuple[list[str], list[Tensor], list[Skipped], list[FileState]]:
        """Ids and features of what can be used; the rest, and its files as they were before."""
        utterance_ids, features, skipped, files = [], [], [], []
        for utterance_id, path in zip(shard.utterance_ids, shard.audio_paths, strict=True):
            state = file_state(path)
            try:
                features.append(self._front_end(load_audio(path)))
                utterance_ids.append(utterance_id)
            except AudioError as error:
                skipped.append(Skipped(utterance_id, path, str(error)))
                files.append(state)
        return utterance_ids, features, skipped, files

    def _activations(self, features: list[Tensor]) -> tuple[dict[str, Tensor], int]:
        """Of each layer (U, D), and the frames computed."""
        activations: dict[str, Tensor] = {}
        frames_computed = 0
        for rows in _equal_shapes(features):
            batch = torch.stack([features[row] for row in rows]).to(self._device)
            frames_computed += batch.shape[0] * batch.shape[1]
            for layer, values_BD in self._reader.read(batch).items():
                if layer not in activations:
                    activations[layer] = values_BD.new_empty(len(features), values_BD.shape[1])
                activations[layer][rows] = values_BD
        return activations, frames_computed


def _whole(shard: Shard) -> ShardManifest | None:
    """The shard if it is finished, and none of the files that it left out has changed since."""
    try:
        manifest = read_manifest(shard.folder, shard.index)
    except CorruptShard:
        return None
    if manifest and has_stale_skips(manifest, shard.paths):
        return None
    return manifest


def _report(manifest: ShardManifest, start: float) -> ShardReport:
    """Of a shard for which nothing was computed; ``start`` by ``time.perf_counter``."""
    return ShardReport(
        index=manifest.index,
        n_utterances=len(manifest.utterance_ids),
        skipped=manifest.skipped,
        seconds=time.perf_counter() - start,
        frames_computed=0,
        frames_useful=0,
        bytes_written=0,
    )


def _equal_shapes(features: list[Tensor]) -> list[list[int]]:
    """Positions in ``features``, in batches of equal shape, in their order."""
    rows_of_shape: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
    for row, one in enumerate(features):
        rows_of_shape[tuple(one.shape)].append(row)
    batches = []
    for shape, rows in rows_of_shape.items():
        size = max(1, MAX_BATCH_FRAMES // shape[0])
        batches += [rows[start : start + size] for start in range(0, len(rows), size)]
    return batches
