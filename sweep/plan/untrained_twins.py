"""Models of a plan that are alike but for their weights: a trained one and an untrained one."""

from jobs.models import is_untrained
from sweep.plan.plan import Plan, PlannedModel


def twins(plan: Plan) -> set[tuple[str, str]]:
    """(trained, untrained) names of all models with the same architecture, of the same size, read
    at the same layers."""
    return {
        (model.name, other.name)
        for model in plan.models
        for other in plan.models
        if is_untrained(other.extract.model)
        and not is_untrained(model.extract.model)
        and _build(model) == _build(other)
    }


def _build(model: PlannedModel) -> tuple[object, ...]:
    layers = tuple((layer.name, layer.width) for layer in model.layers)
    return model.architecture, model.n_parameters, layers
