"""Untrained twins: models of a plan that differ from a trained model in their weights alone."""

from jobs.models import is_untrained
from sweep.plan.plan import Plan, PlannedModel


def twins(plan: Plan) -> set[tuple[str, str]]:
    """Find the pairs (trained, untrained) of models, by name.

    The two have the same architecture, number of parameters and probed layers.
    """
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
