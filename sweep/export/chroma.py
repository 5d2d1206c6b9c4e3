"""The embeddings of a run in a ChromaDB collection on disk, as the study kept them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.optional_packages import CHROMADB
from sweep.errors import RunError
from sweep.export.embeddings import Embeddings

COLLECTION = "speech_speed_embeddings"


def check_installed() -> None:
    """Raise `RunError`, with the command that installs it, where ChromaDB is missing."""
    missing = CHROMADB.missing()
    if missing is not None:
        raise RunError(f"--chroma: {missing}")


def write_collections(folder: Path, found: Mapping[str, Embeddings]) -> list[str]:
    """Write the embeddings of all models into the collection `COLLECTION`, replacing it.

    An entry's id is the utterance's, with ``MODEL/`` before it where there are several models; its
    metadata are ``path``, ``label``, ``part`` and ``model``. A collection holds vectors of one
    width: others go to ``speech_speed_embeddings_<width>``.

    Args:
        folder: the database; created if absent.
        found: model name → its embeddings.

    Returns:
        The names of the collections.
    """
    chromadb = CHROMADB.load()
    folder.mkdir(parents=True, exist_ok=True)
    settings = chromadb.Settings(anonymized_telemetry=False)
    client = chromadb.PersistentClient(path=str(folder), settings=settings)
    first_width = next(iter(found.values())).embeddings.shape[1]
    collections: dict[str, Any] = {}
    old = {collection.name for collection in client.list_collections()}
    for model, embeddings in found.items():
        width = embeddings.embeddings.shape[1]
        name = COLLECTION if width == first_width else f"{COLLECTION}_{width}"
        if name not in collections:
            if name in old:
                client.delete_collection(name)
            collections[name] = client.create_collection(name, embedding_function=None)
        prefix = f"{model}/" if len(found) > 1 else ""
        _add(collections[name], embeddings, model, prefix, client.get_max_batch_size())
    return list(collections)


def _add(collection: Any, found: Embeddings, model: str, prefix: str, batch: int) -> None:
    """Add the entries in batches of the size that ChromaDB accepts."""
    for start in range(0, len(found.ids), batch):
        rows = range(start, min(start + batch, len(found.ids)))
        collection.add(
            ids=[f"{prefix}{found.ids[row]}" for row in rows],
            embeddings=found.embeddings[rows.start : rows.stop],
            metadatas=[_metadata(found, model, row) for row in rows],
        )


def _metadata(found: Embeddings, model: str, row: int) -> dict[str, str | float]:
    labels = {
        name.replace("labels", "label", 1): values[row].item()
        for name, values in found.labels.items()
    }
    path, split = str(found.paths[row]), str(found.splits[row])
    return {"path": path, **labels, "part": split, "model": model}
