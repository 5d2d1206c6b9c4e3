"""Checkpoint folders: their files, and how a name is found in Hugging Face's cache."""

from pathlib import Path

from jobs.models.errors import ModelError

CONFIG = "config.json"
PREPROCESSOR = "preprocessor_config.json"


def find_pretrained(checkpoint: Path) -> Path:
    """Return the folder ``checkpoint``, or the one in Hugging Face's cache with this name.

    Raises:
        ModelError: there is none.
    """
    if checkpoint.is_dir():
        return checkpoint
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    expected = f"expected a folder with {CONFIG}, or the name of a model in Hugging Face's cache"
    try:
        return Path(snapshot_download(checkpoint.as_posix(), local_files_only=True))
    except HFValidationError:
        raise ModelError(f"no folder {checkpoint}: {expected}") from None
    except LocalEntryNotFoundError:
        raise ModelError(
            f"no model {checkpoint}: {expected}; fetch one with: hf download {checkpoint}"
        ) from None


def has_config(checkpoint: Path) -> bool:
    """Return whether this is a folder, or a name in Hugging Face's cache, with a configuration."""
    try:
        return (find_pretrained(checkpoint) / CONFIG).is_file()
    except ModelError:
        return False
