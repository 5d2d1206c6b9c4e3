"""Settings of WeSpeaker's networks."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from jobs.models.settings import NetworkSettings
from jobs.models.wespeaker.architectures import find_group
from jobs.models.wespeaker.arguments import Value, network_args


class WespeakerSettings(NetworkSettings):
    """A trained network from a folder, or an untrained one of a given architecture."""

    kind: Literal["wespeaker"] = "wespeaker"
    checkpoint: Path | None = None
    """Folder with ``config.yaml`` and ``avg_model.pt``, or the name of a checkpoint that is
    included or was fetched with ``sweep fetch model``."""
    untrained: bool = False
    """Use the checkpoint's architecture and arguments with random weights instead of its own."""
    architecture: str | None = None
    """Architecture of an untrained network: one of `ARCHITECTURES` in
    `jobs.models.wespeaker.architectures`."""
    model_args: dict[str, Value] = Field(default_factory=dict)
    """Arguments of an untrained network, see `jobs.models.wespeaker.arguments`."""
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    """Seed of an untrained network's weights; 0 if not given."""

    @field_validator("architecture")
    @classmethod
    def _known(cls, architecture: str | None) -> str | None:
        if architecture is not None:
            find_group(architecture)
        return architecture

    @field_validator("model_args")
    @classmethod
    def _valid(cls, model_args: dict[str, Value], info: ValidationInfo) -> dict[str, Value]:
        architecture = info.data.get("architecture")
        if architecture is not None:
            network_args(architecture, model_args)
        return model_args

    @model_validator(mode="after")
    def _one_source(self) -> "WespeakerSettings":
        if (self.checkpoint is None) == (self.architecture is None):
            found = "neither" if self.checkpoint is None else "both"
            raise ValueError(f"expected either checkpoint or architecture, found {found}")
        if self.checkpoint is not None and self.model_args:
            raise ValueError(
                "model_args are for an architecture; those of a checkpoint are in its "
                "config.yaml: remove them here"
            )
        if self.checkpoint is not None and self.seed is not None and not self.untrained:
            raise ValueError(
                "a seed is for an untrained network: remove it, or set untrained: true to read "
                "the checkpoint's architecture with random weights"
            )
        return self
