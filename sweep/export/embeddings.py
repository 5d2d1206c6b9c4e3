"""The embeddings of a run as ``.npz`` and parquet.

Legend: U utterances, D width of the embedding.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from jobs.optional_packages import PYARROW
from jobs.protocol.folds import StrArray
from jobs.storage.atomic import atomic_path
from sweep.results.run import Run

LAYER = "embedding"
"""Name of the layer that is a model's embedding."""


@dataclass(frozen=True)
class Embeddings:
    """The embeddings of one model on all splits of the corpus."""

    ids: StrArray
    """(U,) ids of the utterances."""
    splits: StrArray
    """(U,) the split of each utterance."""
    paths: StrArray
    """(U,) paths of the audio."""
    embeddings: npt.NDArray[np.float32]
    """(U, D), one row per utterance."""
    labels: dict[str, npt.NDArray[np.float64] | StrArray]
    """``labels`` → (U,) values of the run's first target, ``labels_<target>`` → those of another;
    for classes, their names."""


def read_embeddings(run: Run, model: str) -> Embeddings:
    """Read the embeddings of a model of the run, probed or not.

    Raises:
        KeyError: the model has no layer of that name.
        jobs.activations.manifest.CorruptShard: activations are missing or damaged.
    """
    ids, values_UD = run.activations(model, LAYER)
    rows = run.utterances.set_index("utterance_id").loc[ids]
    first = next(iter(run.plan.targets))
    return Embeddings(
        ids=np.array(ids, dtype=np.str_),
        splits=rows["split"].to_numpy(dtype=np.str_),
        paths=rows["audio_path"].to_numpy(dtype=np.str_),
        embeddings=values_UD,
        labels={
            "labels" if target == first else f"labels_{target}": rows[target].to_numpy(
                dtype=np.str_ if target in run.plan.classes else np.float64
            )
            for target in run.plan.targets
        },
    )


def write_npz(path: Path, found: Embeddings) -> None:
    """Write arrays ``ids``, ``parts`` (the splits), ``paths``, ``embeddings`` and ``labels``."""
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary,
            allow_pickle=False,
            ids=found.ids,
            parts=found.splits,
            paths=found.paths,
            embeddings=found.embeddings,
            **found.labels,
        )


def write_parquet(path: Path, found: Embeddings) -> None:
    """Write columns ``id, part, path, label…, embedding`` (D float32), one row per utterance."""
    pyarrow, parquet = PYARROW.load(), PYARROW.load("parquet")
    flat = pyarrow.array(found.embeddings.reshape(-1))
    columns = {
        "id": found.ids.tolist(),
        "part": found.splits.tolist(),
        "path": found.paths.tolist(),
        **{name.replace("labels", "label", 1): values for name, values in found.labels.items()},
        "embedding": pyarrow.FixedSizeListArray.from_arrays(flat, found.embeddings.shape[1]),
    }
    with atomic_path(path) as temporary:
        parquet.write_table(pyarrow.table(columns), temporary)
