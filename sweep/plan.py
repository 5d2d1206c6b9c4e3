"""The plan: which activations, which layers, which cells; made from values, touching nothing.

Identity has two levels. An *activation id* stands for the pooled activations of one model on one
part of the corpus; a *cell id* for one score: activations, layer, target, probe, protocol, seed,
fold, control. Only what changes the numbers is hashed.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from jobs.corpus.table import audio_digest_of_table, label_digest
from jobs.extract import EXTRACT_VERSION, ExtractSettings, Shard
from jobs.identity import canonical_json, content_id, lines_digest
from jobs.models import ModelInfo, ModelSettings, with_absolute_paths
from jobs.models.baselines import BASELINE_PREFIX, BaselineSettings
from jobs.models.taps import select_taps
from jobs.probe import Cell
from jobs.probes import PROBE_VERSION, ProbeSettings, probe_name, seed_count
from jobs.protocol import KFoldProtocol, ProtocolSettings, group_labels
from jobs.settings import Settings
from sweep.ledger import Record
from sweep.spec import Spec

SHARD_UTTERANCES = 64
"""Utterances of a shard at most: what a crash can cost."""
SHARD_BYTES = 256 * 2**20
"""Activation bytes of a shard at most: what an extractor holds in memory."""


class PlannedSet(Settings):
    """The activations of one model on one part of the corpus."""

    split: str
    activation_id: str
    model_digest: str
    n_utterances: int
    shard_size: int
    """Utterances a shard; the last has the rest."""

    @property
    def n_shards(self) -> int:
        """Shards of the set."""
        return math.ceil(self.n_utterances / self.shard_size)

    def folder(self, cache: Path) -> Path:
        """Where its shards lie."""
        return cache / "activations" / self.activation_id


class PlannedLayer(Settings):
    """A layer that is probed."""

    index: int
    """Among all taps of the model, in depth order."""
    name: str
    study_name: str
    width: int


class PlannedModel(Settings):
    """A model, the activations it needs, the layers that are probed."""

    name: str
    extract: ExtractSettings
    architecture: str
    digest: str
    n_parameters: int
    row_bytes: int
    """Stored activation bytes of one utterance, all taps."""
    sets: tuple[PlannedSet, ...]
    layers: tuple[PlannedLayer, ...]


class Plan(Settings):
    """Everything that a run consists of; ``layer_tasks`` spells the cells out."""

    name: str
    models: tuple[PlannedModel, ...]
    targets: dict[str, str]
    """Target name → digest of its labels."""
    probes: dict[str, ProbeSettings]
    protocol: ProtocolSettings
    groups: str | None = None
    """Digest of what the protocol keeps together, where it is not the speakers, whom the labels
    know."""
    n_folds: int
    controls: tuple[str, ...]
    """``none`` first."""

    @property
    def n_cells(self) -> int:
        """Cells of the whole plan."""
        seeds = sum(seed_count(probe) for probe in self.probes.values())
        layers = sum(len(model.layers) for model in self.models)
        return layers * len(self.targets) * seeds * self.n_folds * len(self.controls)


@dataclass(frozen=True)
class LayerTask:
    """One layer of one model with its cells: the unit of probing."""

    model: PlannedModel
    layer: PlannedLayer
    cells: tuple[Cell, ...]


def make_plan(spec: Spec, table: pd.DataFrame, models: Mapping[str, ModelInfo]) -> Plan:
    """Lay out a spec over an utterance table.

    Args:
        spec: the spec.
        table: the utterance table, with the spec's targets as columns.
        models: what is known of each model, baselines included, by name, in table order.
    """
    protocol = spec.protocol
    parts = used_parts(spec, table)
    audio = {part: audio_digest_of_table(table[table["split"] == part]) for part in parts}
    counts = Counter(table["split"])
    settings = {model.name: model for model in all_models(spec)}
    planned = []
    for name, info in models.items():
        extract = ExtractSettings(
            model=with_absolute_paths(settings[name]),
            features=spec.features,
            pooling=spec.pooling,
            dtype=spec.dtype,
        )
        planned.append(_plan_model(extract, info, spec.layers, audio, counts))
    return Plan(
        name=spec.name,
        models=tuple(planned),
        targets={target: label_digest(table, target) for target in spec.targets},
        probes={probe_name(probe): probe for probe in spec.probes},
        protocol=protocol,
        groups=_groups_digest(protocol, table),
        n_folds=protocol.folds if isinstance(protocol, KFoldProtocol) else 1,
        controls=("none", *spec.controls),
    )


def layer_tasks(plan: Plan) -> Iterator[LayerTask]:
    """Every (model, layer) with all its cells, model by model, in depth order."""
    for model in plan.models:
        for layer in model.layers:
            yield LayerTask(model, layer, tuple(_cells(plan, model, layer)))


def made_from(plan: Plan, model: PlannedModel, target: str, probe: str) -> dict[str, str]:
    """The ingredients of a cell that can change under it, as ids."""
    return {
        "activations": content_id([[s.split, s.activation_id] for s in model.sets]),
        "labels": plan.targets[target],
        "probe": content_id(plan.probes[probe].identity()),
        "protocol": content_id(
            [plan.protocol.identity(), plan.groups] if plan.groups else plan.protocol.identity()
        ),
        "version": str(PROBE_VERSION),
    }


def shards(planned: PlannedSet, table: pd.DataFrame, cache: Path) -> list[Shard]:
    """The work units of an activation set: ranges of utterances in table order × all taps."""
    rows = table[table["split"] == planned.split]
    ids, paths = list(rows["utterance_id"]), list(rows["audio_path"])
    size = planned.shard_size
    return [
        Shard(
            folder=planned.folder(cache),
            index=index,
            utterance_ids=tuple(ids[index * size : (index + 1) * size]),
            audio_paths=tuple(paths[index * size : (index + 1) * size]),
            model_digest=planned.model_digest,
        )
        for index in range(planned.n_shards)
    ]


def why_stale(plan: Plan, records: Iterable[Record]) -> Counter[str]:
    """Why records that stand at a planned place have another id than planned, counted."""
    current: dict[tuple[str, ...], tuple[str, dict[str, str]]] = {}
    for task in layer_tasks(plan):
        for cell in task.cells:
            ingredients = made_from(plan, task.model, cell.target, cell.probe)
            current[_place(task, cell)] = (cell.cell_id, ingredients)
    planned_ids = {cell_id for cell_id, _ in current.values()}
    reasons: Counter[str] = Counter()
    for record in records:
        if record.cell_id in planned_ids or record.place not in current:
            continue
        _, ingredients = current[record.place]
        changed = [k for k, v in ingredients.items() if record.made_from.get(k) != v]
        reasons[" and ".join(changed) + " changed"] += 1
    return reasons


def all_models(spec: Spec) -> list[ModelSettings]:
    """The spec's models, then the baselines that are models of one layer."""
    return [
        *spec.models,
        *(
            BaselineSettings(name=f"{BASELINE_PREFIX}{what}", what=what)
            for what in spec.baselines
            if what != "mean"
        ),
    ]


