"""The plan as plain values: activations, layers, and the grid of cells over them.

``sweep.plan.make_plan`` makes a plan from a spec; ``sweep.plan.activation_sets`` plans its
activations.

Identity has two levels. An *activation id* identifies the pooled activations of one model on one
split of the corpus; a *cell id* identifies one score: activations, layer, target, probe, protocol,
seed, fold, control. Only values that change the results are hashed.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import Field

from jobs.activations.cache_layout import set_folder
from jobs.beyond.settings import Nuisance
from jobs.extraction.settings import ExtractSettings
from jobs.extraction.shard import Shard
from jobs.gram.settings import GramSettings
from jobs.identity import canonical_json, content_id, content_id_of
from jobs.models.settings import BASELINE_PREFIX
from jobs.models.taps import TapLevel
from jobs.probes import PROBE_VERSION, PROBES, ProbeSettings, TargetKind, seed_count
from jobs.protocol.cells import TYPES_VERSION, Cell
from jobs.protocol.settings import (
    BALANCE_VERSION,
    KFoldProtocol,
    Protocols,
    ProtocolSettings,
)
from jobs.settings import Settings
from jobs.storage.location import Location

TYPES_MODEL = f"{BASELINE_PREFIX}fbank"
"""The model whose statistics the control ``type`` clusters."""


class PlannedSet(Settings):
    """The activations of one model on one split of the corpus."""

    split: str
    activation_id: str
    model_digest: str
    n_utterances: int
    shard_size: int
    """Utterances per shard; the last shard has the rest."""
    gram: GramSettings | None = None
    """Statistics that are stored in place of activations; None if activations are stored."""
    unit: int | None = None
    """With ``gram``: number of the unit of utterances that is summed up, see `jobs.gram.units`."""

    @property
    def n_shards(self) -> int:
        """Number of shards in the set."""
        return math.ceil(self.n_utterances / self.shard_size)

    def folder(self, cache: Location) -> Location:
        """Folder of its shards."""
        return set_folder(cache, self.activation_id)


class PlannedLayer(Settings):
    """A layer that is probed."""

    index: int
    """Position among all taps of the model, in depth order."""
    name: str
    study_name: str
    width: int
    level: TapLevel = "unspecified"
    """Place in the network; ids do not depend on it."""


class PlannedModel(Settings):
    """A model with its activations and the layers that are probed."""

    name: str
    extract: ExtractSettings
    architecture: str
    digest: str
    n_parameters: int
    input: str = ""
    """Description of the network's input, a phrase for the methods text; not part of any id."""
    row_bytes: int
    """Stored activation bytes per utterance, over all taps."""
    gram_bytes: int = 0
    """Stored bytes per shard of statistics; 0 if there are none."""
    gram_memory: int = 0
    """Bytes of memory that an extractor needs for them."""
    sets: tuple[PlannedSet, ...]
    stretched: tuple[PlannedSet, ...] = ()
    """Test utterances at other rates, one set per rate; cell ids do not depend on them."""
    recorded: PlannedSet | None = None
    """The same utterances as recorded, if no other set has their activations."""
    layers: tuple[PlannedLayer, ...]

    @property
    def all_sets(self) -> tuple[PlannedSet, ...]:
        """All sets that are extracted."""
        return (*self.sets, *self.stretched, *([self.recorded] if self.recorded else []))

    @property
    def stored_sets(self) -> tuple[PlannedSet, ...]:
        """The sets that hold activations."""
        return tuple(planned for planned in self.sets if planned.gram is None)

    def shard_bytes(self, shard: Shard) -> int:
        """Size of a shard on disk."""
        if shard.labels is not None:
            return self.gram_bytes
        return self.row_bytes * len(shard.utterance_ids)


class PlannedTempo(Settings):
    """Utterances that are stretched to other rates, see `jobs.probing.tempo`."""

    factors: tuple[float, ...]
    targets: tuple[str, ...]
    utterances: tuple[str, ...]


class PlannedProtocol(Settings):
    """The protocol of a target."""

    settings: ProtocolSettings
    groups: str | None = None
    """Digest of the groups that it keeps together; None where these are the speakers."""

    def identity_for(self, kind: TargetKind) -> object:
        """Return everything that decides the folds of a target of ``kind``, apart from the data."""
        own = self.settings.identity()
        identity: object = [own, self.groups] if self.groups else own
        if kind == "classification" and isinstance(self.settings, KFoldProtocol):
            return {"balanced": BALANCE_VERSION, "of": identity}
        return identity


class PlannedBeyond(Settings):
    """Nuisances beside which layers are judged, see `jobs.beyond`."""

    nuisances: tuple[Nuisance, ...]
    alphas: tuple[float, ...]
    columns: dict[str, str] = Field(default_factory=dict)
    """Column of the utterance table that is a nuisance → digest of its values."""


