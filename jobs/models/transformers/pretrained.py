"""Readers of a ``transformers`` checkpoint: configuration, weights and preprocessor.

A checkpoint is a folder as ``save_pretrained`` writes it, or the name of a model in Hugging Face's
cache. Nothing is downloaded, and no code from a checkpoint is run. ``transformers`` is slow to
import, so only reading such a model imports it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from jobs.audio.frames import SAMPLE_RATE
from jobs.models.errors import ModelError
from jobs.models.transformers.folders import CONFIG, PREPROCESSOR


def read_config(folder: Path) -> Any:
    """Read the configuration of a checkpoint.

    Raises:
        ModelError: it is missing, or of a network that transformers does not know.
    """
    import transformers

    if not (folder / CONFIG).is_file():
        raise ModelError(f"no {folder / CONFIG}: expected a folder as save_pretrained writes it")
    return _from_folder(transformers.AutoConfig, folder, CONFIG)


def read_network(network_class: Any, config: Any, folder: Path) -> nn.Module:
    """Load a network of ``network_class`` with the checkpoint's weights, in float32.

    Raises:
        ModelError: they are missing, damaged, or do not fit the configuration.
    """
    try:
        network, found = network_class.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            local_files_only=True,
            weights_only=True,
            output_loading_info=True,
        )
    except Exception as error:  # transformers, safetensors and pickle share no base class
        raise ModelError(
            f"the weights in {folder} cannot be read: {type(error).__name__}: "
            f"{str(error).strip()}; fetch or save them again"
        ) from error
    # The training mask and the decoder are not used, so they may be missing.
    missing = sorted(set(found["missing_keys"]) - {"masked_spec_embed"})
    missing = [name for name in missing if not name.startswith("decoder.")]
    if missing:
        raise ModelError(
            f"the weights in {folder} do not fit its {CONFIG}: {len(missing)} tensors are missing, "
            f"the first {', '.join(missing[:3])}; expected the whole network"
        )
    loaded: nn.Module = network
    return loaded


def read_extractor(name: str, folder: Path) -> Any:
    """Read the feature extractor of class ``name``, whose settings the front end follows.

    Raises:
        ModelError: it is missing, or for another sampling rate.
    """
    import transformers

    extractor = _from_folder(getattr(transformers, name), folder, PREPROCESSOR)
    if extractor.sampling_rate != SAMPLE_RATE:
        raise ModelError(
            f"{folder}: expected a network for audio at {SAMPLE_RATE} Hz, "
            f"found sampling_rate {extractor.sampling_rate}"
        )
    return extractor


@contextmanager
def quiet_transformers() -> Iterator[Any]:
    """Import transformers with progress bars and warnings about unused heads turned off."""
    import transformers

    logging = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield transformers
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _from_folder(loader: Any, folder: Path, name: str) -> Any:
    try:
        return loader.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # errors of transformers share no base class
        raise ModelError(
            f"{folder / name} cannot be used: {type(error).__name__}: {str(error).strip()}"
        ) from error
