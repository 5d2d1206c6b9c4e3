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
from typing import Literal

import pandas as pd
from pydantic import Field

from jobs.corpus.table import audio_digest_of_table, classes_in, is_text, label_digest
from jobs.counterfactual import draw_utterances, stretched_rows
from jobs.extract import EXTRACT_VERSION, ExtractSettings, Shard
from jobs.gram import GRAM_VERSION, GramSettings, Labels
from jobs.gram_labels import label_values, row_sets
from jobs.identity import canonical_json, content_id, content_id_of, lines_digest
from jobs.models import ModelInfo, ModelSettings, precision_of, with_absolute_paths
from jobs.models.baselines import BASELINE_PREFIX, BaselineSettings
from jobs.models.taps import select_taps
from jobs.place import Place
from jobs.probe import Cell
from jobs.probes import PROBE_VERSION, ProbeSettings, TargetKind, probe_name, seed_count
from jobs.protocol import KFoldProtocol, ProtocolSettings, SplitsProtocol, group_labels
from jobs.settings import Settings
from sweep.classes import predicts
from sweep.ledger import Record
from sweep.spec import Spec

SHARD_UTTERANCES = 64
"""Utterances of a shard at most: what a crash can cost."""
SHARD_BYTES = 256 * 2**20
"""Activation bytes of a shard at most: what an extractor holds in memory."""
GRAM_SAVING = 10
"""How many times more than a shard of statistics its utterances' activations would take. More
would store less, and lose more to a crash."""


class PlannedSet(Settings):
    """The activations of one model on one part of the corpus."""

    split: str
    activation_id: str
    model_digest: str
    n_utterances: int
    shard_size: int
    """Utterances a shard; the last has the rest."""
    gram: GramSettings | None = None
    """What is stored of it in the place of activations; None: they are."""

    @property
    def n_shards(self) -> int:
        """Shards of the set."""
        return math.ceil(self.n_utterances / self.shard_size)

    def folder(self, cache: Place) -> Place:
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
    gram_bytes: int = 0
    """Stored bytes of a shard of statistics; 0 where there is none."""
    gram_memory: int = 0
    """Memory that an extractor needs for them."""
    sets: tuple[PlannedSet, ...]
    stretched: tuple[PlannedSet, ...] = ()
    """Tested utterances at other rates, a set each; no cell's id knows of them."""
    layers: tuple[PlannedLayer, ...]

    @property
    def all_sets(self) -> tuple[PlannedSet, ...]:
        """Everything that is extracted."""
        return (*self.sets, *self.stretched)

    @property
    def stored_sets(self) -> tuple[PlannedSet, ...]:
        """The sets that hold activations."""
        return tuple(planned for planned in self.sets if planned.gram is None)

    def shard_bytes(self, shard: Shard) -> int:
        """What a shard will take on disk."""
        if shard.labels is not None:
            return self.gram_bytes
        return self.row_bytes * len(shard.utterance_ids)


class PlannedTempo(Settings):
    """What is heard at other rates, see `jobs.counterfactual`."""

    factors: tuple[float, ...]
    targets: tuple[str, ...]
    utterances: tuple[str, ...]


