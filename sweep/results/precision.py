"""What computing in less than float32 did to a run's activations, for provenance and report."""

from collections.abc import Iterator, Mapping
from typing import Any

from jobs.activations.manifest import CorruptShard
from jobs.activations.store import look_into, read_manifest
from jobs.models.precision import precision_of, recorded_errors
from jobs.storage.location import Location
from sweep.plan.plan import Plan, PlannedModel


def precision_errors(plan: Plan, cache: Location) -> dict[str, dict[str, object]]:
    """Of every model that was not computed in float32, as its shards recorded it.

    Returns:
        Model → ``precision``, and the relative errors against float32: ``median`` and ``largest``
        over the layers of what each layer's values have, and the ``layer`` of the largest.
    """
    found: dict[str, dict[str, object]] = {}
    for model in plan.models:
        precision = precision_of(model.extract.model)
        if precision == "fp32":
            continue  # nothing was recorded, in however many shards
        errors = recorded_errors(list(_infos(model, cache)))
        if not errors:
            continue
        worst = max(errors, key=lambda layer: errors[layer].largest)
        medians = sorted(error.median for error in errors.values())
        found[model.name] = {
            "precision": precision,
            "median": medians[len(medians) // 2],
            "largest": errors[worst].largest,
            "layer": worst,
        }
    return found


def _infos(model: PlannedModel, cache: Location) -> Iterator[Mapping[str, Any]]:
    for planned in model.sets:
        folder = look_into(planned.folder(cache), planned.n_shards)
        for index in range(planned.n_shards):
            try:
                manifest = read_manifest(folder, index)
            except CorruptShard:
                continue  # a run that needs it extracts it again
            if manifest is not None:
                yield manifest.info


def precision_notes(errors: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A sentence a model, from what ``precision_errors`` found."""
    for model, error in errors.items():
        yield (
            f"{model} was computed in {error['precision']}: against float32 its activations are "
            f"off by {error['median']:.1%} (median layer), {error['largest']:.1%} at most "
            f"({error['layer']})."
        )
