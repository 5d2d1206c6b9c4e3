"""Result of a probe."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from jobs.arrays import FloatArray

Weights = Mapping[str, npt.NDArray[Any]]
"""Weights that a probe's ``apply`` needs, by name; {} if the probe has no ``apply``."""


@dataclass(frozen=True)
class ProbeResult:
    """Results of K problems on the same activations and fold."""

    predictions: FloatArray
    """(n_test, K), in the targets' own units, rows in the order of ``fold.test``."""
    details: list[dict[str, float]]
    """K entries with chosen hyperparameters and other details (alpha, epochs, …)."""
    weights: list[Weights] = field(default_factory=list)
    """K entries for the probe's ``apply``; empty if the probe cannot be saved."""
    validation_loss: FloatArray | None = None
    """(K,) mean loss on ``fold.validation``, squared error or share of wrong codes, of a probe that
    has no ``apply`` and knows it; None otherwise."""
