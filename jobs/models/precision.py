"""Precision of a network's arithmetic, and what it costs in accuracy."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from jobs.models.model import ModelError

Precision = Literal["fp32", "tf32", "bf16"]
"""Of convolutions and matrix products: 24 bits; 11 bits, on NVIDIA GPUs; 8 bits, where torch's
autocast takes it to be safe. Sums are in float32 everywhere."""

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


@contextmanager
def arithmetic(precision: Precision, device: torch.device) -> Iterator[None]:
    """While it is open, networks compute with ``precision``, whatever torch's defaults are."""
    convolutions, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = convolutions.allow_tf32, products.allow_tf32
    # torch's own default would let convolutions round to TF32, under the same id as on a CPU.
    convolutions.allow_tf32 = products.allow_tf32 = precision == "tf32"
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            yield
    finally:
        convolutions.allow_tf32, products.allow_tf32 = before


def layer_errors(
    values: Mapping[str, Tensor], exact: Mapping[str, Tensor]
) -> dict[str, LayerError]:
    """The errors of every layer.

    Args:
        values: (U, D) of each layer.
        exact: the same, computed in float32.
    """
    errors = {}
    for layer, exact_UD in exact.items():
        difference_U = (values[layer] - exact_UD).norm(dim=1)
        # A layer that is all zero has no relative error: it is 0 if it is zero in both.
        scale_U = exact_UD.norm(dim=1).clamp(min=torch.finfo(torch.float32).tiny)
        relative_U = difference_U / scale_U
        errors[layer] = LayerError(relative_U.median().item(), relative_U.max().item())
    return errors


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
