"""Errors of a run's activations from computing in less than float32."""

from collections.abc import Iterator, Mapping
from typing import Any

from jobs.activations.manifest import CorruptShard
from jobs.activations.store import look_into, read_manifest
from jobs.models.precision import precision_of, recorded_errors
from jobs.storage.location import Location
from sweep.plan.plan import Plan, PlannedModel


def precision_errors(plan: Plan, cache: Location) -> dict[str, dict[str, object]]:
    """Summarise the errors that the shards of every reduced-precision model recorded.

    Returns:
        Model → ``precision``; the relative errors against float32: ``median`` over the layers of
        the layers' medians, ``largest`` over all values, and the ``layer`` of the largest.
    """
    found: dict[str, dict[str, object]] = {}
    for model in plan.models:
        precision = precision_of(model.extract.model)
        if precision == "fp32":
            continue  # its shards record no errors
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
                continue  # a run that needs the shard extracts it again
            if manifest is not None:
                yield manifest.info


def precision_notes(errors: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Write one sentence per model from the result of ``precision_errors``."""
    for model, error in errors.items():
        yield (
            f"{model} was computed in {error['precision']}: against float32 its activations are "
            f"off by {error['median']:.1%} (median layer), {error['largest']:.1%} at most "
            f"({error['layer']})."
        )
