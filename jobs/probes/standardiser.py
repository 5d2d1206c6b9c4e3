"""Standardised features: mean 0 and SD 1 on the training rows.

N training rows, D features. Activations are float32; everything computed from them here is float64.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jobs.arrays import FloatArray
from jobs.probes.result import Weights

BLOCK = 2048
"""Number of rows held in float64 at a time, as all of them might not fit in memory."""


@dataclass(frozen=True)
class Standardiser:
    """Mean and SD of every feature on the rows it was fitted on."""

    mean: FloatArray
    """(D,)"""
    scale: FloatArray
    """(D,) SD; infinite where the feature is constant, so that it becomes 0."""

    def __call__(self, X: npt.NDArray[np.float32]) -> FloatArray:
        """(n, D) in float64, mean 0 and SD 1 on the rows that the standardiser was fitted on."""
        Z = X.astype(np.float64)
        Z -= self.mean
        Z /= self.scale
        return Z

    def blocks(self, X: npt.NDArray[np.float32]) -> Iterator[tuple[slice, FloatArray]]:
        """Yield (rows, X standardised at these rows), ``BLOCK`` at a time."""
        for start in range(0, len(X), BLOCK):
            rows = slice(start, start + BLOCK)
            yield rows, self(X[rows])

    def in_raw_units(self, weight: FloatArray, bias: float) -> Weights:
        """Convert a linear function of standardised features to the weights of ``apply_linear``.

        Args:
            weight: (D,) weights of standardised features.
            bias: added to the product.
        """
        raw = weight / self.scale
        return {"weight": raw, "bias": np.array([bias - self.mean @ raw])}


def fit_standardiser(X: npt.NDArray[np.float32]) -> Standardiser:
    """Fit a standardiser to training rows ``X`` (N, D).

    A feature whose SD is within rounding of its magnitude (1e-7, float32's) is constant: dividing
    by such an SD would amplify rounding to a feature.
    """
    mean = X.mean(axis=0, dtype=np.float64)
    squares = np.zeros(X.shape[1])
    for start in range(0, len(X), BLOCK):
        deviations = X[start : start + BLOCK] - mean
        squares += np.einsum("nd,nd->d", deviations, deviations)
    sd = np.sqrt(squares / len(X))
    constant = sd <= 1e-7 * np.maximum(X.max(axis=0), -X.min(axis=0))
    return Standardiser(mean, np.where(constant, np.inf, sd))


def no_standardiser(width: int) -> Standardiser:
    """Make the identity standardiser for ``width`` features."""
    return Standardiser(np.zeros(width), np.ones(width))


def apply_linear(settings: object, weights: Weights, X: npt.NDArray[np.float32]) -> FloatArray:
    """(n,) predictions x·weight + bias of a linear probe for activations ``X`` (n, D).

    Args:
        settings: settings of the probe, unused.
        weights: ``weight`` (D,) and ``bias`` (1,), in the activations' and the target's own units.
        X: raw activations, not standardised.
    """
    return apply_each([weights], X)[:, 0]


def apply_each(weights: Sequence[Weights], X: npt.NDArray[np.float32]) -> FloatArray:
    """(n, K) predictions of K linear probes, equal to those of ``apply_linear`` for each."""
    predictions = np.empty((len(X), len(weights)))
    for start in range(0, len(X), BLOCK):
        block = slice(start, start + BLOCK)
        rows = X[block].astype(np.float64)
        for k, one in enumerate(weights):
            predictions[block, k] = rows @ one["weight"] + one["bias"][0]
    return predictions
