"""Precision of a network's arithmetic, and the errors that it was measured to cause."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jobs.models.errors import ModelError
from jobs.models.settings import ModelSettings, NetworkSettings, Precision

INFO = "precision"
"""Under this name a shard's manifest keeps what was measured."""


@dataclass(frozen=True)
class LayerError:
    """How far a layer's pooled values are from float32's: ‖x − x₃₂‖ / ‖x₃₂‖ of each utterance."""

    median: float
    """Over the utterances of the first batch."""
    largest: float


def check_precision(precision: Precision, device: str, model: str) -> None:
    """Refuse what a device does not have.

    Args:
        precision: that the model is to be computed with.
        device: its type, such as ``cpu``.
        model: its name.

    Raises:
        ModelError: TF32 is an arithmetic of GPUs.
    """
    if precision == "tf32" and device != "cuda":
        raise ModelError(
            f"{model}: precision tf32 exists on NVIDIA GPUs alone, found the device "
            f"{device!r}; set precision: fp32, or compute.extractor.gpus: 1"
        )


def precision_of(settings: ModelSettings) -> Precision:
    """Return the precision of a model's arithmetic; a baseline has no choice."""
    return settings.precision if isinstance(settings, NetworkSettings) else "fp32"


def precision_info(precision: Precision, errors: Mapping[str, LayerError] | None) -> dict[str, Any]:
    """What a manifest says of the precision; nothing for float32, which is not measured."""
    if errors is None:
        return {}
    layers = {layer: asdict(error) for layer, error in errors.items()}
    return {INFO: {"precision": precision, "layers": layers}}


def recorded_errors(infos: Sequence[Mapping[str, Any]]) -> dict[str, LayerError]:
    """The errors of a model's layers, of all that its shards recorded the largest.

    Args:
        infos: ``info`` of the manifests.

    Returns:
        By layer, in depth order; empty for a model in float32.
    """
    worst: dict[str, LayerError] = {}
    for info in infos:
        for layer, values in info.get(INFO, {}).get("layers", {}).items():
            known = worst.get(layer, LayerError(0.0, 0.0))
            worst[layer] = LayerError(
                max(known.median, values["median"]), max(known.largest, values["largest"])
            )
    return worst
