"""Settings of encoders of the transformers library."""

from pathlib import Path
from typing import Literal

from pydantic import model_validator

from jobs.models.settings import NetworkSettings
from jobs.settings import Seed


class TransformersSettings(NetworkSettings):
    """A speech encoder of the transformers library, from a folder or Hugging Face's cache."""

    EXAMPLES = (
        "{kind: transformers, name: wav2vec 2.0, precision: fp32,"
        " checkpoint: facebook/wav2vec2-base, untrained: true, seed: 1}",
    )

    kind: Literal["transformers"] = "transformers"
    """Model family."""
    checkpoint: Path
    """Folder with ``config.json``, ``preprocessor_config.json`` and the weights, or a name such as
    ``facebook/wav2vec2-base`` that was downloaded with ``hf download``."""
    untrained: bool = False
    """Whether to draw random weights from ``seed`` instead of reading the checkpoint's."""
    seed: Seed | None = None
    """Seed of an untrained network's weights. Several untrained models of one network, with seeds
    of their own, are drawn as their mean and range. null: 0."""

    @model_validator(mode="after")
    def _seed_of_untrained(self) -> "TransformersSettings":
        if self.seed is not None and not self.untrained:
            raise ValueError("seed is for an untrained network: add untrained: true, or remove it")
        return self
