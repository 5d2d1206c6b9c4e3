"""A model's pooled activations as ``.npy`` files, one per layer."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from jobs.activations.manifest import CorruptShard
from jobs.models import is_baseline
from jobs.storage.atomic import atomic_path, slug
from sweep.errors import RunError
from sweep.plan.plan import PlannedModel
from sweep.report.tables.files import write_csv
from sweep.results.run import Run


def check_room(folder: Path, models: Sequence[PlannedModel]) -> None:
    """Check that the activations of the models fit on the disk.

    Raises:
        RunError: they are larger than the free space under ``folder``.
    """
    needed = sum(
        4
        * sum(layer.width for layer in model.layers)
        * sum(s.n_utterances for s in model.stored_sets)
        for model in models
    )
    existing = next(path for path in [folder, *folder.absolute().parents] if path.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise RunError(
            f"no room in {existing}: the activations take {needed / 2**30:.3g} GiB, "
            f"{free / 2**30:.3g} GiB are free; choose another folder with --out, or leave them out "
            "with --no-activations"
        )


@contextmanager
def missing_activations(run: Run) -> Iterator[None]:
    """Say how to make activations again where some are missing or damaged.

    Raises:
        RunError: they are.
    """
    try:
        yield
    except CorruptShard as error:
        raise RunError(
            f"activations of this run are missing or damaged: {error.folder}, shard "
            f"{error.index}: {error.reason}; make them again with: sweep run "
            f"{run.folder.spec} --out {run.folder.root} --fresh"
        ) from error


def study_models(run: Run) -> list[PlannedModel]:
    """List the models of a run without baselines, which the study did not have."""
    return [model for model in run.plan.models if not is_baseline(model.extract.model)]


def write_activations(folder: Path, run: Run, model: PlannedModel) -> None:
    """Write ``<index>-<layer>.npy``, (U, D) float32, for every layer that was probed.

    ``utterances.csv`` in the same folder lists the utterance of each row, with its targets, and
    ``layers.csv`` the layer of each file.

    Raises:
        jobs.activations.manifest.CorruptShard: activations are missing or damaged.
    """
    rows = []
    utterance_ids: list[str] = []
    for layer in model.layers:
        utterance_ids, values_UD = run.activations(model.name, layer.name)
        file = f"{layer.index:03d}-{slug(layer.study_name)}.npy"
        with atomic_path(folder / file) as temporary, temporary.open("wb") as opened:
            np.save(opened, values_UD, allow_pickle=False)
        rows.append((layer.index, layer.study_name, layer.name, values_UD.shape[1], file))
    columns = ["layer_index", "layer", "tap", "width", "file"]
    write_csv(folder / "layers.csv", pd.DataFrame(rows, columns=columns))
    write_csv(folder / "utterances.csv", _rows_of(run, utterance_ids))


def _rows_of(run: Run, utterance_ids: list[str]) -> pd.DataFrame:
    table = run.utterances.set_index("utterance_id").loc[utterance_ids].reset_index()
    kept = table[["utterance_id", "speaker_id", "split", *run.plan.targets]]
    return kept.rename(columns={"utterance_id": "audio_id", "split": "part"})
