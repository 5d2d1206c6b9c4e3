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
    """Average (B, ..., T) over T and flatten it to (B, D); return (B, D) unchanged."""
    return value if value.ndim == 2 else value.mean(dim=-1).flatten(1)


def mean_and_std_over_time(value: Tensor) -> Tensor:
    """Reduce (B, ..., T) to (B, 2·D): all means over T, then all SDs; return (B, D) unchanged.

    The SD is the population's, √(Σ(x − x̄)² / T), which is 0 for a single frame, where the sample's
    SD, with T − 1, is undefined.
    """
    if value.ndim == 2:
        return value
    mean = value.mean(dim=-1, keepdim=True)
    std = (value - mean).square_().mean(dim=-1).sqrt_()
    return torch.cat([mean.flatten(1), std.flatten(1)], dim=1)


def mean_over_time_and_bins(value: Tensor) -> Tensor:
    """Average (B, C, F, T) over T and F, or (B, C, T) over T; return (B, D) unchanged."""
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
