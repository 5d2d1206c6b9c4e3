"""Checkpoint folders: their files, and where a name is looked up."""

from pathlib import Path

from jobs.downloads.catalogue import MODELS, MODELS_FOLDER
from jobs.models.errors import ModelError

CONFIG = "config.yaml"
WEIGHTS = "avg_model.pt"
INCLUDED = Path(__file__).parent / "checkpoints"
"""Checkpoints that come with this package."""


def find_checkpoint(checkpoint: Path) -> Path:
    """Return the folder ``checkpoint`` or, if there is none, the included or fetched one so named.

    Raises:
        ModelError: it can be fetched, and has not been.
    """
    if checkpoint.is_dir() or checkpoint != Path(checkpoint.name):
        return checkpoint
    name = checkpoint.name
    for folder in (INCLUDED / name, MODELS_FOLDER / name):
        if folder.is_dir():
            return folder
    if name in MODELS:
        raise ModelError(
            f"the checkpoint {name} is not here: expected the folder {name} or "
            f"{MODELS_FOLDER / name}; fetch it with: sweep fetch model {name}"
        )
    return checkpoint
