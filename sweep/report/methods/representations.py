"""Methods text: models, layers, pooling and precision."""

from collections.abc import Iterator, Sequence

from jobs.models import is_baseline, source_of, untrained_seed
from jobs.models.precision import precision_of
from sweep.plan.plan import PlannedModel
from sweep.report.methods.wording import capitalised, number_word, plain
from sweep.results.run import Run
from sweep.wording import counted, listed

DIGEST = 12
"""Digits of a digest of weights that are shown."""
PYTHON = "python"
"""Kind of models whose training only their author knows."""
_POOLED = {
    "mean": "averaged over time",
    "mean+std": "reduced to their mean and standard deviation over time",
    "channels": "averaged over time and frequency",
}
_CROPS = {"start": "the first", "centre": "the middle", "windows": "windows of"}


def sentences(run: Run) -> Iterator[str]:
    """Describe the models, and how their layers became vectors."""
    models = [m for m in run.plan.models if not is_baseline(m.extract.model)]
    subject = "model was" if len(models) == 1 else "models were"
    shown = listed(map(_model, models), ";")
    yield f"{capitalised(number_word(len(models)))} {subject} probed: {shown}."
    features = run.spec.features
    yield from _inputs(models)
    yield from _untrained(models)
    yield (
        "All layers were read in a single forward pass with frozen weights, and their activations "
        f"were {_POOLED[models[0].extract.pooling]}, giving one vector per utterance and layer "
        f"({_kept(run)})."
    )
    yield (
        "Utterances were run in batches in which each has, up to rounding, the values that it has "
        "alone: frames of padding took no part."
    )
    precisions = {m.name: precision_of(m.extract.model) for m in models}
    for precision in sorted({*precisions.values()} - {"fp32"}):
        names = [plain(name) for name, used in precisions.items() if used == precision]
        yield f"{listed(names)} ran in {precision}."
    if features.max_frames is not None:
        crop = _CROPS[features.crop]
        yield f"The models were given {crop} {features.max_frames} frames of 10 ms."
    if features.pad_to is not None:
        yield f"Shorter input was padded with zeros to {features.pad_to} frames."


def _inputs(models: Sequence[PlannedModel]) -> Iterator[str]:
    """Say what each network takes, networks with the same input together."""
    taking: dict[str, list[str]] = {}
    for model in models:
        if model.input:
            taking.setdefault(model.input, []).append(plain(model.name))
    for what, names in taking.items():
        subject = listed(names)
        if len(names) == len(models):
            subject = "All networks" if len(models) > 1 else "The network"
        yield f"{subject} took {what}."


def _untrained(models: Sequence[PlannedModel]) -> Iterator[str]:
    """Say how weights of untrained networks were drawn, by kind of model."""
    drawn = [m for m in models if untrained_seed(m.extract.model) is not None]
    if not drawn:
        return
    ways = {
        "drawn anew by each module's own initialisation"
        if model.extract.model.kind == PYTHON
        else "drawn by the initialisation of the library that defines the architecture"
        for model in drawn
    }
    yield f"The weights of untrained networks were {listed(sorted(ways))}, from the seeds given."


def _kept(run: Run) -> str:
    dtype = run.spec.dtype
    if run.spec.store == "activations":
        return f"stored as {dtype}"
    splits = "all splits" if run.plan.scored_by_sums else "the splits that were not tested"
    return f"as {dtype}; of {splits} only sufficient statistics were kept, summed in float64"


def _model(model: PlannedModel) -> str:
    seed = untrained_seed(model.extract.model)
    weights = "trained" if seed is None else f"untrained, seed {seed}"
    if seed is None and model.extract.model.kind == PYTHON:
        weights = f"weights as {plain(source_of(model.extract.model))} returned them"
    size = f"{model.n_parameters / 1e6:.3g} M parameters"
    layers = counted(len(model.layers), "layer")
    digest = f"digest {model.digest[:DIGEST]}"
    details = f"{plain(model.architecture)}, {weights}, {size}, {layers}, {digest}"
    return f"{plain(model.name)} ({details})"
