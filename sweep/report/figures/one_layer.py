"""Figures of a run that probes one layer of each model: predictions in place of curves.

The study's task 2 is such a run, of the embedding.
"""

import logging
from pathlib import Path

import numpy as np

from jobs.activations.manifest import CorruptShard
from jobs.models.settings import BASELINE_PREFIX
from jobs.storage.atomic import file_names
from sweep.plan.plan import PlannedModel
from sweep.report.figures.embeddings import write_prediction_figures, write_tsne
from sweep.results.run import Run

log = logging.getLogger(__name__)


def write_one_layer_figures(folder: Path, run: Run) -> list[Path]:
    """Write t-SNE, predictions, errors and scores of every model's layer, for every target.

    Returns:
        The PNGs; none if some model has several layers, hence curves, or if no predictions are
        kept.
    """
    if run.plan.scored_by_sums:
        return []
    models = [one for one in run.plan.models if not one.name.startswith(BASELINE_PREFIX)]
    if any(len(model.layers) > 1 for model in models):
        return []
    stems = file_names(model.name for model in models)
    written: list[Path] = []
    for model in models:
        written += _of_model(folder, run, model, stems[model.name])
    return written


def _of_model(folder: Path, run: Run, model: PlannedModel, stem: str) -> list[Path]:
    (layer,) = model.layers
    curves = run.layers[run.layers["model"] == model.name]
    if curves.empty:
        return []
    predictions = run.predictions(model.name, layer.name)
    targets = file_names(run.plan.targets)
    written = _tsne(folder, run, model, {t: f"_{stem}_{name}" for t, name in targets.items()})
    for target, name in targets.items():
        written += write_prediction_figures(folder, f"_{stem}_{name}", target, curves, predictions)
    return written


def _tsne(folder: Path, run: Run, model: PlannedModel, stems: dict[str, str]) -> list[Path]:
    """Write the t-SNE of the tested utterances; nothing if their activations are not in the
    cache."""
    (layer,) = model.layers
    try:
        ids, values_UD = run.activations(model.name, layer.name)
    except CorruptShard as error:
        log.warning("no t-SNE of %s: %s", model.name, error)
        return []
    tested = set(run.predictions(model.name, layer.name)["utterance_id"])
    rows = [row for row, name in enumerate(ids) if name in tested]
    labels = run.utterances.set_index("utterance_id").loc[[ids[row] for row in rows]]
    written = []
    for target, stem in stems.items():
        dtype = np.str_ if target in run.plan.classes else np.float64
        path = write_tsne(
            folder, f"tsne{stem}", target, values_UD[rows], labels[target].to_numpy(dtype=dtype)
        )
        written += [path] if path else []
    return written
