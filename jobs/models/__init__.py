"""Models to probe: settings, loading, and what can be read from them.

A family adds one file with its settings and its loader, and one row here.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from jobs.models.baselines import BaselineSettings, load_baseline
from jobs.models.describe import flops_per_second, tap_shapes, weights_digest
from jobs.models.factory import PythonSettings, load_python
from jobs.models.model import ModelError, ProbedModel
from jobs.models.precision import Precision
from jobs.models.taps import Pooling, Tap, TapShape
from jobs.models.transformers.model import TransformersSettings, load_self_supervised
from jobs.models.transformers.pretrained import find_pretrained
from jobs.models.wespeaker.model import WespeakerSettings, find_checkpoint, load_wespeaker

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
    "precision_of",
    "source_of",
    "weights_digest",
    "with_absolute_paths",
]

ModelSettings = Annotated[
    WespeakerSettings | TransformersSettings | PythonSettings | BaselineSettings,
    Field(discriminator="kind"),
]


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
    match settings:
        case BaselineSettings():
            return load_baseline(settings)
        case WespeakerSettings():
            return load_wespeaker(settings)
        case TransformersSettings():
            return load_self_supervised(settings)
        case PythonSettings():
            return load_python(settings)


def with_absolute_paths(settings: ModelSettings) -> ModelSettings:
    """The same model for any process on any node: its folder found, its path absolute."""
    match settings:
        case WespeakerSettings(checkpoint=checkpoint) if checkpoint is not None:
            found = {"checkpoint": find_checkpoint(checkpoint).absolute()}
        case TransformersSettings(checkpoint=checkpoint):
            found = {"checkpoint": find_pretrained(checkpoint).absolute()}
        case PythonSettings(folder=folder):
            found = {"folder": folder.absolute()}
        case _:
            return settings
    return settings.model_copy(update=found)


def precision_of(settings: ModelSettings) -> Precision:
    """Of the model's arithmetic; baselines know only one."""
    return "fp32" if isinstance(settings, BaselineSettings) else settings.precision


def source_of(settings: ModelSettings) -> str | None:
    """Where its weights come from, for messages; None: nowhere that a user could look."""
    match settings:
        case WespeakerSettings(checkpoint=checkpoint) | TransformersSettings(checkpoint=checkpoint):
            return None if checkpoint is None else str(checkpoint)
        case PythonSettings(factory=factory):
            return factory
        case _:
            return None


def describe_model(settings: ModelSettings, pooling: Pooling) -> ModelInfo:
    """Load the model and read it once on a short dummy input.

    Raises:
        ModelError: it cannot be loaded as its settings say, or does not run.
    """
    model = load_model(settings)
    try:
        taps = tap_shapes(model, pooling)
    except ModelError:
        raise
    except Exception as error:  # a configuration may well make a network that takes no audio
        raise ModelError(
            f"its network does not run on a short input: {type(error).__name__}: {error}; expected "
            "a checkpoint whose configuration fits its weights and audio features"
        ) from error
    return ModelInfo(
        architecture=model.architecture,
        digest=weights_digest(model),
        n_parameters=sum(parameter.numel() for parameter in model.module.parameters()),
        taps=taps,
    )


def forward_flops(settings: ModelSettings) -> float:
    """Floating-point operations of a forward pass, per second of audio: see `flops_per_second`.

    Raises:
        ModelError: it cannot be loaded as its settings say.
    """
    return flops_per_second(load_model(settings))
