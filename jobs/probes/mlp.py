"""A multi-layer perceptron probe: ReLU layers, Adam, early stopping."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from jobs.arrays import FloatArray
from jobs.probes.mlp_settings import MlpSettings
from jobs.probes.result import ProbeResult, Weights
from jobs.probes.standardiser import Standardiser
from jobs.probes.training import Network, fit_networks
from jobs.protocol.folds import Fold, StrArray


def fit_predict(
    settings: MlpSettings,
    X: npt.NDArray[np.float32],
    Y: FloatArray,
    fold: Fold,
    groups: StrArray,
    seeds: Sequence[int],
    dtype: torch.dtype = torch.float32,
) -> ProbeResult:
    """Fit a perceptron for every column of ``Y`` (U, K) on ``X`` (U, D), column k with
    ``seeds[k]``.

    ŷ = W_L φ(… φ(W₁z + b₁) …) + b_L with φ = ReLU, trained in ``dtype`` by mean squared error and
    Adam (Kingma & Ba 2015, arXiv 1412.6980) as in ``fit_networks``.

    Returns:
        Predictions (n_test, K); details ``epochs`` (run) and ``best_epoch`` (whose weights are
        used, counted from 1); weights for ``apply``. A network that diverged predicts NaN.

    Raises:
        ValueError: early stopping, no validation split and fewer than two training speakers.
    """
    standardise, networks = fit_networks(
        dtype, settings, settings.hidden, settings.dropout, X, Y, fold, groups, seeds
    )
    weights = [_weights(standardise, network) for network in networks]
    tested = standardise(X[fold.test])
    predictions = [_apply_to_standardised(one, tested) for one in weights]
    details = [network.details for network in networks]
    return ProbeResult(np.stack(predictions, axis=1), details, weights)


def apply(settings: MlpSettings, weights: Weights, X: npt.NDArray[np.float32]) -> FloatArray:
    """(n,) predictions for activations ``X`` (n, D), in the target's unit.

    Args:
        settings: settings of the probe, unused.
        weights: ``mean`` and ``scale`` (D,) of the activations; of layer i, counted from 0,
            ``layers.<i>.weight`` (out, in) and ``layers.<i>.bias`` (out,); ``target_mean`` and
            ``target_scale`` (1,).
        X: raw activations, not standardised.
    """
    return _apply_to_standardised(weights, Standardiser(weights["mean"], weights["scale"])(X))


def _apply_to_standardised(weights: Weights, standardised: FloatArray) -> FloatArray:
    n_layers = sum(name.endswith(".weight") for name in weights)
    values = torch.from_numpy(standardised).to(torch.from_numpy(weights["layers.0.weight"]).dtype)
    for i in range(n_layers):
        weight, bias = (weights[f"layers.{i}.{name}"] for name in ("weight", "bias"))
        values = torch.addmm(torch.from_numpy(bias), values, torch.from_numpy(weight).T)
        if i < n_layers - 1:
            values = values.relu_()
    output: FloatArray = values[:, 0].double().numpy()
    return output * float(weights["target_scale"][0]) + float(weights["target_mean"][0])


def _weights(standardise: Standardiser, network: Network) -> Weights:
    weights = {
        "mean": standardise.mean,
        "scale": standardise.scale,
        "target_mean": np.array([network.target_mean]),
        "target_scale": np.array([network.target_scale]),
    }
    for i, (weight, bias) in enumerate(network.layers):
        weights |= {f"layers.{i}.weight": weight.numpy(), f"layers.{i}.bias": bias.numpy()}
    return weights
