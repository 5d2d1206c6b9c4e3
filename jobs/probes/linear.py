"""A single linear layer trained by gradient descent, as the linear probe of many studies.

It corresponds to ridge with a number of steps in place of the penalty; ``ridge`` has the exact
solution. It is provided for comparison with such studies.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from jobs.arrays import FloatArray
from jobs.probes.linear_settings import LinearSettings
from jobs.probes.result import ProbeResult, Weights
from jobs.probes.standardiser import Standardiser, apply_each, apply_linear
from jobs.probes.training import Network, fit_networks
from jobs.protocol.folds import Fold, StrArray

apply = apply_linear


def fit_predict(
    settings: LinearSettings,
    X: npt.NDArray[np.float32],
    Y: FloatArray,
    fold: Fold,
    groups: StrArray,
    seeds: Sequence[int],
    dtype: torch.dtype = torch.float32,
) -> ProbeResult:
    """Fit a linear layer for every column of ``Y`` (U, K) on ``X`` (U, D), column k with
    ``seeds[k]``.

    ŷ = w·z + b with w (D,), trained in ``dtype`` by mean squared error and Adam (Kingma & Ba 2015,
    arXiv 1412.6980) as in ``fit_networks``; ``torch.nn.Linear`` draws the first w and b.

    Returns:
        Predictions (n_test, K); details ``epochs`` (run) and ``best_epoch`` (whose weights are
        used, counted from 1); weights for ``apply``. A layer that diverged predicts NaN.

    Raises:
        ValueError: early stopping, no validation split and fewer than two training speakers.
    """
    standardise, networks = fit_networks(dtype, settings, (), 0.0, X, Y, fold, groups, seeds)
    with np.errstate(over="ignore", invalid="ignore"):  # of a layer that diverged
        weights = [_weights(standardise, network) for network in networks]
        predictions = apply_each(weights, X[fold.test])
    return ProbeResult(predictions, [network.details for network in networks], weights)


def _weights(standardise: Standardiser, network: Network) -> Weights:
    [(weight, bias)] = network.layers
    return standardise.in_raw_units(
        weight[0].double().numpy() * network.target_scale,
        float(bias[0]) * network.target_scale + network.target_mean,
    )
