"""Extracts a model's pooled activations of utterances, all taps from one forward pass each.

Legend: U utterances, D the pooled width of a layer.
"""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from jobs.activations.contents import Row, read_rows
from jobs.activations.dtype import as_dtype
from jobs.activations.manifest import CorruptShard, FileState, ShardManifest
from jobs.activations.skips import file_state, has_stale_skips
from jobs.activations.store import read_manifest, write_shard
from jobs.audio.features import pieces
from jobs.audio.read import AudioError, load_audio
from jobs.corpus.skipped import Skipped
from jobs.extraction.forward import Batching, Forward, Reading
from jobs.extraction.settings import ExtractSettings
from jobs.extraction.shard import Shard, ShardReport
from jobs.gram.sums import Labels, LayerSums
from jobs.models import is_baseline, load_model, source_of
from jobs.models.describe import weights_digest
from jobs.models.errors import ModelError
from jobs.models.precision import precision_info, precision_of

Stored = npt.NDArray[np.floating[Any]]

LOT = 64
"""Number of utterances whose activations are in memory at a time if only statistics are stored."""


@dataclass(frozen=True)
class _Loaded:
    """One utterance of a shard, ready for the network, or the reason why it is not."""

    inputs: list[Tensor]
    """One input, or several if the utterance is read in windows."""
    skipped: Skipped | None
    file: FileState
    """State of the audio file before it was read."""


@dataclass
class _Done:
    """Results for some utterances."""

    layers: dict[str, Stored]
    utterance_ids: list[str]
    """Utterances of the rows of ``layers``."""
    skipped: list[tuple[Skipped, FileState]]
    load_seconds: float = 0.0
    forward_seconds: float = 0.0
    frames_computed: int = 0
    frames_useful: int = 0

    def count(self, other: "_Done") -> None:
        """Add everything from ``other`` except its layers."""
        self.utterance_ids += other.utterance_ids
        self.skipped += other.skipped
        self.load_seconds += other.load_seconds
        self.forward_seconds += other.forward_seconds
        self.frames_computed += other.frames_computed
        self.frames_useful += other.frames_useful


