"""Run networks in a given precision, and measure what it costs in accuracy.

Legend: U utterances, D pooled width.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from jobs.models.precision import LayerError
from jobs.models.settings import Precision


@contextmanager
def arithmetic(precision: Precision, device: torch.device) -> Iterator[None]:
    """Make networks compute with ``precision`` while the context is open."""
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
    """Return the errors of every layer.

    Args:
        values: (U, D) for each layer.
        exact: the same values computed in float32.
    """
    errors = {}
    for layer, exact_UD in exact.items():
        difference_U = (values[layer] - exact_UD).norm(dim=1)
        # A layer of zeros has no relative error; it counts as 0 if both are zero.
        scale_U = exact_UD.norm(dim=1).clamp(min=torch.finfo(torch.float32).tiny)
        relative_U = difference_U / scale_U
        errors[layer] = LayerError(relative_U.median().item(), relative_U.max().item())
    return errors
