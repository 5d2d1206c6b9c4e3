"""``sweep export``: a finished run as the files of the speech-rate study, under its names."""

from pathlib import Path

import numpy as np
import pandas as pd

from jobs.optional_packages import PYARROW
from jobs.storage.atomic import file_names, write_text
from sweep.errors import RunError
from sweep.export import chroma
from sweep.export.activations import (
    check_room,
    missing_activations,
    study_models,
    write_activations,
)
from sweep.export.embeddings import (
    LAYER,
    Embeddings,
    read_embeddings,
    write_npz,
    write_parquet,
)
from sweep.export.exported import Exported
from sweep.export.figures import write_cca_bars, write_layer_metrics
from sweep.export.names import tested_name, tested_splits
from sweep.export.tables import (
    write_cca,
    write_embedding_table,
    write_layer_table,
    write_predictions,
    write_split_tables,
)
from sweep.plan.plan import PlannedModel
from sweep.report.figures.embeddings import write_prediction_figures, write_tsne
from sweep.report.tables.files import write_csv
from sweep.report.tables.markup import to_markdown
from sweep.report.tables.model_tables import models_tables
from sweep.report.text.footnotes import footnotes
from sweep.results.run import Run


def export_run(
    run: Run, to: Path | None, chroma_folder: Path | None, *, activations: bool = True
) -> Exported:
    """Write the study's files from a finished run, replacing old ones.

    Args:
        run: the run.
        to: folder to write to; ``export`` in the run's folder if None.
        chroma_folder: ChromaDB database to write the embeddings to as well, if not None.
        activations: also write the activations of every layer, by far the most data.

    Raises:
        RunError: no cell of the run is done, its activations are missing, the disk has too little
            space, or ChromaDB is requested and not installed.
    """
    if run.metrics.empty:
        raise RunError(f"{run.folder.root} has no finished cell to export: run its spec first")
    if chroma_folder is not None:
        chroma.check_installed()
    exported = Exported(to or run.folder.root / "export", list(footnotes(run)))
    if activations:
        check_room(exported.folder, study_models(run))
    missing = PYARROW.missing()
    if missing is not None:
        exported.notes.append(f"no embeddings.parquet: {missing}")
    write_split_tables(exported.folder, run.utterances, run.plan.targets)
    write_csv(exported.folder / "comparison.csv", run.models)
    comparison = to_markdown(models_tables(run.models), list(footnotes(run)))
    write_text(exported.folder / "comparison.md", comparison)
    with missing_activations(run):
        embeddings = _export_models(run, exported, activations)
    if chroma_folder is not None and embeddings:
        chroma.write_collections(chroma_folder, embeddings)
    return exported


def _export_models(run: Run, exported: Exported, activations: bool) -> dict[str, Embeddings]:
    """Write the folder of every model; return the embeddings of those that have one."""
    models = study_models(run)
    folders = file_names(model.name for model in models)
    found: dict[str, Embeddings] = {}
    if run.plan.scored_by_sums:
        exported.notes.append(
            "no activations, embeddings or predictions: store: gram with kfold keeps none"
        )
    for model in models:
        folder = exported.folder / folders[model.name]
        _export_layers(folder, run, model)
        if run.plan.scored_by_sums:
            curves = _embedding_curves(run, model)
            if not curves.empty:
                write_embedding_table(folder / "metrics.txt", curves)
            continue
        if activations:
            write_activations(folder / "activations", run, model)
        try:
            found[model.name] = read_embeddings(run, model.name)
        except KeyError:
            exported.notes.append(f"{model.name}: no layer {LAYER!r}, so no embeddings")
            continue
        _export_embeddings(folder, run, model, found[model.name], exported)
    return found


def _export_layers(folder: Path, run: Run, model: PlannedModel) -> None:
    """Write tables and figures of scores over layers."""
    study_names = {layer.name: layer.study_name for layer in model.layers}
    curves = _curves(run, model)
    write_layer_table(folder / "layer_metrics.txt", curves, study_names)
    cca_probes = [name for name, probe in run.plan.probes.items() if probe.kind == "cca"]
    for target, stem in _target_stems(run).items():
        rows = curves[curves["target"] == target]
        title = f"{model.name} · {target}"
        write_layer_metrics(folder, f"layer_metrics{stem}", title, rows, cca_probes)
    stems = file_names(run.plan.targets)
    for number, probe in enumerate(cca_probes):
        for target in run.plan.targets:
            if target in run.plan.classes:
                continue
            rows = curves[(curves["probe"] == probe) & (curves["target"] == target)]
            # The study had one CCA; the files of any further CCA probe carry its name.
            name = f"cca_{tested_name(run, target)}_{stems[target]}"
            name += f"_{file_names(cca_probes)[probe]}" if number else ""
            write_cca(folder / "cca" / f"{name}.csv", rows, study_names)
            write_cca_bars(folder, name, f"{model.name} · {target} · {probe}", rows)


def _export_embeddings(
    folder: Path, run: Run, model: PlannedModel, found: Embeddings, exported: Exported
) -> None:
    """Write the embeddings, and the scores and predictions of probes on them."""
    write_npz(folder / "embeddings.npz", found)
    if PYARROW.missing() is None:
        write_parquet(folder / "embeddings.parquet", found)
    stems = _target_stems(run)
    for (target, stem), values in zip(stems.items(), found.labels.values(), strict=True):
        tested = np.isin(found.splits, tested_splits(run, target))
        points = found.embeddings[tested]
        if write_tsne(folder, f"tsne{stem}", target, points, values[tested]) is None:
            exported.notes.append(f"{model.name}: too few test embeddings for a t-SNE")
    curves = _embedding_curves(run, model)
    if curves.empty:
        exported.notes.append(
            f"{model.name}: the layer {LAYER!r} was not probed, so no metrics.txt and no "
            "predictions.csv"
        )
        return
    write_embedding_table(folder / "metrics.txt", curves)
    predictions = run.predictions(model.name, LAYER)
    write_predictions(folder / "predictions.csv", predictions, run.utterances)
    for target, stem in stems.items():
        write_prediction_figures(folder, stem, target, curves, predictions)


def _curves(run: Run, model: PlannedModel) -> pd.DataFrame:
    """Select the rows of ``layers.csv`` of one model."""
    return run.layers[run.layers["model"] == model.name]


def _embedding_curves(run: Run, model: PlannedModel) -> pd.DataFrame:
    curves = _curves(run, model)
    return curves[curves["layer"] == LAYER]


def _target_stems(run: Run) -> dict[str, str]:
    """Map each target to the suffix of its files, empty if it is the only target."""
    names = file_names(run.plan.targets)
    return {target: f"_{name}" if len(names) > 1 else "" for target, name in names.items()}