class Extractor:
    """A loaded model that extracts shards; it is made once for many.

    Several threads may each extract a shard: while one computes, the others load and write.

    Args:
        settings: settings of the extraction.
        device: a torch device, such as ``cpu`` or ``cuda:0``.
        batching: which utterances share a pass; values differ only by rounding.
        loaders: threads that make a shard's inputs; by default as many as torch has on a GPU, and
            one beside the network on a CPU.

    Raises:
        ModelError: the model cannot be loaded, or not with this precision on this device.
    """

    def __init__(
        self,
        settings: ExtractSettings,
        device: str = "cpu",
        batching: Batching = "auto",
        loaders: int | None = None,
    ) -> None:
        self._settings = settings
        on = torch.device(device)
        model = load_model(settings.model)
        self._digest = weights_digest(model)
        self._front_end = model.front_end(settings.features)
        precision = precision_of(settings.model)
        self._forward = Forward(model, settings.pooling, on, precision, batching)
        self._device = on
        self._computing, self._summing = Lock(), Lock()
        if loaders is None:
            loaders = torch.get_num_threads() if on.type == "cuda" else 1
        self._loaders = ThreadPoolExecutor(loaders, "loader") if loaders > 1 else None

    def extract(self, shard: Shard) -> ShardReport:
        """Compute and store a shard.

        An utterance whose audio cannot be used is skipped with its reason. Activations that are
        not finite are stored as they are. Utterances that other shards have are copied from there:
        their values differ from those of a new pass only by rounding. A shard that another run,
        sharing the cache, has finished is kept: probes may read it already, and writing it anew
        would take it away from them.

        Raises:
            ModelError: the model is not the one that the shard was planned for.
            AudioUnavailable: a file cannot be read, which says nothing of what is in it.
            OverflowError: a value does not fit the dtype that is to be stored.
            InputTooLarge: an utterance does not fit the device's memory.
        """
        start = time.perf_counter()
        if shard.model_digest != self._digest:
            raise ModelError(self._changed(shard.model_digest))
        found = _whole(shard)
        if found:
            return _report(found, start)
        copied: dict[str, Row] = {}
        if shard.labels is None:
            copied = read_rows(shard.cached)
            paths = {name: path for name, path in shard.paths.items() if name not in copied}
            done = _with_rows(self._read(*self._load(paths)), copied, shard.utterance_ids)
        else:
            done = self._sum(shard.paths, shard.labels)
        info = {
            "load_seconds": done.load_seconds,
            "forward_seconds": done.forward_seconds,
            "batches": "masked" if self._forward.masks else "equal lengths",
            **precision_info(precision_of(self._settings.model), self._forward.errors),
        }
        found = _whole(shard)
        manifest = found or write_shard(
            shard.folder, shard.index, done.layers, done.utterance_ids,
            [one for one, _ in done.skipped], info, [file for _, file in done.skipped],
            sums=shard.labels is not None,
        )  # fmt: skip
        return replace(
            _report(manifest, start),
            frames_computed=done.frames_computed,
            frames_useful=done.frames_useful,
            bytes_written=0 if found else manifest.n_bytes,
            forward_seconds=done.forward_seconds,
            copied=0 if found else len(copied),
        )

    def _changed(self, planned: str) -> str:
        model = self._settings.model
        where = source_of(model)
        return (
            f"{model.name}: the weights{f' in {where}' if where else ''} changed since the plan "
            f"was made: expected the digest {planned}, found {self._digest}; run again to plan anew"
        )

    def _load(self, paths: Mapping[str, str]) -> tuple[dict[str, _Loaded], float]:
        """Load the utterances of ``paths``: by id, in order, with the seconds that it took."""
        start = time.perf_counter()
        load = self._loaders.map if self._loaders else map
        loaded = dict(zip(paths, load(self._load_one, paths, paths.values()), strict=True))
        return loaded, time.perf_counter() - start

    def _load_one(self, utterance_id: str, path: str) -> _Loaded:
        state = file_state(path)
        try:
            wave = load_audio(path)
            # A baseline describes the whole utterance, even if networks see only part of it.
            whole = is_baseline(self._settings.model)
            waves = [wave] if whole else pieces(wave, self._settings.features)
            return _Loaded([self._front_end(one) for one in waves], None, state)
        except AudioError as error:
            return _Loaded([], Skipped(utterance_id, path, str(error)), state)

    def _read(self, loaded: Mapping[str, _Loaded], load_seconds: float) -> _Done:
        """Compute the layers of loaded utterances."""
        usable = {name: one.inputs for name, one in loaded.items() if not one.skipped}
        inputs = [(name, one) for name, several in usable.items() for one in several]
        with self._computing:
            begun = time.perf_counter()
            reading = self._forward.read([one for _, one in inputs], [name for name, _ in inputs])
            stored = self._stored(reading, [len(several) for several in usable.values()])
            seconds = time.perf_counter() - begun
        return _Done(
            stored,
            list(usable),
            [(one.skipped, one.file) for one in loaded.values() if one.skipped],
            load_seconds,
            seconds,
            reading.frames_computed,
            reading.frames_useful,
        )

    def _sum(self, paths: Mapping[str, str], labels: Labels) -> _Done:
        """Compute statistics of utterances in lots, loading one lot while another is computed.

        Two shards at a time would take twice the memory, so the second one waits.
        """
        done, sums = _Done({}, [], []), LayerSums(labels.settings, self._device)
        names, row = list(paths), {name: i for i, name in enumerate(paths)}
        lots = [names[i : i + LOT] for i in range(0, len(names), LOT)]
        with self._summing, ThreadPoolExecutor(1, "next lot") as ahead:
            loading = [ahead.submit(self._load, {n: paths[n] for n in lot}) for lot in lots[:1]]
            for lot in [*lots[1:], []]:
                ready = loading.pop().result()
                loading.append(ahead.submit(self._load, {name: paths[name] for name in lot}))
                read = self._read(*ready)
                sums.add(read.layers, labels.values[[row[name] for name in read.utterance_ids]])
                done.count(read)
            done.layers.update(sums.packed())
        return done

    def _stored(self, reading: Reading, n_inputs: list[int]) -> dict[str, Stored]:
        """Return each layer (U, D) as stored: the mean over the inputs of each utterance."""
        stored = {}
        for layer, values in reading.values.items():
            if len(values) > len(n_inputs):
                values = torch.stack([one.mean(dim=0) for one in torch.split(values, n_inputs)])
            stored[layer] = as_dtype(layer, values.numpy(force=True), self._settings.dtype)
        return stored


def _with_rows(done: _Done, rows: Mapping[str, Row], order: Sequence[str]) -> _Done:
    """Add copied rows to computed ones; all rows are in the given order of utterances."""
    if not rows:
        return done
    computed = {name: row for row, name in enumerate(done.utterance_ids)}
    names = [name for name in order if name in computed or name in rows]
    return replace(
        done,
        utterance_ids=names,
        layers={
            layer: np.stack(
                [
                    rows[name][layer] if name in rows else done.layers[layer][computed[name]]
                    for name in names
                ]
            )
            for layer in next(iter(rows.values()))
        },
    )


def _whole(shard: Shard) -> ShardManifest | None:
    """Return the manifest of a finished shard if no skipped file has changed since, else None."""
    try:
        manifest = read_manifest(shard.folder, shard.index)
    except CorruptShard:
        return None
    if manifest and has_stale_skips(manifest, shard.paths):
        return None
    return manifest


def _report(manifest: ShardManifest, start: float) -> ShardReport:
    """Report a shard for which nothing was computed; ``start`` is from ``time.perf_counter``."""
    return ShardReport(
        index=manifest.index,
        n_utterances=len(manifest.utterance_ids),
        skipped=manifest.skipped,
        seconds=time.perf_counter() - start,
        frames_computed=0,
        frames_useful=0,
        bytes_written=0,
    )
