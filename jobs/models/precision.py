"""Precision of a network's arithmetic, and the errors that it was measured to cause."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jobs.models.errors import ModelError
from jobs.models.settings import ModelSettings, NetworkSettings, Precision

INFO = "precision"
"""Key of the measured errors in a shard's manifest."""


@dataclass(frozen=True)
class LayerError:
    """Relative error of a layer's pooled values, ‖x − x₃₂‖ / ‖x₃₂‖ for each utterance."""

    median: float
    """Over the utterances of the first batch."""
    largest: float


def check_precision(precision: Precision, device: str, model: str) -> None:
    """Refuse a precision that the device does not support.

    Args:
        precision: precision of the computation.
        device: type of the device, such as ``cpu``.
        model: name of the model, for messages.

    Raises:
        ModelError: TF32 on a device other than a GPU.
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
    """Return the manifest's entry on precision; empty for float32, which is not measured."""
    if errors is None:
        return {}
    layers = {layer: asdict(error) for layer, error in errors.items()}
    return {INFO: {"precision": precision, "layers": layers}}


def recorded_errors(infos: Sequence[Mapping[str, Any]]) -> dict[str, LayerError]:
    """Return the largest errors of a model's layers that its shards recorded.

    Args:
        infos: ``info`` of the manifests.

    Returns:
        Layer → its errors, in depth order; empty for a model in float32.
    """
    worst: dict[str, LayerError] = {}
    for info in infos:
        for layer, values in info.get(INFO, {}).get("layers", {}).items():
            known = worst.get(layer, LayerError(0.0, 0.0))
            worst[layer] = LayerError(
                max(known.median, values["median"]), max(known.largest, values["largest"])
            )
    return worst
