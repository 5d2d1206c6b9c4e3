"""WeSpeaker's networks: settings, and loading one, trained or not.

Which architectures there are and where each is read is in `jobs.models.wespeaker.families`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from traceback import extract_tb
from types import MethodType
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, ValidationInfo, field_validator, model_validator
from torch import Tensor, nn

from jobs.audio.features import Fbank, FeatureSettings
from jobs.audio.read import AudioError
from jobs.downloads.catalogue import MODELS, MODELS_FOLDER
from jobs.models.model import FrontEnd, ModelError, ProbedModel
from jobs.models.places import taps_at
from jobs.models.precision import Precision
from jobs.models.wespeaker.arguments import Value, n_bins, network_args, network_builder
from jobs.models.wespeaker.checkpoint import (
    CONFIG,
    WEIGHTS,
    load_weights,
    read_description,
    read_weights,
)
from jobs.models.wespeaker.families import find_family
from jobs.settings import Settings

INCLUDED = Path(__file__).parent / "checkpoints"
"""Checkpoints that come with this package."""


class WespeakerSettings(Settings):
    """A trained network from a folder, or an untrained one of a given architecture."""

    name: str = Field(min_length=1)
    """What tables and plots call it."""
    kind: Literal["wespeaker"] = "wespeaker"
    precision: Precision = "fp32"
    """Of its arithmetic; anything but fp32 is measured against it on the first batch."""
    checkpoint: Path | None = None
    """Folder with ``config.yaml`` and ``avg_model.pt``, or the name of one that comes along or that
    ``sweep fetch model`` has brought."""
    untrained: bool = False
    """Architecture and arguments of the checkpoint, with fresh weights in place of its own."""
    architecture: str | None = None
    """Of an untrained network: one of `jobs.models.wespeaker.families.ARCHITECTURES`."""
    model_args: dict[str, Value] = Field(default_factory=dict)
    """Of an untrained network: see `jobs.models.wespeaker.arguments`."""
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    """Of an untrained network's weights; 0 if not given."""

    @field_validator("architecture")
    @classmethod
    def _known(cls, architecture: str | None) -> str | None:
        if architecture is not None:
            find_family(architecture)
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
                "the checkpoint's architecture with fresh weights"
            )
        return self


def load_wespeaker(settings: WespeakerSettings) -> ProbedModel:
    """The network, ready to be read at every tap.

    Raises:
        ModelError: the folder is not a checkpoint, its weights do not fit its ``config.yaml``, or
            no network can be built with the arguments.
    """
    if settings.checkpoint is None:
        assert settings.architecture is not None
        architecture = settings.architecture
        args = network_args(architecture, settings.model_args)
        network = build_network(architecture, args, settings.seed or 0)
    else:
        folder = find_checkpoint(settings.checkpoint)
        architecture, args = _read_architecture(folder)
        if settings.untrained:
            network = build_network(architecture, args, settings.seed or 0)
        else:
            network = _sketch(architecture, args)
            load_weights(network, read_weights(folder / WEIGHTS), folder / WEIGHTS)
    network.eval().requires_grad_(False)
    for module in network.modules():
        if hasattr(module, "SimAM"):
            # On the instance alone; nn.Module keeps what is no module or tensor in __dict__.
            module.__dict__["SimAM"] = MethodType(_simam, module)
    family = find_family(architecture)
    front_end = _front_end(n_bins(args), family.min_frames)
    taps = taps_at(network, family.places)
    return ProbedModel(architecture, args, network, taps, front_end, masked="convolution")


def find_checkpoint(checkpoint: Path) -> Path:
    """The folder ``checkpoint``, or, where there is none, the included or fetched one of this name.

    Raises:
        ModelError: it is one that can be fetched, and has not been.
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


def build_network(architecture: str, model_args: Mapping[str, object], seed: int) -> nn.Module:
    """WeSpeaker's own network, untouched, in training mode, with weights drawn from ``seed``.

    The weights depend on the arguments and on nothing else, and no global random state changes.

    Args:
        architecture: one of `jobs.models.wespeaker.families.ARCHITECTURES`.
        model_args: see `network_args`.
        seed: of the weights.

    Raises:
        ModelError: unknown architecture, or arguments that do not make a network.
    """
    args = network_args(architecture, model_args)
    _sketch(architecture, args)
    with torch.random.fork_rng(devices=[]):
        # The CPU's generator alone: torch.manual_seed would reseed every GPU as well.
        torch.default_generator.manual_seed(seed)
        network: nn.Module = network_builder(architecture)(**args)
    return network


_SKETCH_FRAMES = 64
"""More than any architecture's fewest."""


def _sketch(architecture: str, args: Mapping[str, object]) -> nn.Module:
    """The network without storage for its weights, in evaluation mode, once run on such an input.

    Arguments that do not go together (strides that do not divide the mel bins, a pooling of another
    layout) show here, in no time and memory.
    """
    try:
        with torch.device("meta"):
            network: nn.Module = network_builder(architecture)(**args).eval()
            with torch.inference_mode():
                network(torch.empty(1, _SKETCH_FRAMES, n_bins(args)))
    except Exception as error:  # whatever WeSpeaker's constructors and torch's operators raise
        raise ModelError(
            f"{architecture} cannot be built with model_args "
            f"{', '.join(f'{name}: {value}' for name, value in args.items())}: "
            f"{type(error).__name__}: {str(error) or extract_tb(error.__traceback__)[-1].line}"
        ) from error
    return network


def _read_architecture(folder: Path) -> tuple[str, dict[str, object]]:
    """Of a checkpoint: its architecture, and that one's arguments."""
    description = read_description(folder)
    try:
        args = network_args(description.architecture, description.model_args)
    except ModelError as error:
        raise ModelError(f"{folder / CONFIG}: {error}") from error
    if description.mel_bins not in (None, n_bins(args)):
        raise ModelError(
            f"{folder / CONFIG}: dataset_args.fbank_args.num_mel_bins: expected {n_bins(args)} as "
            f"the network of its model_args takes, found {description.mel_bins}"
        )
    return description.architecture, args


def _front_end(bins: int, min_frames: int) -> Callable[[FeatureSettings], FrontEnd]:
    """Mean-normalised fbank of ``bins`` bins, of utterances that the network can take."""

    def for_settings(settings: FeatureSettings) -> FrontEnd:
        fbank = Fbank(settings, bins)

        def features(wave: npt.NDArray[np.float32]) -> Tensor:
            features_TF = fbank(wave)
            if len(features_TF) < min_frames:
                raise AudioError(
                    f"too short for this model: expected at least {min_frames} frames, found "
                    f"{len(features_TF)}"
                )
            return features_TF

        return features

    return for_settings


def _simam(block: nn.Module, X: Tensor, lambda_p: float = 1e-4) -> Tensor:
    """SimAM, the parameter-free attention (Yang et al., ICML 2021), as WeSpeaker computes it.

    With d = (x − x̄)², n = F·T − 1 and v = Σd / n over each channel's F × T values:
    x · sigmoid(d / (4 (v + λ)) + ½). The same operations in the same order as the method that it
    stands for, hence the same bits, but in one buffer instead of seven.

    Args:
        block: unused; the method's ``self``.
        X: (B, C, F, T), left as it is.
        lambda_p: λ.

    Returns:
        (B, C, F, T).
    """
    n = X.shape[2] * X.shape[3] - 1
    d = (X - X.mean(dim=[2, 3], keepdim=True)).pow_(2)
    v = d.sum(dim=[2, 3], keepdim=True) / n
    return d.div_(4 * (v + lambda_p)).add_(0.5).sigmoid_().mul_(X)