class Plan(Settings):
    """Everything that a run consists of; ``layer_tasks`` spells the cells out."""

    name: str
    models: tuple[PlannedModel, ...]
    targets: dict[str, str]
    """Target name → digest of its labels."""
    classes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Target name → its classes, sorted; targets that are numbers are not in it."""
    probes: dict[str, ProbeSettings]
    protocol: ProtocolSettings
    groups: str | None = None
    """Digest of what the protocol keeps together, where it is not the speakers, whom the labels
    know."""
    n_folds: int
    controls: tuple[str, ...]
    """``none`` first."""
    tempo: PlannedTempo | None = None

    @property
    def n_cells(self) -> int:
        """Cells of the whole plan."""
        seeds = sum(seed_count(self.probes[probe]) for _, probe in self.pairs())
        layers = sum(len(model.layers) for model in self.models)
        return layers * seeds * self.n_folds * len(self.controls)

    def kind(self, target: str) -> TargetKind:
        """Whether ``target`` is a number or a class."""
        return "classification" if target in self.classes else "regression"

    def pairs(self) -> Iterator[tuple[str, str]]:
        """(target, probe) that go together: no probe is asked for what it cannot predict."""
        for target in self.targets:
            for name, probe in self.probes.items():
                if predicts(probe, self.kind(target)):
                    yield target, name


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
    tempo = _plan_tempo(spec, table)
    labels = {target: label_digest(table, target) for target in spec.targets}
    planned = []
    for name, info in models.items():
        extract = ExtractSettings(
            model=with_absolute_paths(settings[name]),
            features=spec.features,
            pooling=spec.pooling,
            dtype=spec.dtype,
        )
        model = _plan_model(extract, info, spec.layers, audio, counts)
        model = with_gram(spec, table, labels, model) if spec.store == "gram" else model
        planned.append(_with_stretched(model, tempo, table) if tempo else model)
    return Plan(
        name=spec.name,
        models=tuple(planned),
        targets=labels,
        classes={name: classes_in(table[name]) for name in spec.targets if is_text(table[name])},
        probes={probe_name(probe): probe for probe in spec.probes},
        protocol=protocol,
        groups=_groups_digest(protocol, table),
        n_folds=protocol.folds if isinstance(protocol, KFoldProtocol) else 1,
        controls=("none", *spec.controls),
        tempo=tempo,
    )


def heard_table(plan: Plan, table: pd.DataFrame) -> pd.DataFrame:
    """``table`` with what is heard at other rates in rows of its own: all that is extracted."""
    if plan.tempo is None:
        return table
    return pd.concat(
        [table, stretched_rows(plan.tempo.utterances, plan.tempo.factors, table)],
        ignore_index=True,
    )


def layer_tasks(plan: Plan) -> Iterator[LayerTask]:
    """Every (model, layer) with all its cells, model by model, in depth order."""
    pairs = tuple(plan.pairs())
    for model in plan.models:
        ingredients = {pair: _ingredients(plan, model, *pair) for pair in pairs}
        for layer in model.layers:
            yield LayerTask(model, layer, tuple(_cells(plan, layer, ingredients)))


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


def shards(planned: PlannedSet, table: pd.DataFrame, cache: Place) -> list[Shard]:
    """The work units of an activation set: ranges of utterances in table order × all taps.

    ``table`` has the rows of the set's part; those of stretched ones are in `heard_table` alone.
    """
    rows = table[table["split"] == planned.split]
    ids, paths = list(rows["utterance_id"]), list(rows["audio_path"])
    labels = None
    if planned.gram is not None:
        values = label_values(planned.gram, table)[(table["split"] == planned.split).to_numpy()]
        labels = Labels(planned.gram, values)
    size, folder = planned.shard_size, planned.folder(cache)
    found = []
    for index in range(planned.n_shards):
        chosen = slice(index * size, (index + 1) * size)
        found.append(
            Shard(
                folder=folder,
                index=index,
                utterance_ids=tuple(ids[chosen]),
                audio_paths=tuple(paths[chosen]),
                model_digest=planned.model_digest,
                labels=labels[chosen] if labels else None,
            )
        )
    return found


def why_stale(plan: Plan, records: Iterable[Record]) -> Counter[str]:
    """Why records that stand at a planned place have another id than planned, counted."""
    planned = {cell.cell_id for task in layer_tasks(plan) for cell in task.cells}
    others = {record.cell_id: record for record in records if record.cell_id not in planned}
    places = {record.place for record in others.values()}
    current = {
        place: made_from(plan, task.model, cell.target, cell.probe)
        for task in (layer_tasks(plan) if places else ())
        for cell in task.cells
        if (place := _place(task, cell)) in places
    }
    reasons: Counter[str] = Counter()
    for record in others.values():
        if record.place in current:
            ingredients = current[record.place]
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


def with_gram(
    spec: Spec, table: pd.DataFrame, labels: Mapping[str, str], model: PlannedModel
) -> PlannedModel:
    """``model`` with statistics in the place of activations, but for the part that is tested.

    Args:
        spec: what is to be summed up.
        table: the utterance table, with the spec's targets as columns.
        labels: target → digest of its labels.
        model: planned with all of its activations.
    """
    protocol = spec.protocol
    assert isinstance(protocol, SplitsProtocol), protocol
    gram = GramSettings(
        targets=spec.targets,
        row_sets=row_sets(table, spec.targets),
        controls=("none", *spec.controls),
        layers=tuple(layer.name for layer in model.layers),
        protocol=protocol,
    )
    n_bytes = sum(gram.stored_bytes(layer.width) for layer in model.layers)
    saving = model.row_bytes / (GRAM_SAVING * n_bytes)
    sets = [
        planned if planned.split == protocol.test else _summed(planned, gram, labels, saving)
        for planned in model.sets
    ]
    change = {
        "sets": tuple(sets),
        "gram_bytes": n_bytes,
        "gram_memory": sum(gram.working_bytes(layer.width) for layer in model.layers),
    }
    return model.model_copy(update=change)


def _summed(
    planned: PlannedSet, gram: GramSettings, labels: Mapping[str, str], saving: float
) -> PlannedSet:
    """``planned`` as statistics, in ``saving`` shards an utterance, or one for all of them.

    Shards of statistics are all of one size on disk, whatever they cover.
    """
    n_shards = max(1, int(planned.n_utterances * saving))
    size = math.ceil(planned.n_utterances / n_shards)
    identity = {
        "of": planned.activation_id,
        "gram": gram.identity(),
        "labels": [labels[target] for target in gram.targets],
        # Shards of two sizes, mixed, would be sums of other utterances.
        "shard_size": size,
        "version": GRAM_VERSION,
    }
    change = {"activation_id": content_id(identity), "shard_size": size, "gram": gram}
    return planned.model_copy(update=change)


def _plan_tempo(spec: Spec, table: pd.DataFrame) -> PlannedTempo | None:
    if spec.tempo is None:
        return None
    targets = spec.tempo.among(spec.targets)
    drawn = draw_utterances(spec.tempo, targets, spec.protocol, table)
    return PlannedTempo(factors=spec.tempo.factors, targets=targets, utterances=drawn)


def _with_stretched(model: PlannedModel, tempo: PlannedTempo, table: pd.DataFrame) -> PlannedModel:
    """``model`` with a set for each rate."""
    heard = stretched_rows(tempo.utterances, tempo.factors, table)
    sets = tuple(
        PlannedSet(
            split=str(part),
            activation_id=_activation_id(model.extract, model.digest, audio_digest_of_table(rows)),
            model_digest=model.digest,
            n_utterances=len(rows),
            shard_size=max(1, min(SHARD_UTTERANCES, SHARD_BYTES // model.row_bytes)),
        )
        for part, rows in heard.groupby("split", sort=False)
    )
    return model.model_copy(update={"stretched": sets})


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
    precision = precision_of(extract.model)
    return content_id(
        {
            # The full precision is no part of ids from before there was a choice.
            **({} if precision == "fp32" else {"precision": precision}),
            "model": model_digest,
            "audio": audio_digest,
            "features": extract.features.identity(),
            "pooling": extract.pooling,
            "dtype": extract.dtype,
            "version": EXTRACT_VERSION,
        }
    )


def _ingredients(plan: Plan, model: PlannedModel, target: str, probe: str) -> dict[str, str]:
    """What the ids of cells are made of, as canonical JSON, its keys in order; empty where cells
    differ."""
    common = {
        key: canonical_json(value)
        for key, value in {**made_from(plan, model, target, probe), "target": target}.items()
    }
    differing = dict.fromkeys(("layer", "control", "seed", "fold"), "")
    return dict(sorted({**common, **differing}.items()))


def _cells(
    plan: Plan, layer: PlannedLayer, ingredients: Mapping[tuple[str, str], dict[str, str]]
) -> Iterator[Cell]:
    """The cells of a layer.

    ``ingredients`` are, by target and probe, what ids are made of, as `content_id_of` takes it;
    what differs from cell to cell is written into them.
    """
    layer_name = canonical_json(layer.name)
    for (target, name), canonical in ingredients.items():
        canonical["layer"] = layer_name
        for control in plan.controls:
            canonical["control"] = canonical_json(control)
            for seed in range(seed_count(plan.probes[name])):
                canonical["seed"] = str(seed)
                for fold in range(plan.n_folds):
                    canonical["fold"] = str(fold)
                    yield Cell(content_id_of(canonical), name, target, seed, fold, control)


def _place(task: LayerTask, cell: Cell) -> tuple[str, ...]:
    return (
        task.model.name, task.layer.name, cell.target, cell.probe,
        str(cell.seed), str(cell.fold), cell.control,
    )  # fmt: skip
