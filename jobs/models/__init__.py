"""Models to probe: settings, loading, and what can be read from them.

A family adds one file with its settings and its loader, and one row here.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from jobs.features import FRAME_LENGTH, FRAME_SHIFT, SAMPLE_RATE, FeatureSettings
from jobs.identity import canonical_json
from jobs.models.baselines import BaselineSettings, load_baseline
from jobs.models.model import ModelError, ProbedModel
from jobs.models.taps import POOLINGS, Pooling, Tap, TapReader, TapShape
from jobs.models.wespeaker import WespeakerSettings, find_checkpoint, load_wespeaker

__all__ = [
    "ModelError",
    "ModelInfo",
    "ModelSettings",
    "ProbedModel",
    "Tap",
    "TapShape",
    "describe_model",
    "forward_flops",
    "load_model",
    "weights_digest",
    "with_absolute_paths",
]

ModelSettings = Annotated[WespeakerSettings | BaselineSettings, Field(discriminator="kind")]


@dataclass(frozen=True)
class ModelInfo:
    """What a plan needs to know of a model."""

    architecture: str
    digest: str
    """See `weights_digest`."""
    n_parameters: int
    taps: tuple[TapShape, ...]
    """In depth order."""


def load_model(settings: ModelSettings) -> ProbedModel:
    """The model, on the CPU, in evaluation mode, in float32.

    Raises:
        ModelError: it cannot be loaded as its settings say.
    """
    if isinstance(settings, BaselineSettings):
        return load_baseline(settings)
    return load_wespeaker(settings)


def with_absolute_paths(settings: ModelSettings) -> ModelSettings:
    """The same model for any process on any node: its folder found, its path absolute."""
    if isinstance(settings, BaselineSettings) or settings.checkpoint is None:
        return settings
    folder = find_checkpoint(settings.checkpoint).absolute()
    return settings.model_copy(update={"checkpoint": folder})


def describe_model(settings: ModelSettings, pooling: Pooling) -> ModelInfo:
    """Load the model and read it once on a short dummy input.

    Raises:
        ModelError: it cannot be loaded as its settings say.
    """
    model = load_model(settings)
    return ModelInfo(
        architecture=model.architecture,
        digest=weights_digest(model),
        n_parameters=sum(parameter.numel() for parameter in model.module.parameters()),
        taps=_tap_shapes(model, pooling),
    )


def forward_flops(settings: ModelSettings) -> float:
    """Floating-point operations of a forward pass, per second of audio; all taps take no more.

    Counted by torch on a short input (convolutions and matrix products, two operations a
    multiply-add); convolutional networks cost the same for every frame.

    Raises:
        ModelError: it cannot be loaded as its settings say.
    """
    model = load_model(settings)
    features = _dummy_features(model)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.module(features[None])
    flops: int = counter.get_total_flops()
    return flops / _DUMMY_FRAMES * SAMPLE_RATE / FRAME_SHIFT


def weights_digest(model: ProbedModel) -> str:
    """SHA-256 over the architecture, its arguments, and every tensor of the state dict.

    Tensors come in the order of their names, each as its name, dtype, shape and bytes: the file
    that they were read from, and how it was packed, does not matter.
    """
    digest = hashlib.sha256(canonical_json([model.architecture, model.args]).encode())
    for name, tensor in sorted(model.module.state_dict().items()):
        array = tensor.numpy(force=True)
        digest.update(canonical_json([name, str(array.dtype), list(array.shape)]).encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


_DUMMY_FRAMES = 16
"""Divisible by every time stride of the networks here, so that the strides can be told exactly."""


def _dummy_features(model: ProbedModel) -> Tensor:
    n_samples = FRAME_LENGTH + (_DUMMY_FRAMES - 1) * FRAME_SHIFT
    return model.front_end(FeatureSettings())(np.arange(n_samples, dtype=np.float32))


def _tap_shapes(model: ProbedModel, pooling: Pooling) -> tuple[TapShape, ...]:
    features = _dummy_features(model)
    raw = TapReader(model.module, model.taps, pool=lambda value: value).read(features[None])
    return tuple(
        TapShape(
            index=index,
            name=tap.name,
            study_name=tap.study_name,
            shape=_symbolic(tuple(raw[tap.name].shape[1:])),
            width=POOLINGS[pooling](raw[tap.name]).shape[1],
        )
        for index, tap in enumerate(model.taps)
    )


def _symbolic(shape: tuple[int, ...]) -> tuple[int | str, ...]:
    """The shape of one utterance's value, with its time axis, if it has one, as ``T/stride``."""
    if len(shape) == 1:
        return shape
    stride = _DUMMY_FRAMES // shape[-1]
    return (*shape[:-1], "T" if stride == 1 else f"T/{stride}")
