"""Settings of encoders of the transformers library."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from jobs.models.settings import NetworkSettings


class TransformersSettings(NetworkSettings):
    """A network from a folder or from Hugging Face's cache, trained or with random weights."""

    kind: Literal["transformers"] = "transformers"
    checkpoint: Path
    """Folder with ``config.json``, ``preprocessor_config.json`` and the weights, or a name such as
    ``facebook/wav2vec2-base`` that was downloaded with ``hf download``."""
    untrained: bool = False
    """Draw the network's weights from ``seed``; the checkpoint's weights are not read."""
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    """Seed of an untrained network's weights; 0 if not given."""

    @model_validator(mode="after")
    def _seed_of_untrained(self) -> "TransformersSettings":
        if self.seed is not None and not self.untrained:
            raise ValueError("seed is for an untrained network: add untrained: true, or remove it")
        return self
