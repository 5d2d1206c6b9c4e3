"""Settings of WeSpeaker's networks."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from jobs.audio.settings import Window
from jobs.models.settings import NetworkSettings
from jobs.models.wespeaker.architectures import find_group
from jobs.models.wespeaker.arguments import Value, are_plausible, network_args
from jobs.settings import Seed


class WespeakerSettings(NetworkSettings):
    """A speaker network of WeSpeaker: a checkpoint, or an untrained network."""

    EXAMPLES = (
        "{kind: wespeaker, name: ResNet, precision: fp32, checkpoint: demo_samresnet34}",
        "{kind: wespeaker, name: 'CAM++', checkpoint: campplus, window: povey}",
        "{kind: wespeaker, name: twin, checkpoint: demo_samresnet34, untrained: true, seed: 1}",
        "{kind: wespeaker, name: small, architecture: SimAM_ResNet34_ASP,"
        " model_args: {in_planes: 8}}",
    )

    kind: Literal["wespeaker"] = "wespeaker"
    """Model family."""
    checkpoint: Path | None = None
    """Folder with ``config.yaml`` and ``avg_model.pt``, or the name of a checkpoint that is
    included or was fetched with ``sweep fetch model``."""
    untrained: bool = False
    """Whether to draw random weights from ``seed`` instead of reading the checkpoint's."""
    architecture: str | None = None
    """Architecture of an untrained network, by WeSpeaker's name; give this or ``checkpoint``."""
    model_args: dict[str, Value] = Field(default_factory=dict)
    """Arguments of ``architecture``, as in WeSpeaker's ``config.yaml``."""
    seed: Seed | None = None
    """Seed of an untrained network's weights. Several untrained models of one network, with seeds
    of their own, are drawn as their mean and range. null: 0."""
    window: Window | None = None
    """Window of the network's features. ``povey``, on samples within ±1: the CAM++ and ERes2Net of
    WeSpeaker's hub and of 3D-Speaker need it. null: the one in ``config.yaml``, else ``hamming``.
    """

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
        if architecture is not None and not are_plausible(model_args):
            network_args(architecture, model_args)  # its message names the valid ones
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
