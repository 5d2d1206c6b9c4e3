"""Pooling: one vector per utterance from a layer's value.

Poolings are ordinary torch operations on a value whose last axis is time, so that a batch with
padding (`jobs.models.padding`) is pooled over each utterance's own frames by the same code.

Legend: B utterances, C channels, F frequency bins, T frames, D pooled width.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from jobs.models.taps import Pooling


def mean_over_time(value: Tensor) -> Tensor:
    """(B, ..., T) to (B, D): the mean over T, the rest flattened. (B, D) is returned as it is."""
    return value if value.ndim == 2 else value.mean(dim=-1).flatten(1)


def mean_and_std_over_time(value: Tensor) -> Tensor:
    """(B, ..., T) to (B, 2·D): all means over T, then all SDs. (B, D) is returned as it is.

    The SD is the population's, √(Σ(x − x̄)² / T): an utterance of one frame has SD 0, where the
    sample's, with T − 1, has none.
    """
    if value.ndim == 2:
        return value
    mean = value.mean(dim=-1, keepdim=True)
    std = (value - mean).square_().mean(dim=-1).sqrt_()
    return torch.cat([mean.flatten(1), std.flatten(1)], dim=1)


def mean_over_time_and_bins(value: Tensor) -> Tensor:
    """(B, C, F, T) to (B, C): the mean over T and F. (B, C, T) to (B, C): the mean over T.

    (B, D) is returned as it is.
    """
    if value.ndim == 2:
        return value
    mean = value.mean(dim=-1)
    return mean if mean.ndim == 2 else mean.flatten(2).mean(dim=-1)


POOLINGS: Mapping[Pooling, Callable[[Tensor], Tensor]] = {
    "mean": mean_over_time,
    "mean+std": mean_and_std_over_time,
    "channels": mean_over_time_and_bins,
}
"""Pooling → its function."""
