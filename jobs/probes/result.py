"""What every probe returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from jobs.arrays import FloatArray

Weights = Mapping[str, npt.NDArray[Any]]
"""What a probe's ``apply`` needs to predict from activations, by name; {} where nothing does."""


@dataclass(frozen=True)
class ProbeResult:
    """The outcome of K problems that were solved on the same activations and fold."""

    predictions: FloatArray
    """(n_test, K), in the targets' own units, rows in the order of ``fold.test``."""
    details: list[dict[str, float]]
    """K entries: what was chosen and found on the way (alpha, epochs, …)."""
    weights: list[Weights] = field(default_factory=list)
    """K entries for the probe's ``apply``; none at all where the probe cannot be saved."""