class Plan(Settings):
    """Everything that a run consists of; ``layer_tasks`` lists the cells."""

    name: str
    models: tuple[PlannedModel, ...]
    targets: dict[str, str]
    """Target name → digest of its labels."""
    classes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Target name → its classes, sorted; numeric targets are left out."""
    probes: dict[str, ProbeSettings]
    protocol: ProtocolSettings
    groups: str | None = None
    """Digest of the groups that the protocol keeps together; None where these are the speakers."""
    protocols: dict[str, PlannedProtocol] = Field(default_factory=dict)
    """Target → its own protocol, for targets that have one."""
    n_folds: int
    """Number of folds of ``protocol``."""
    controls: tuple[str, ...]
    """``none`` first."""
    tempo: PlannedTempo | None = None
    beyond: PlannedBeyond | None = None
    train_fractions: tuple[float, ...] = (1.0,)
    """Fractions of the training speakers that probes are fitted to; cells have all."""

    @property
    def n_cells(self) -> int:
        """Number of cells in the whole plan."""
        fits = sum(
            seed_count(self.probes[probe]) * self.protocol_of(target).settings.n_folds
            for target, probe in self.pairs()
        )
        layers = sum(len(model.layers) for model in self.models)
        return layers * fits * len(self.controls)

    def protocol_of(self, target: str) -> PlannedProtocol:
        """Return the protocol of ``target``."""
        common = PlannedProtocol(settings=self.protocol, groups=self.groups)
        return self.protocols.get(target, common)

    @property
    def target_protocols(self) -> Protocols:
        """The settings of every target's protocol."""
        own = {target: planned.settings for target, planned in self.protocols.items()}
        return Protocols(self.protocol, own)

    def sets_of(self, model: PlannedModel, target: str) -> list[PlannedSet]:
        """List the activation sets of ``model`` that cells of ``target`` are made from."""
        protocol = self.protocol_of(target).settings
        if any(planned.gram for planned in model.sets):
            return list(model.sets)
        if isinstance(protocol, KFoldProtocol):
            return sorted(model.sets, key=lambda planned: planned.split)
        by_split = {planned.split: planned for planned in model.sets}
        return [by_split[split] for _, split in protocol.splits()]

    def kind(self, target: str) -> TargetKind:
        """Kind of ``target``: number or class."""
        return "classification" if target in self.classes else "regression"

    @property
    def scored_by_sums(self) -> bool:
        """True if test utterances are summed up too.

        There are then no predictions, and only the scores that `jobs.gram.scores` gives per fold.
        """
        summed = any(planned.gram for model in self.models for planned in model.sets)
        return summed and isinstance(self.protocol, KFoldProtocol)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Iterate over all (target, probe) in which the probe can predict the target."""
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


def layer_tasks(plan: Plan) -> Iterator[LayerTask]:
    """Iterate over every (model, layer) with all its cells, model by model, in depth order."""
    pairs = tuple(plan.pairs())
    for model in plan.models:
        ingredients = {pair: _ingredients(plan, model, *pair) for pair in pairs}
        for layer in model.layers:
            yield LayerTask(model, layer, tuple(_cells(plan, layer, ingredients)))


def made_from(plan: Plan, model: PlannedModel, target: str, probe: str) -> dict[str, str]:
    """Return ids of the ingredients of a cell whose change makes the cell stale."""
    return {
        "activations": content_id(
            [[s.split, s.activation_id] for s in plan.sets_of(model, target)]
        ),
        "labels": plan.targets[target],
        "probe": content_id(plan.probes[probe].identity()),
        "protocol": content_id(plan.protocol_of(target).identity_for(plan.kind(target))),
        "version": str(PROBE_VERSION),
    }


def needs_types(task: LayerTask) -> bool:
    """Return True if a cell of ``task`` is of the control ``type``."""
    return any(cell.control == "type" for cell in task.cells)


def types_sets(plan: Plan) -> tuple[PlannedSet, ...]:
    """List the activation sets that the control ``type`` draws its types from."""
    found = [model.sets for model in plan.models if model.name == TYPES_MODEL]
    return found[0] if found else ()


def _ingredients(plan: Plan, model: PlannedModel, target: str, probe: str) -> dict[str, str]:
    """Return the values that cell ids hash, as canonical JSON with sorted keys.

    Values that differ between the cells of a layer are left empty.
    """
    common = {
        key: canonical_json(value)
        for key, value in {**made_from(plan, model, target, probe), "target": target}.items()
    }
    differing = dict.fromkeys(("layer", "control", "seed", "fold"), "")
    return dict(sorted({**common, **differing}.items()))


def _cells(
    plan: Plan, layer: PlannedLayer, ingredients: Mapping[tuple[str, str], dict[str, str]]
) -> Iterator[Cell]:
    """Iterate over the cells of a layer.

    ``ingredients`` maps (target, probe) to the values that ids hash, as `content_id_of` takes them;
    the values that differ between cells are filled in here.
    """
    layer_name = canonical_json(layer.name)
    types = [[planned.split, planned.activation_id] for planned in types_sets(plan)]
    of_type = canonical_json([*types, TYPES_VERSION])
    for (target, name), canonical in ingredients.items():
        canonical["layer"] = layer_name
        n_folds = plan.target_protocols.of(target).n_folds
        for control in plan.controls:
            canonical["control"] = canonical_json(control)
            if control == "type":
                made = dict(sorted({**canonical, "types": of_type}.items()))
            else:
                made = canonical
            for seed in range(seed_count(plan.probes[name])):
                made["seed"] = str(seed)
                for fold in range(n_folds):
                    made["fold"] = str(fold)
                    yield Cell(content_id_of(made), name, target, seed, fold, control)


def predicts(probe: ProbeSettings, kind: TargetKind) -> bool:
    """Return True if ``probe`` can predict targets of ``kind``."""
    return kind in PROBES[probe.kind].predicts
