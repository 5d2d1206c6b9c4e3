"""A run's activations: an index of the rows as parquet, and a safetensors file for each layer."""

import json

import pandas as pd
from safetensors.numpy import save_file

from jobs.storage.atomic import atomic_path, file_names, slug
from sweep.export.parquet.folder import ExportFolder
from sweep.export.parquet.tables import write_table
from sweep.plan.plan import PlannedLayer, PlannedModel
from sweep.results.run import Run

LAYERS = "activations/layers.parquet"
TENSOR = "activations"
"""Name of the only tensor of a file."""


def exported_models(run: Run) -> list[PlannedModel]:
    """List the models whose activations are stored, baselines among them."""
    return [model for model in run.plan.models if model.stored_sets]


def write_activations(folder: ExportFolder, run: Run) -> None:
    """Write the activations of every probed layer, (utterances, width) float32.

    ``activations/<model>/index.parquet`` has a row for each row of the model's tensors:
    ``row, utterance_id, speaker_id, split`` and the targets. ``activations/layers.parquet`` names
    the file of each layer.

    Raises:
        jobs.activations.manifest.CorruptShard: activations are missing or damaged.
    """
    names = file_names(model.name for model in run.plan.models)
    rows: list[dict[str, object]] = []
    for model in exported_models(run):
        home = f"activations/{names[model.name]}"
        utterance_ids: list[str] = []
        for layer in model.layers:
            utterance_ids, values_UD = run.activations(model.name, layer.name)
            file = f"{home}/{layer.index:03d}-{slug(layer.name)}.safetensors"
            with atomic_path(folder.path(file)) as temporary:
                save_file({TENSOR: values_UD}, temporary, _about(run, model, layer))
            folder.add(file)
            rows.append(
                {
                    "model": model.name,
                    "layer": layer.name,
                    "layer_index": layer.index,
                    "level": layer.level,
                    "rows": values_UD.shape[0],
                    "width": values_UD.shape[1],
                    "file": file,
                    "index": f"{home}/index.parquet",
                }
            )
        write_table(folder, f"{home}/index.parquet", _index(run, utterance_ids))
    write_table(folder, LAYERS, pd.DataFrame(rows))


def _about(run: Run, model: PlannedModel, layer: PlannedLayer) -> dict[str, str]:
    """Describe a file in its header, under one key: the order of several is random."""
    about = {"run": run.plan.name, "model": model.name, "layer": layer.name}
    return {"probing-sweep": json.dumps(about, ensure_ascii=False)}


def _index(run: Run, utterance_ids: list[str]) -> pd.DataFrame:
    table = run.utterances.set_index("utterance_id").loc[utterance_ids].reset_index()
    columns = list(dict.fromkeys(["utterance_id", "speaker_id", "split", *run.plan.targets]))
    table = table[columns]
    table.insert(0, "row", range(len(table)))
    return table
