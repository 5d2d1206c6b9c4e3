"""Methods text: models, layers, pooling and precision."""

from collections.abc import Iterator

from jobs.models import is_baseline, untrained_seed
from jobs.models.precision import precision_of
from sweep.plan.plan import PlannedModel
from sweep.report.methods.wording import capitalised, listed, number_word, plain
from sweep.results.run import Run
from sweep.wording import counted

DIGEST = 12
"""Digits of a digest of weights that are shown."""
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
    yield (
        "All layers were read in a single forward pass with frozen weights, and their activations "
        f"were {_POOLED[models[0].extract.pooling]}, giving one vector per utterance and layer "
        f"({_kept(run)})."
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


def _kept(run: Run) -> str:
    dtype = run.spec.dtype
    if run.spec.store == "activations":
        return f"stored as {dtype}"
    splits = "all splits" if run.plan.scored_by_sums else "the splits that were not tested"
    return f"as {dtype}; of {splits} only sufficient statistics were kept, summed in float64"


def _model(model: PlannedModel) -> str:
    seed = untrained_seed(model.extract.model)
    weights = "trained" if seed is None else f"untrained, seed {seed}"
    size = f"{model.n_parameters / 1e6:.3g} M parameters"
    layers = counted(len(model.layers), "layer")
    digest = f"weights {model.digest[:DIGEST]}"
    details = f"{plain(model.architecture)}, {weights}, {size}, {layers}, {digest}"
    return f"{plain(model.name)} ({details})"
