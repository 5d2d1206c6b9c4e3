"""Checks of models and layers."""

from collections import Counter
from collections.abc import Iterator

from jobs.models.errors import ModelError
from jobs.models.precision import check_precision as check_device
from jobs.models.precision import precision_of
from jobs.models.taps import select_taps
from sweep.plan.make_plan import all_models
from sweep.spec.check import CheckContext, Finding
from sweep.spec.schema import Spec


def check_equal_models(spec: Spec, context: CheckContext) -> Iterator[Finding]:
    """Refuse two models with equal weights, whose cells would have equal ids.

    The same weights in two precisions are two models, to be compared.
    """
    first: dict[str, str] = {}
    for position, model in enumerate(all_models(spec)):
        if model.name in context.models:
            weights = f"{context.models[model.name].digest} {precision_of(model)}"
            twin = first.setdefault(weights, model.name)
            if twin != model.name:
                message = f"{model.name}: the same weights as {twin!r}; remove one of them"
                yield ("models", position), message


def check_precision(spec: Spec, _: CheckContext) -> Iterator[Finding]:
    """Refuse precisions that the devices of ``compute`` do not support."""
    device = "cuda" if spec.compute.extractor.gpus else "cpu"
    for position, model in enumerate(spec.models):
        try:
            check_device(precision_of(model), device, model.name)
        except ModelError as error:
            yield ("models", position, "precision"), str(error)


def check_layers(spec: Spec, context: CheckContext) -> Iterator[Finding]:
    """Require that each pattern matches a layer of some model, and each model has such a layer."""
    layers = spec.layers
    if isinstance(layers, str) or any(model.name not in context.models for model in spec.models):
        return
    taps_by_model = {model.name: context.models[model.name].taps for model in spec.models}
    matched: Counter[str] = Counter()
    for position, pattern in enumerate(layers):
        messages = []
        for name, taps in taps_by_model.items():
            try:
                matched[name] += len(select_taps([pattern], taps))
            except ValueError as error:
                messages.append(f"{name}: {error}")
        if len(messages) == len(taps_by_model):
            yield ("layers", position), messages[0]
    for position, model in enumerate(spec.models):
        if not matched[model.name] and any(matched.values()):
            message = f"{model.name}: none of its layers is selected by `layers`"
            yield ("models", position), message