def used_parts(spec: Spec, table: pd.DataFrame) -> list[str]:
    """The parts of the corpus that the protocol reads."""
    if isinstance(spec.protocol, KFoldProtocol):
        return sorted(table["split"].unique())
    return [part for _, part in spec.protocol.parts()]


def _groups_digest(protocol: ProtocolSettings, table: pd.DataFrame) -> str | None:
    if not isinstance(protocol, KFoldProtocol) or protocol.group == "speaker_id":
        return None
    rows = zip(table["utterance_id"], group_labels(protocol, table), strict=True)
    return lines_digest(sorted(canonical_json([str(name), str(group)]) for name, group in rows))


def _plan_model(
    extract: ExtractSettings,
    info: ModelInfo,
    layers: Literal["all"] | tuple[int | str, ...],
    audio: Mapping[str, str],
    counts: Mapping[str, int],
) -> PlannedModel:
    chosen = _chosen_layers(extract, info, layers)
    row_bytes = sum(tap.width for tap in info.taps) * (4 if extract.dtype == "float32" else 2)
    return PlannedModel(
        name=extract.model.name,
        extract=extract,
        architecture=info.architecture,
        digest=info.digest,
        n_parameters=info.n_parameters,
        row_bytes=row_bytes,
        sets=tuple(
            PlannedSet(
                split=part,
                activation_id=_activation_id(extract, info.digest, digest),
                model_digest=info.digest,
                n_utterances=counts[part],
                shard_size=max(1, min(SHARD_UTTERANCES, SHARD_BYTES // row_bytes)),
            )
            for part, digest in audio.items()
        ),
        layers=tuple(
            PlannedLayer(index=t.index, name=t.name, study_name=t.study_name, width=t.width)
            for t in info.taps
            if t.name in chosen
        ),
    )


def _chosen_layers(
    extract: ExtractSettings, info: ModelInfo, layers: Literal["all"] | tuple[int | str, ...]
) -> set[str]:
    """A pattern that matches nothing in this model may well match in another of the sweep."""
    if layers == "all" or extract.model.kind == "baseline":
        return {tap.name for tap in info.taps}
    chosen: set[str] = set()
    for pattern in layers:
        with suppress(ValueError):
            chosen.update(select_taps([pattern], info.taps))
    return chosen


def _activation_id(extract: ExtractSettings, model_digest: str, audio_digest: str) -> str:
    return content_id(
        {
            "model": model_digest,
            "audio": audio_digest,
            "features": extract.features.identity(),
            "pooling": extract.pooling,
            "dtype": extract.dtype,
            "version": EXTRACT_VERSION,
        }
    )


def _cells(plan: Plan, model: PlannedModel, layer: PlannedLayer) -> Iterator[Cell]:
    for target in plan.targets:
        for name, probe in plan.probes.items():
            ingredients = made_from(plan, model, target, name)
            for control in plan.controls:
                for seed in range(seed_count(probe)):
                    for fold in range(plan.n_folds):
                        identity = {
                            **ingredients, "layer": layer.name, "target": target,
                            "seed": seed, "fold": fold, "control": control,
                        }  # fmt: skip
                        yield Cell(content_id(identity), name, target, seed, fold, control)


def _place(task: LayerTask, cell: Cell) -> tuple[str, ...]:
    return (
        task.model.name, task.layer.name, cell.target, cell.probe,
        str(cell.seed), str(cell.fold), cell.control,
    )  # fmt: skip
