"""Planning of the gain over nuisances: the jobs of layers, and the files that they write."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from jobs.beyond.job import BEYOND_VERSION, BeyondJob
from jobs.beyond.nuisances import BaselineRows
from jobs.beyond.settings import BASELINES, COLUMNS
from jobs.corpus.table import label_digest
from jobs.identity import content_id
from jobs.models import is_baseline
from jobs.models.settings import BASELINE_PREFIX
from jobs.storage.atomic import slug
from jobs.storage.location import Location
from sweep.plan.plan import Plan, PlannedBeyond, PlannedLayer, PlannedModel
from sweep.spec.schema import Spec
from sweep.state.run_folder import RunFolder


@dataclass(frozen=True)
class BeyondLayer:
    """A layer that is judged beside the nuisances."""

    model: PlannedModel
    layer: PlannedLayer
    file: str
    """Name of its file in the folder of predictions; it differs where the numbers in it differ."""


def with_beyond(plan: Plan, spec: Spec, table: pd.DataFrame) -> Plan:
    """Extend ``plan`` with the nuisances of ``spec``, if it asks for them."""
    if spec.beyond is None:
        return plan
    columns = [COLUMNS[name] for name in spec.beyond.nuisances if name in COLUMNS]
    planned = PlannedBeyond(
        nuisances=spec.beyond.nuisances,
        alphas=spec.beyond.alphas,
        columns={name: label_digest(table, name) for name in columns},
    )
    return plan.model_copy(update={"beyond": planned})


def beyond_baselines(plan: Plan) -> dict[str, PlannedModel]:
    """Return the baselines that are nuisances, by nuisance."""
    by_name = {model.name: model for model in plan.models}
    wanted = plan.beyond.nuisances if plan.beyond else ()
    return {name: by_name[f"{BASELINE_PREFIX}{name}"] for name in wanted if name in BASELINES}


def beyond_layers(plan: Plan) -> Iterator[BeyondLayer]:
    """Iterate over the layers of all models but the baselines, with their files."""
    if plan.beyond is None:
        return
    baselines = beyond_baselines(plan)
    made_from = {
        "beyond": plan.beyond.identity(),
        "baselines": {name: _activations(model) for name, model in baselines.items()},
        "labels": plan.targets,
        "protocols": {
            target: plan.protocol_of(target).identity_for(plan.kind(target))
            for target in plan.targets
        },
        "version": BEYOND_VERSION,
    }
    for model in plan.models:
        if is_baseline(model.extract.model):
            continue
        for layer in model.layers:
            digest = content_id([made_from, _activations(model), layer.name])
            name = f"{slug(model.name)}--{slug(layer.name)}--beyond-{digest}.npz"
            yield BeyondLayer(model, layer, name)


def beyond_job(plan: Plan, of: BeyondLayer, folder: RunFolder, cache: Location) -> BeyondJob:
    """Make the job of a layer."""
    assert plan.beyond is not None
    return BeyondJob(
        model=of.model.name,
        layer=of.layer.name,
        activations=_folders(of.model, cache),
        table=folder.for_jobs(folder.utterances),
        protocols=plan.target_protocols,
        targets=tuple(plan.targets),
        classes=plan.classes,
        nuisances=plan.beyond.nuisances,
        baselines={
            name: BaselineRows(model.layers[0].name, _folders(model, cache))
            for name, model in beyond_baselines(plan).items()
        },
        alphas=plan.beyond.alphas,
        file=folder.for_jobs(folder.predictions / of.file),
    )


def _activations(model: PlannedModel) -> list[list[str]]:
    return [[planned.split, planned.activation_id] for planned in model.sets]


def _folders(model: PlannedModel, cache: Location) -> tuple[tuple[Location, int], ...]:
    return tuple((planned.folder(cache), planned.n_shards) for planned in model.sets)
